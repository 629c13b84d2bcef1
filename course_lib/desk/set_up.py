"""The set-up, for all systems: a virtual environment in .venv that holds what the course needs.

Only the standard library is used, because nothing else is there yet. `make` comes here, and so does
`python -m course_lib lab` under a Python that lacks the course's packages: it sets up, once, and goes on in .venv.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from course_lib.desk import installing

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST = (3, 11), (3, 13)
# READY is written last and BUSY first, so that a set-up that was interrupted (Ctrl-C, power) is noticed and done over.
# An installer that fails by itself (no network) leaves things as they were: nothing is thrown away for that.
READY, BUSY = ".course-ready", ".course-set-up-began"
SIZE = "2 GB of disk, or 7 GB where PyTorch is the build for GPUs"
# Where one of these is missing, this Python is not one that the course was installed for.
NEEDED = ("click", "torch", "jupyterlab")
NOT_SET_UP = (
    "The course is not set up here yet, or its packages have changed. "
    "First:  python -m course_lib lab   (with the same python as now: python3 on Linux and macOS, py on Windows)"
)


class SetUpError(Exception):
    """A set-up that cannot be done; the text says why and what to do."""


def python_in(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def is_ready(root: Path | None = None) -> bool:
    """Whether .venv was set up after pyproject.toml last changed, and its interpreter still runs."""
    root = root or ROOT
    try:
        since = (root / ".venv" / READY).stat().st_mtime
        return since >= (root / "pyproject.toml").stat().st_mtime and _runs([python_in(root / ".venv"), "-c", ""])
    except OSError:
        return False


def set_up(root: Path | None = None) -> Path:
    """Makes .venv what it must be, if it is not; returns its interpreter.

    Raises:
        SetUpError: this Python does not fit, or the packages are not to be had; what was there before is kept.
    """
    root = root or ROOT
    venv = root / ".venv"
    python, ready, busy = python_in(venv), venv / READY, venv / BUSY
    if is_ready(root):
        return python
    _check_this_python()
    if busy.exists():
        print("An earlier set-up was interrupted; starting it over.", flush=True)
        _empty(venv, but=busy)
    elif ready.exists() and not _runs([python, "-c", ""]):
        print(f"The Python under {venv} is gone; setting up again.", flush=True)
        _empty(venv)
    venv.mkdir(exist_ok=True)
    busy.touch()
    ready.unlink(missing_ok=True)
    version = sys.version.split()[0]
    print(f"Setting up {venv} with Python {version}: a few minutes and {SIZE}, once.", flush=True)
    if not _runs([python, "-m", "pip", "--version"]) and subprocess.call([sys.executable, "-m", "venv", str(venv)]):
        busy.unlink()
        raise SetUpError(f"Python could not make an environment in {venv}; the lines above say why.")
    if not installing.install(python, root):
        busy.unlink()
        raise SetUpError(
            "Set-up failed; the lines above say why. "
            "Is the network there, the disk not full? Run the same command again then."
        )
    ready.touch()
    busy.unlink()
    print("Set-up is done.", flush=True)
    return python


def _check_this_python() -> None:
    found = sys.version_info[:2]
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if OLDEST <= found <= NEWEST and not missing:
        return
    without = f" without its module {missing[0]}" if missing else ""
    how = {
        "win32": "Install Python 3.12 from python.org, then:  py -3.12 -m course_lib lab",
        "darwin": "brew install python@3.12, then:  python3.12 -m course_lib lab",
    }.get(sys.platform, "Debian, Ubuntu:  sudo apt install python3 python3-venv, then:  python3 -m course_lib lab")
    this = f"{sys.version.split()[0]}{without} ({sys.executable})"
    raise SetUpError(f"This course needs Python 3.11, 3.12 or 3.13 with its venv module; this is {this}.\n{how}")


def _runs(command: Sequence[str | Path]) -> bool:
    try:
        words = [str(word) for word in command]
        return subprocess.call(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def _empty(folder: Path, *, but: Path | None = None) -> None:
    for path in folder.iterdir():
        if path == but:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_installed() -> bool:
    """Whether this Python has what the course needs."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


def show_any_text() -> None:
    """Lets a console that lacks a character (Windows: cp1252) show a question mark instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def run(arguments: Sequence[str]) -> int | None:
    """What `python -m course_lib ARGUMENTS` does before anything else.

    Returns:
        An exit status when all is done here: after `set-up`, or after the command has run in .venv (only `lab` sets it
        up; the others say so). None when this Python has the packages itself, and the command is to go on in it.
    """
    show_any_text()
    alone = list(arguments) == ["set-up"]
    if not alone and is_installed():
        return None
    if not alone and list(arguments[:1]) != ["lab"] and not is_ready():
        print(NOT_SET_UP, file=sys.stderr)
        return 1
    try:
        python = set_up()
    except SetUpError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The next run starts the set-up over.", file=sys.stderr)
        return 130
    if alone:
        return 0
    process = subprocess.Popen([str(python), "-m", "course_lib", *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command had the same Ctrl-C, and ends in its own way
            continue
