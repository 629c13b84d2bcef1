"""What can be told here of Windows and macOS: a learner's path without fork, POSIX modules or a UTF-8 console."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_course

from course_lib.authoring import bundle, release
from course_lib.desk import cli, workspace

PACKAGE = Path(cli.__file__).resolve().parents[1]

# Loaded at start-up by every Python below: what Windows lacks is not there. nbgrader looks at sys.platform instead.
WITHOUT_POSIX = """
import builtins, multiprocessing, os, signal, sys
multiprocessing.set_start_method("spawn")
for module, names in {
    os: "fork forkpty geteuid setsid killpg sched_getaffinity mkfifo",
    signal: "SIGALRM alarm setitimer",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
absent = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
real_import = builtins.__import__


def without_posix(name, globals=None, *rest, **named):
    if name in absent and (globals or {}).get("__name__", "").split(".")[0] != "nbgrader":
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real_import(name, globals, *rest, **named)


builtins.__import__ = without_posix
"""

# All that students are given.
LEARNERS = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
    and not path.relative_to(PACKAGE.parent).as_posix().startswith(bundle.NOT_FOR_STUDENTS)
)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """The tiny course in a folder whose name has a space, umlauts and Chinese signs, its notebook released."""
    root = tiny_course.write_project(tmp_path_factory.mktemp("Übung 一 (mine) "))
    (root / "posix").mkdir()
    (root / "posix" / "sitecustomize.py").write_text(WITHOUT_POSIX, encoding="utf-8")
    folder = root / "notebooks" / tiny_course.UNIT
    folder.mkdir(parents=True)
    for name, content in release.build_unit(tiny_course.UNIT, root=root, exercises=tiny_course.EXERCISES).items():
        (folder / name).write_bytes(content)
    shutil.rmtree(root / "solutions")  # a learner's copy has none, and no grader
    (root / "mine.py").write_text("def double(x):\n    return x / 2\n", encoding="utf-8")
    return root


def run(
    root: Path, *arguments: str, package: Path | None = None, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    paths = os.pathsep.join([str(root / "posix"), str(package or root)])
    variables = {**clean, "PYTHONPATH": paths, "COURSE_ROOT": str(root), "PYTHONIOENCODING": encoding}
    variables |= {"OMP_NUM_THREADS": "1", "COURSE_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=package or root, env=variables, capture_output=True, timeout=180
    )


def test_what_students_are_given_needs_no_posix_module_and_no_fork(elsewhere):
    assert {"course_lib", "course_lib.desk.workspace", "course_lib.exercises.autoencoders.corrupt.judge"} <= set(
        LEARNERS
    )
    done = run(elsewhere, "-c", "\n".join(f"import {name}" for name in LEARNERS), package=PACKAGE.parent)
    assert done.returncode == 0, done.stderr.decode()
    spoilt = run(elsewhere, "-c", "import fcntl")
    assert b"No module named 'fcntl'" in spoilt.stderr, "the module is not hidden at all"


# One process for all commands: most of a second each is the import of torch.
ONE_AFTER_THE_OTHER = """
import json, sys
from course_lib.desk import cli, workspace
from course_lib.authoring import bundle, release
for line in json.loads(sys.argv.pop()):
    sys.argv[1:] = line
    try:
        cli.main()
    except SystemExit as stop:
        print("exit", stop.code, flush=True)
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_learners_commands_on_a_console_that_is_not_utf_8(elsewhere, encoding):
    expected = (
        (["lab", "--copy-only"], 0, ""),
        (["exercises"], 0, "90.1"),
        (["check", "double", "mine.py"], 1, "You halved it."),
        (["check", "double", "mine.py", "--json"], 1, '"half"'),
        (["progress"], 0, "of 5 points"),
        (["reset", "double"], 0, "at its start"),
        (["reset", "absent"], 1, ""),
        (["doctor"], 0, "packages"),
    )
    lines = json.dumps([arguments for arguments, *_ in expected])
    done = run(elsewhere, "-c", ONE_AFTER_THE_OTHER, lines, encoding=encoding)
    assert done.returncode == 0, done.stderr.decode(encoding)
    outputs = re.split(r"exit (\w+)\r?\n", done.stdout.decode(encoding, "replace"))
    assert len(outputs) == 2 * len(expected) + 1
    for (arguments, status, said), output, code in zip(expected, outputs[::2], outputs[1::2]):
        assert (code, said in output) == (str(status), True), (arguments, output, done.stderr)
    assert "fault of the course" not in done.stderr.decode(encoding)


def test_a_whole_notebook_is_checked_without_fork(elsewhere):
    workspace.prepare(elsewhere)
    done = run(elsewhere, "-m", "course_lib", "check", f"work/{tiny_course.UNIT}/{tiny_course.UNIT}.ipynb")
    assert done.returncode == 1 and done.stdout.count(b"not attempted") == 2, done.stderr.decode()


def test_what_the_commands_print_is_for_any_console():
    """Literal text of the command is ASCII, so nothing turns into a question mark on an old console, and no emoji."""
    for path in (PACKAGE / "desk").glob("*.py"):
        assert path.read_text(encoding="utf-8").isascii(), path.name
