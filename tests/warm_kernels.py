"""Kernels forked from a process that has imported what every notebook imports: 4 CPU seconds less for each notebook.

Such a kernel is a process of its own with its own variables, folder and session. All that it finds done is the import
of modules that are not of the course. Tests of nbgrader, of `course check` and of the site start plain kernels.

As a program this file is the process that kernels are forked from. It reads requests on its standard input, a line of
JSON each, and answers with the process id of a new kernel; it ends with its input.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODULES = (
    "ipykernel.kernelapp", "ipywidgets", "matplotlib.pyplot", "matplotlib_inline.backend_inline",
    "sklearn.decomposition", "sklearn.linear_model", "sklearn.metrics", "torch._dynamo", "torch._inductor",
    "torchvision", "tqdm.auto",
)  # fmt: skip
BACKEND = "module://matplotlib_inline.backend_inline"  # ipykernel sets it too, but matplotlib reads it when imported


@contextlib.contextmanager
def forking() -> Iterator[subprocess.Popen[str] | None]:
    """The process that kernels are forked from; None where a fork of a process with such modules is not safe."""
    if sys.platform != "linux":
        yield None
        return
    command = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


@contextlib.contextmanager
def forked_from(process: subprocess.Popen[str] | None) -> Iterator[None]:
    """While open, jupyter_client forks kernels from that process; from None they start as ever."""
    if process is None:
        yield
        return
    from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

    class Provisioner(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
            request = {"arguments": cmd[cmd.index("-f") :], "variables": options["env"], "folder": options.get("cwd")}
            self.process = Kernel(process, request)
            self.pid = self.pgid = self.process.pid
            return self.connection_info

    class Point:
        """What stands for an entry point of an installed package."""

        load = staticmethod(lambda: Provisioner)

    factory = KernelProvisionerFactory.instance()
    default = factory.default_provisioner_name
    factory.provisioners["warm"], factory.default_provisioner_name = Point(), "warm"
    try:
        yield
    finally:
        factory.default_provisioner_name = default
        del factory.provisioners["warm"]


class Kernel:
    """A forked kernel, with what jupyter_client uses of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, parent: subprocess.Popen[str], request: dict[str, Any]) -> None:
        assert parent.stdin and parent.stdout
        parent.stdin.write(json.dumps(request) + "\n")
        parent.stdin.flush()
        self.pid = int(parent.stdout.readline())

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    wait = poll  # jupyter_client polls before it waits

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def become_kernel(arguments: list[str], variables: dict[str, str], folder: str | None) -> None:
    """Makes a forked process what `python -m ipykernel_launcher` is."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(variables, JPY_PARENT_PID=str(os.getppid()))  # a kernel ends with the process that started it
    os.chdir(folder or ".")
    sys.argv = ["ipykernel_launcher.py", *arguments]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


def reap(*_: Any) -> None:
    """Lets kernels that have ended go, as `Kernel.poll` expects; their CPU time counts as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    sys.path.remove(str(Path(__file__).resolve().parent))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["MPLBACKEND"] = BACKEND
    for name in MODULES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            answers.close()
            become_kernel(**json.loads(line))
            os._exit(0)
        answers.write(f"{process}\n")
        answers.flush()


if __name__ == "__main__":
    main()
