"""A hardened mode for stock `nbgrader autograde`: every notebook runs in a kernel behind bubblewrap (`bwrap`).

    python -m course_lib.grading.kernelspec          installs the kernel and prints the command to grade with

The kernel sees the Python environment and course_lib, read-only, and an empty home; no network, no other process, no
submission, no gradebook, no solution. That protects the machine, the class's files and the other students from what a
notebook does. It does not protect the score: nbgrader runs the checks beside the student's code, and only
`course grade` judges outside that process.

Sockets without a network must be files, hence the options that it prints: without `transport` and an absolute
`ip` each start of a kernel waits for 60 seconds and fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from course_lib import files, settings
from course_lib.notebooks import QUIET_DEBUGGER

NAME = "course-sandbox"
MEMORY = 4 << 30  # bytes of data a kernel may allocate
FILE_SIZE = 256 << 20  # bytes of the largest file it may write
HOME = "/tmp/home"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/etc/localtime",
          "/etc/ssl/certs")  # fmt: skip
# In a kernel of its own the course trains next to nothing, on one thread and never on the GPU.
VARIABLES = {
    "HOME": HOME, "TMPDIR": "/tmp", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "COURSE_PROFILE": "smoke", "COURSE_DEVICE": "cpu", "COURSE_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
    "MPLCONFIGDIR": f"{HOME}/matplotlib", "IPYTHONDIR": f"{HOME}/ipython", "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1", **QUIET_DEBUGGER,
}  # fmt: skip


class KernelError(Exception):
    """The hardened kernel cannot be used here; the text says why and what to do."""


def socket_folder() -> Path:
    """Where the kernels' sockets are: a folder of this user's, short enough for the name of a socket."""
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    return Path(base) / f"course-kernels-{os.getuid()}"


def missing() -> str:
    """Why the hardened kernel cannot run here, with the way to fix it; "" when it can."""
    if not sys.platform.startswith("linux"):
        return "the hardened kernel needs Linux; on macOS and Windows grade in a Linux machine or WSL2"
    bwrap = shutil.which("bwrap")
    if not bwrap:
        return "there is no `bwrap` here; install it: sudo apt install bubblewrap (or dnf, pacman: bubblewrap)"
    probe = [bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not start: {error}"
    if done.returncode:
        return (
            f"bwrap is here but may not make namespaces ({done.stderr.strip()[:200]}); on Ubuntu 24.04 and later: "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, in a container: allow user namespaces"
        )
    return ""


def arguments(*, root: Path | None = None, memory: int = MEMORY) -> list[str]:
    """The kernel's command line, with `{connection_file}` where Jupyter puts the connection file.

    Args:
        root: the project folder, whose course_lib the kernel may read.
        memory: bytes that a kernel may allocate.
    """
    root = (root or settings.root()).resolve()
    command = []
    prlimit = shutil.which("prlimit")
    if prlimit:
        command += [prlimit, f"--data={memory}", f"--fsize={FILE_SIZE}", "--core=0", "--nofile=1024"]
    command += [shutil.which("bwrap") or "bwrap"]
    command += ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", HOME]
    command += environment_bound()
    command += ["--ro-bind", f"{root}/course_lib", f"{root}/course_lib"]
    command += ["--tmpfs", f"{root}/course_lib/grading"]
    command += ["--bind", str(socket_folder()), str(socket_folder())]
    command += ["--ro-bind", "{connection_file}", "{connection_file}"]
    for name, value in {**VARIABLES, "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "PYTHONPATH": str(root)}.items():
        command += ["--setenv", name, value]
    command += ["--setenv", "COURSE_ROOT", str(root), "--chdir", HOME]
    return [*command, "--", sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def environment_bound() -> list[str]:
    """bwrap's options for the system's libraries and this Python's environment, read-only."""
    command: list[str] = []
    bound: list[str] = []
    for path in [*SYSTEM, sys.base_prefix, sys.prefix, *_packages_elsewhere()]:
        if not os.path.exists(path) or any(path == b or path.startswith(f"{b}/") for b in bound):
            continue
        bound.append(path)
        if os.path.islink(path):  # /bin -> usr/bin
            command += ["--symlink", os.readlink(path), path]
        else:
            command += ["--ro-bind", path, path]
    return command


def _packages_elsewhere() -> list[str]:
    """Folders on Python's path outside the environment, such as a user's own packages."""
    return [p for p in sys.path if p.endswith(("site-packages", "dist-packages")) and os.path.isdir(p)]


def spec(**options: Any) -> dict[str, Any]:
    """The content of kernel.json."""
    return {
        "argv": arguments(**options),
        "display_name": "Course (sandboxed)",
        "language": "python",
        "interrupt_mode": "message",  # a signal would reach bwrap and not the kernel
    }


def install(*, prefix: Path | None = None, root: Path | None = None, memory: int = MEMORY) -> Path:
    """Installs the kernel and makes the folder of its sockets; returns the folder with kernel.json.

    Args:
        prefix: an environment's folder; default that of this Python.
        root: the project folder.
        memory: bytes that a kernel may allocate.

    Raises:
        KernelError: it cannot run here, or the folder cannot be written.
    """
    reason = missing()
    if reason:
        raise KernelError(f"The hardened kernel cannot be installed: {reason}.")
    folder = (prefix or Path(sys.prefix)) / "share" / "jupyter" / "kernels" / NAME
    content = json.dumps(spec(root=root, memory=memory), indent=1) + "\n"
    try:
        _own_folder(socket_folder())
        files.replace(folder / "kernel.json", content)
    except OSError as error:
        raise KernelError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    return folder


def _own_folder(folder: Path) -> None:
    """Makes a folder that is this user's alone; someone else's, made before in /tmp, is refused."""
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if folder.is_symlink() or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise KernelError(f"{folder} is not a folder of yours alone (mode 700): remove it and install again.")


def options() -> list[str]:
    """What `nbgrader autograde` must be told to use the kernel."""
    return [
        f"--Execute.kernel_name={NAME}",
        "--KernelManager.transport=ipc",
        f"--KernelManager.ip={socket_folder() / 'kernel'}",
    ]


def main() -> int:
    """Installs the kernel and prints how to grade with it."""
    try:
        folder = install()
    except KernelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Installed {folder}")
    print("Grade with it, one unit at a time:")
    print("  nbgrader autograde UNIT " + " ".join(options()))
    print("It protects the machine and the class's files. For scores that cannot be forged: course grade.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
