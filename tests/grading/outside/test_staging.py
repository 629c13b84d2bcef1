"""What a student's process may read: the copy of course_lib, and the paths beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import course_lib
from course_lib.grading.outside import staging
from course_lib.grading.outside.isolation import IsolationError

SHARED = (
    "a.py", "data/b.py", "exercises/x.py", "exercises/unit/room/exercise.py", "grading/__init__.py",
    "grading/inside/c.py",
)  # fmt: skip
WITHHELD = (
    "d.json", "authoring/a.py", "desk/a.py", "grading/outside/a.py", "grading/outside/b/c.py", "grading/exports.py",
    "exercises/judging.py", "exercises/answers.py", "exercises/unit/judge.py",
    "exercises/unit/room/__pycache__/judge.pyc", "exercises/unit/room/mistakes.md.gz",
    "exercises/unit/room/judge.py", "exercises/unit/room/mistakes.md",
)  # fmt: skip


def test_the_copy_holds_the_library_and_nothing_that_judges(tmp_path) -> None:
    package = tmp_path / "course_lib"
    for name in (*SHARED, *WITHHELD):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    more = tmp_path / "more"
    for name in (
        "new/__init__.py",
        "new/judge.py",
        "new/room/exercise.py",
        "new/room/judge.py",
        "new/room/mistakes.md",
    ):
        (more / name).parent.mkdir(parents=True, exist_ok=True)
        (more / name).write_text("")
    staging.stage_library([package, more], tmp_path / "copy")
    copied = {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*") if p.is_file()}
    assert copied == {
        f"course_lib/{name}" for name in (*SHARED, "exercises/new/__init__.py", "exercises/new/room/exercise.py")
    }


def test_nothing_readable_holds_the_course_or_what_is_protected(tmp_path) -> None:
    package = Path(course_lib.__file__).parent
    readable = staging.readable_paths()
    assert not any(package.is_relative_to(path) for path in readable)
    assert any(Path(os.__file__).is_relative_to(path) for path in readable)
    with pytest.raises(IsolationError, match="lies inside"):
        staging.check_apart([str(tmp_path)], [str(tmp_path / "class")])
