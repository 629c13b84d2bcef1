"""The set-up survives interruption, throws nothing away, and leads on into .venv; with a pip that only pretends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.desk import set_up


class Machine:
    """Stands in for the processes that a set-up starts, and keeps a list of them."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, []
        self.pip_fails = self.interrupted = False

    def call(self, words: list[str], **_: object) -> int:
        line = " ".join(words)
        self.log.append(line)
        if "-m venv" in line:
            python = set_up.python_in(Path(words[-1]))
            python.parent.mkdir(parents=True)
            python.touch()
        elif not Path(words[0]).exists():
            raise FileNotFoundError(words[0])
        elif "-e" in words and self.interrupted:
            raise KeyboardInterrupt
        return int(self.pip_fails and "install" in words)

    def installs(self) -> int:
        return sum(" -e " in line for line in self.log)

    def venv(self) -> set[str]:
        return {path.name for path in (self.root / ".venv").iterdir()}


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    root = tmp_path / "Über uns, my course"
    root.mkdir()
    (root / "pyproject.toml").touch()
    machine = Machine(root)
    monkeypatch.setattr(set_up.subprocess, "call", machine.call)
    return machine


def later(machine: Machine) -> None:
    """pyproject.toml changes after the set-up."""
    since = (machine.root / ".venv" / set_up.READY).stat().st_mtime + 10
    os.utime(machine.root / "pyproject.toml", (since, since))


def test_it_is_done_once_and_again_when_the_packages_change(machine):
    assert set_up.set_up(machine.root) == set_up.python_in(machine.root / ".venv")
    assert machine.installs() == 1 and set_up.READY in machine.venv() and set_up.BUSY not in machine.venv()
    set_up.set_up(machine.root)
    assert machine.installs() == 1
    later(machine)
    set_up.set_up(machine.root)
    assert machine.installs() == 2 and sum("-m venv" in line for line in machine.log) == 1


def test_an_interrupted_one_is_done_over(machine, capsys):
    machine.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        set_up.set_up(machine.root)
    assert set_up.BUSY in machine.venv() and set_up.READY not in machine.venv()
    (machine.root / ".venv" / "half_a_package").mkdir()
    machine.interrupted = False
    set_up.set_up(machine.root)
    assert "interrupted" in capsys.readouterr().out
    assert "half_a_package" not in machine.venv() and set_up.READY in machine.venv()


def test_a_failed_update_throws_nothing_away(machine):
    set_up.set_up(machine.root)
    (machine.root / ".venv" / "packages").mkdir()
    later(machine)
    machine.pip_fails = True
    with pytest.raises(set_up.SetUpError, match="Is the network there"):
        set_up.set_up(machine.root)
    assert "packages" in machine.venv() and set_up.READY not in machine.venv()
    machine.pip_fails = False
    set_up.set_up(machine.root)
    assert "packages" in machine.venv() and set_up.READY in machine.venv()


def test_an_environment_whose_python_is_gone_is_made_anew(machine, capsys):
    python = set_up.set_up(machine.root)
    (machine.root / ".venv" / "stale").touch()
    python.unlink()
    python.parent.rmdir()
    set_up.set_up(machine.root)
    assert "is gone" in capsys.readouterr().out
    assert machine.installs() == 2 and "stale" not in machine.venv()


def test_a_python_that_does_not_fit_is_a_clear_message_and_nothing_is_made(machine, monkeypatch):
    monkeypatch.setattr(set_up.sys, "version_info", (3, 9, 2))
    with pytest.raises(set_up.SetUpError, match=r"needs Python 3\.11, 3\.12 or 3\.13"):
        set_up.set_up(machine.root)
    assert not (machine.root / ".venv").exists()


def test_a_bare_python_sets_up_and_goes_on_in_venv(machine, monkeypatch, capsys):
    went_on = []

    class Process:
        def __init__(self, words: list[str]) -> None:
            went_on.append(words)

        def wait(self) -> int:
            if len(went_on) == 1:
                went_on.append(["Ctrl-C"])
                raise KeyboardInterrupt
            return 7

    monkeypatch.setattr(set_up.subprocess, "Popen", Process)
    monkeypatch.setattr(set_up, "is_installed", lambda: False)
    monkeypatch.setattr(set_up, "ROOT", machine.root)
    assert set_up.run(["check", "accuracy", "mine.py"]) == 1 and machine.log == [], "only `lab` installs anything"
    assert "First:  python -m course_lib lab" in capsys.readouterr().err
    assert set_up.run(["lab", "--copy-only"]) == 7
    python = str(set_up.python_in(machine.root / ".venv"))
    assert went_on[0] == [python, "-m", "course_lib", "lab", "--copy-only"]
    assert set_up.run(["progress"]) == 7 and machine.installs() == 1
    monkeypatch.setattr(set_up, "is_installed", lambda: True)
    assert set_up.run(["progress"]) is None
    assert set_up.run(["set-up"]) == 0 and machine.installs() == 1


def test_it_needs_only_the_standard_library():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import course_lib.desk.set_up as s; print(s.is_installed())"
    bare = [sys.executable, "-I", "-S", "-c", code, str(set_up.ROOT)]  # -S: no site-packages
    assert subprocess.run(bare, capture_output=True, text=True, timeout=60).stdout == "False\n"


def test_a_folder_with_any_name_can_be_told_on_an_old_console():
    code = "from course_lib.desk import set_up; set_up.set_up = lambda: print('C:/课程/.venv'); set_up.run(['set-up'])"
    variables = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(set_up.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [b"C:/??/.venv"], b"")
