"""The hardened kernel for stock `nbgrader autograde`: what is inside it, and that nbgrader grades through it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest
import small_class
import tiny_course
from small_class import DOUBLE, UNIT

from course_lib.authoring import release
from course_lib.grading.outside import kernelspec
from course_lib.grading.outside.kernelspec import KernelError

REASON = kernelspec.missing()
needs_bwrap = pytest.mark.skipif(bool(REASON), reason=REASON)

PROBE = """
import json, os, pathlib, socket
def attempt(what):
    try:
        return repr(what())
    except OSError as error:
        return type(error).__name__
print(json.dumps({
    "home": os.listdir(os.path.expanduser("~")),
    "solutions": os.path.exists(ROOT + "/solutions"),
    "grading": os.listdir(ROOT + "/course_lib/grading"),
    "class": os.path.exists(CLASS),
    "write_course": attempt(lambda: open(ROOT + "/course_lib/x", "w")),
    "write_python": attempt(lambda: open(os.path.dirname(os.__file__) + "/x", "w")),
    "network": attempt(lambda: socket.create_connection(("1.1.1.1", 53), 1)),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "secret": os.environ.get("COURSE_SECRET"),
    "big_file": attempt(lambda: open("/tmp/big", "wb").truncate(1 << 30)),
    "cwd": os.getcwd(),
}))
"""
HOSTILE = "import os\nos.system('echo stolen > ' + os.environ['COURSE_ROOT'] + '/gradebook.db')\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the tiny unit as its only one, its kernel installed, and Jupyter told where."""
    root = tiny_course.write_project(tmp_path_factory.mktemp("project"))
    kernelspec.install(prefix=root / "prefix", root=root)
    with pytest.MonkeyPatch.context() as patch:
        tiny_course.install(patch)
        patch.setenv("JUPYTER_PATH", str(root / "prefix" / "share" / "jupyter"))
        patch.setenv("COURSE_SECRET", "977")
        yield root


@needs_bwrap
def test_a_kernel_sees_nothing_but_the_environment_and_the_course(project, tmp_path):
    from jupyter_client.manager import KernelManager

    (project / "class").mkdir(exist_ok=True)
    settings = dict(option.removeprefix("--KernelManager.").split("=") for option in kernelspec.options()[1:])
    manager = KernelManager(kernel_name=kernelspec.NAME, **settings)
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    printed = []
    try:
        client.wait_for_ready(timeout=60)
        code = f"ROOT, CLASS = {str(project)!r}, {str(project / 'class')!r}\n{PROBE}"
        reply = client.execute_interactive(
            code, timeout=60, output_hook=lambda m: printed.append(m["content"].get("text", "")), allow_stdin=False
        )
        client.execute("import time; print('sleeps', flush=True); time.sleep(60)")
        while client.get_iopub_msg(timeout=30)["content"].get("text") != "sleeps\n":
            pass
        manager.interrupt_kernel()
        interrupted = client.get_shell_msg(timeout=30)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply
    assert interrupted["ename"] == "KeyboardInterrupt"
    seen = json.loads("".join(printed))
    assert set(seen.pop("home")) <= {"ipython", "matplotlib"}
    assert seen.pop("processes") <= 4
    assert seen == {
        "solutions": False, "grading": [], "class": False, "write_course": "OSError", "write_python": "OSError",
        "network": "OSError", "secret": None, "big_file": "OSError", "cwd": kernelspec.HOME,
    }  # fmt: skip


@needs_bwrap
def test_stock_nbgrader_grades_through_it_and_the_class_stays_out_of_reach(project):
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    folder = project / "class"
    with release.tools_on_path():
        released = small_class.release_tiny(project)
        release.build_unit(UNIT, root=project, gradebook=folder / "gradebook.db")
        page = small_class.notebook(released, double=HOSTILE + DOUBLE)
        handed_in = folder / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb"
        release.write_atomically(handed_in, json.dumps(page).encode())
        before = handed_in.read_bytes()
        config = Config()
        config.CourseDirectory.root = str(folder)
        config.CourseDirectory.source_directory = str(project / "solutions")
        config.CourseDirectory.db_url = f"sqlite:///{folder / 'gradebook.db'}"
        config.CourseDirectory.ignore = ["*.py"]
        for option in kernelspec.options():
            section, _, setting = option.removeprefix("--").partition(".")
            name, _, value = setting.partition("=")
            config[section][name] = value
        outcome = NbGraderAPI(config=config).autograde(UNIT, "ada")
    assert outcome["success"], outcome.get("log") or outcome.get("error")
    with Gradebook(config.CourseDirectory.db_url) as book:
        grades = {g.name: g.auto_score for g in book.find_submission_notebook(UNIT, UNIT, "ada").grades}
    assert (grades["check_double"], grades["check_total"]) == (3, 0)
    assert not (project / "gradebook.db").exists()
    assert handed_in.read_bytes() == before


def test_the_command_never_binds_the_project_nor_a_home(tmp_path):
    (tmp_path / "course_lib").mkdir()
    command = kernelspec.arguments(root=tmp_path)
    bound = [target for flag, target in itertools.pairwise(command) if flag in ("--ro-bind", "--bind")]
    assert str(tmp_path) not in bound
    assert os.path.expanduser("~") not in bound
    assert "/" not in bound
    assert {"--unshare-all", "--clearenv", "--die-with-parent"} <= set(command)


def test_without_bwrap_the_way_to_fix_it_is_said_and_nothing_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(kernelspec.shutil, "which", lambda name: None)
    with pytest.raises(KernelError, match="install bubblewrap"):
        kernelspec.install(prefix=tmp_path)
    assert not list(tmp_path.iterdir())


def test_elsewhere_linux_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "WSL2" in kernelspec.missing()


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(kernelspec, "missing", lambda: "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    kernelspec.socket_folder().mkdir(mode=0o777)
    os.chmod(kernelspec.socket_folder(), 0o777)
    with pytest.raises(KernelError, match="yours alone"):
        kernelspec.install(prefix=tmp_path)


def test_the_command_that_the_documentation_names_runs(tmp_path):
    command = [sys.executable, "-m", "course_lib.grading.kernelspec"]
    done = subprocess.run(command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1 and "The hardened kernel cannot be installed: there is no `bwrap`" in done.stderr
