"""JupyterLab on the learner's folder: its port, its command line, and waiting for its end."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from course_lib import settings
from course_lib.desk.errors import WorkspaceError

FIRST_PORT = 8888


def run_lab(work: Path, *, port: int, browser: bool, unit: str = "", say: Callable[[str], None] = print) -> int:
    """Starts JupyterLab on work/, says its address, and waits for it; returns its exit status.

    Args:
        unit: whose notebook to open, such as "04" or "06b"; "" opens the first.

    Raises:
        WorkspaceError: there is no such unit.
    """
    notebook = notebook_of(work, unit)
    token = secrets.token_hex(16)
    say(f"JupyterLab:  http://localhost:{port}/lab/tree/{notebook}?token={token}")
    if not browser:
        say("Open this address in a browser. On another machine, forward the port first:")
        say(f"    ssh -L {port}:localhost:{port} this-machine")
    say("Stop it with Ctrl-C. Your notebooks are saved in " + str(work))
    variables = {**os.environ, "JUPYTER_TOKEN": token, "COURSE_WORK": str(work)}
    # A learner's JupyterLab asks about no news and has none of nbgrader's menus, which are for who teaches.
    own = [str(Path(__file__).parent / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    variables["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, own))
    command = lab_command(work, port=port, browser=browser, notebook=notebook)
    process = subprocess.Popen(command, cwd=work, env=variables)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # or JupyterLab would be left running alone
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Jupyter had the same Ctrl-C and asks whether it is meant; a second one, or no terminal, ends it.
            if not sys.stdin.isatty():
                process.send_signal(signal.SIGTERM)


def free_port(first: int = FIRST_PORT, *, tries: int = 50) -> int:
    """The first port from `first` on that nothing listens on.

    Raises:
        WorkspaceError: none of them is free.
    """
    for port in range(first, min(first + tries, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    last = min(first + tries, 65536) - 1
    what = f"Port {first} is" if tries == 1 else f"All ports from {first} to {last} are"
    raise WorkspaceError(f"{what} taken, perhaps by another JupyterLab. Choose one: course lab --port 9000")


def notebook_of(work: Path, unit: str = "") -> str:
    """The notebook to open, relative to work/ with slashes; "" where there is none at all.

    Args:
        unit: its number ("04"), the number of one of its notebooks ("06b") or the name of its folder; "" for the
            first of all.

    Raises:
        WorkspaceError: there is no such unit.
    """
    names = {}
    released = {path.name for path in (settings.root() / "notebooks").glob("*/*.ipynb")}
    # A learner's own notebooks, and those under a former name, only where there is none of the course.
    for path in sorted(work.glob("[0-9]*/*.ipynb"), key=lambda path: (path.name not in released, path)):
        if ".update-" not in path.name:
            number = path.stem.partition("_")[0]
            names[path.relative_to(work).as_posix()] = (path.parent.name, number)
    wanted = unit.lower() if unit[1:2].isdigit() else f"0{unit.lower()}"  # 6b is 06b
    for notebook, (folder, number) in names.items():
        if unit in ("", folder) or wanted in {number, number[:2]}:
            return notebook
    if not unit:
        return ""
    known = sorted({number for _, number in names.values()})
    raise WorkspaceError(f"There is no unit {unit} in {work}; there is {', '.join(known)}.")


def lab_command(work: Path, *, port: int, browser: bool, notebook: str) -> list[str]:
    """The command line of JupyterLab on work/. Its token travels in the environment, which others cannot see."""
    command = [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={work}", f"--LabApp.default_url=/lab/tree/{notebook}", "--log-level=WARN",
    ]  # fmt: skip
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; Jupyter refuses root unless told
        command.append("--allow-root")
    return command


def can_open_browser() -> bool:
    """Whether there is a screen to open a browser on."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))
