"""The set-up survives interruption, throws nothing away, leads on into .venv; with a uv and a pip that only pretend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.desk import installing, set_up


class Machine:
    """Stands in for the processes that a set-up starts, and keeps a list of them.

    Attributes:
        uv_on_path: the uv of the machine; one called old cannot choose a build of PyTorch.
        uv: whether pip can have one.
        torchs_index: whether PyTorch's own index is within reach.
        network: whether anything is.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, []
        self.uv_on_path, self.uv, self.torchs_index, self.network = "", True, True, True
        self.interrupted = False
        self.told_pip = ""
        self.variables: dict[str, str] = {}

    def call(self, words: list[str], env: dict[str, str] | None = None, **_: object) -> int:
        line = " ".join(words)
        self.log.append(line)
        self.variables = env or {}
        if "-m venv" in line:
            python = set_up.python_in(Path(words[-1]))
            python.parent.mkdir(parents=True)
            python.touch()
            return 0
        if not Path(words[0]).exists():
            raise FileNotFoundError(words[0])
        if "-e" in words and self.interrupted:
            raise KeyboardInterrupt
        if words[-1] == "uv" and self.uv and self.network:
            self.own_uv().touch()
            return 0
        if "install" not in words:
            return 0
        possible = self.network and words[-1] != "uv" and (self.torchs_index or installing.FITTING_TORCH not in words)
        return int(not possible)

    def output(self, words: list[str]) -> str:
        if words[-1] != "--help":
            return self.told_pip
        known = Path(words[0]).exists() and Path(words[0]).name != "old"
        return "--torch-backend <TORCH_BACKEND>" if known else ""

    def own_uv(self) -> Path:
        return set_up.python_in(self.root / ".venv").with_name("uv.exe" if os.name == "nt" else "uv")

    def installs(self) -> int:
        return sum(" -e " in line for line in self.log)

    def installed_by(self) -> list[str]:
        """What each attempt to install the course was made with."""
        attempts = [line for line in self.log if " -e " in line]
        fitting = {True: "uv, torch that fits", False: "uv"}
        return ["pip" if "-m pip" in line else fitting["--torch-backend=auto" in line] for line in attempts]

    def venv(self) -> set[str]:
        return {path.name for path in (self.root / ".venv").iterdir()}


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    root = tmp_path / "Über uns, my course"
    root.mkdir()
    (root / "pyproject.toml").touch()
    machine = Machine(root)
    monkeypatch.setattr(set_up.subprocess, "call", machine.call)
    monkeypatch.setattr(installing, "_output", machine.output)
    monkeypatch.setattr(installing.shutil, "which", lambda name: machine.uv_on_path)
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
    machine.network = False
    with pytest.raises(set_up.SetUpError, match="Is the network there"):
        set_up.set_up(machine.root)
    assert "packages" in machine.venv() and set_up.READY not in machine.venv()
    machine.network = True
    set_up.set_up(machine.root)
    assert "packages" in machine.venv() and set_up.READY in machine.venv()


def test_uv_installs_the_torch_that_fits_and_comes_into_the_environment_first(machine, capsys):
    set_up.set_up(machine.root)
    assert machine.installed_by() == ["uv, torch that fits"] and machine.own_uv().exists()
    assert all("--compile-bytecode" in line for line in machine.log if " -e " in line), "as pip does"
    assert installing.NO_FITTING_TORCH not in capsys.readouterr().out
    later(machine)
    set_up.set_up(machine.root)
    assert sum(line.endswith(" uv") for line in machine.log) == 1, "uv was there the second time"


def test_without_pytorchs_index_torch_comes_from_the_default_one_with_a_sentence(machine, capsys):
    machine.torchs_index = False
    set_up.set_up(machine.root)
    assert machine.installed_by() == ["uv, torch that fits", "uv"]
    printed = capsys.readouterr().out
    assert installing.NO_FITTING_TORCH in printed and installing.NO_UV not in printed


def test_where_uv_is_not_to_be_had_pip_does_it(machine):
    machine.uv = False
    set_up.set_up(machine.root)
    assert machine.installed_by() == ["pip"]


@pytest.mark.parametrize("old", [False, True])
def test_the_uv_of_the_machine_is_taken_if_it_can_choose_a_torch(machine, tmp_path, old):
    machine.uv_on_path = str(tmp_path / ("old" if old else "uv"))
    Path(machine.uv_on_path).touch()
    set_up.set_up(machine.root)
    assert machine.installed_by() == ["uv, torch that fits"] and machine.own_uv().exists() == old


def test_without_a_network_pip_has_the_last_word(machine):
    machine.uv_on_path = str(machine.root / "uv")
    Path(machine.uv_on_path).touch()
    machine.network = False
    with pytest.raises(set_up.SetUpError, match="Is the network there"):
        set_up.set_up(machine.root)
    assert "-m pip" in machine.log[-1] and set_up.BUSY not in machine.venv()


def test_a_mirror_and_a_proxy_that_pip_was_told_are_uvs_too(machine, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "mine.pem")
    machine.told_pip = r"""global.index-url='https://mirror.test/simple'
install.extra-index-url='\nhttps://one.test/simple\nfile:///two'
:env:.cert='/its.pem'
:env:.proxy='http://proxy.test:80'
:env:.timeout='60'
site.weird
"""
    set_up.set_up(machine.root)
    (line,) = (line for line in machine.log if " -e " in line)
    assert " --default-index https://mirror.test/simple --index https://one.test/simple --index file:///two " in line
    assert installing.LIKE_PIP in line and "60" not in line.replace(str(machine.root), "")
    assert machine.variables["ALL_PROXY"] == "http://proxy.test:80" and machine.variables["SSL_CERT_FILE"] == "mine.pem"


def test_an_environment_whose_python_is_gone_is_made_anew(machine, capsys):
    python = set_up.set_up(machine.root)
    (machine.root / ".venv" / "stale").touch()
    shutil.rmtree(python.parent)
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
