"""What commands cost that run at the same time: CPU and wall seconds, and the memory of all their processes."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import psutil

import course_lib
from course_lib import settings
from course_lib.notebooks import QUIET_DEBUGGER, tools_on_path


def measured(commands: Sequence[tuple[list[str], Path]], *, okay: Sequence[int] = (0,)) -> dict[str, float]:
    """Runs commands at the same time and gives their wall and CPU seconds and their peak memory in MiB."""
    variables = surroundings(commands[0][1])
    with tools_on_path(), MemorySamples() as memory, _counting() as (cpu, enter):
        variables["PATH"] = os.environ["PATH"]
        cpu_before, began = cpu(), time.perf_counter()
        running = []
        for command, folder in commands:
            with open(folder / "log.txt", "ab") as log:
                running.append(
                    subprocess.Popen(
                        command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT, preexec_fn=enter
                    )
                )
        ended = [process.wait() for process in running]
        wall, spent = time.perf_counter() - began, cpu() - cpu_before
    for status, (command, folder) in zip(ended, commands, strict=True):
        if status not in okay:
            tail = (folder / "log.txt").read_text(errors="replace")[-2000:]
            raise click.ClickException(f"{' '.join(command)} ended with {status}:\n{tail}")
    return {"wall_s": wall, "cpu_s": spent, "rss_mib": memory.rss / 2**20, "own_mib": memory.pss / 2**20}


def surroundings(folder: Path) -> dict[str, str]:
    """The environment variables of a grader whose course folder this is: one thread, a secret of its own."""
    variables = {**os.environ, "COURSE_PROFILE": "smoke", "COURSE_DEVICE": "cpu", "COURSE_THREADS": "1"}
    variables |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "COURSE_ROOT": str(settings.root())}
    variables |= {"COURSE_SECRET": str(folder / "secret"), **QUIET_DEBUGGER}
    variables.pop("COURSE_WORK", None)
    package = str(Path(course_lib.__file__).resolve().parents[1])
    variables["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return variables


def environment() -> dict[str, str | int]:
    """The machine that the figures are from."""
    import nbgrader
    import torch

    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        processor = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "nbgrader": nbgrader.__version__,
        "system": platform.system(),
        "load_at_start": f"{os.getloadavg()[0]:.2f}",
        "cpu_from": "a control group" if _groups() else "processes waited for",
    }


class MemorySamples:
    """Samples the memory of this process's descendants until it is stopped."""

    def __init__(self, every: float = 0.5) -> None:
        self.every, self.rss, self.pss = every, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(self.every):
            rss = pss = 0
            for process in me.children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    rss += process.memory_info().rss
                    # One file per process; the kernel lets us read it where the process is ours.
                    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                        if line.startswith("Pss:"):
                            pss += int(line.split()[1]) << 10
            self.rss, self.pss = max(self.rss, rss), max(self.pss, pss)

    def __enter__(self) -> MemorySamples:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def _groups() -> Path | None:
    """Where control groups that count CPU time are made, version 2 or 1; None where we may not."""
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpuacct")):
        if any((folder / name).exists() for name in ("cpu.stat", "cpuacct.usage")) and os.access(folder, os.W_OK):
            return folder
    return None


@contextlib.contextmanager
def _counting() -> Iterator[tuple[Callable[[], float], Callable[[], None]]]:
    """A function for the CPU seconds so far, and one for a new process to call so that it is counted."""
    place = _groups()
    if place is None:

        def waited_for() -> float:
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        yield waited_for, lambda: None
        return
    with group_of_processes() as (group, enter):
        yield functools.partial(cpu_of, group), enter


@contextlib.contextmanager
def group_of_processes() -> Iterator[tuple[Path, Callable[[], None]]]:
    """A control group that counts CPU time, and a function for a process to call that enters it.

    Raises:
        ClickException: none can be made here.
    """
    place = _groups()
    if place is None:
        raise click.ClickException("a control group that counts CPU time is needed, and none can be made here.")
    group = Path(tempfile.mkdtemp(prefix="grading-speed-", dir=place))

    def enter() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        yield group, enter
    finally:
        with contextlib.suppress(OSError):  # where this process has entered it itself
            (place / "cgroup.procs").write_text(str(os.getpid()))
        for _ in range(50):  # until the last process is gone
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def cpu_of(group: Path) -> float:
    """The CPU seconds that a control group has used so far."""
    if (group / "cpuacct.usage").exists():
        return int((group / "cpuacct.usage").read_text()) / 1e9
    return int((group / "cpu.stat").read_text().split()[1]) / 1e6  # usage_usec comes first
