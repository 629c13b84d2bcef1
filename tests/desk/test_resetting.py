"""An exercise goes back to its stub, and the old answer is kept."""

from __future__ import annotations

import json

import pytest
import tiny_course
import tiny_work

from course_lib.desk import resetting, workspace
from course_lib.desk.errors import WorkspaceError

UNIT = tiny_course.UNIT


def test_reset_brings_the_stub_back_and_keeps_the_old_answer(root):
    workspace.prepare(root)
    stub = tiny_work.sources_of(tiny_work.copy_of(root))["double"]
    tiny_work.answer(
        tiny_work.copy_of(root), double="def double(x):\n    return 7", total="def total(x):\n    return 1.0"
    )
    path, kept = resetting.reset("double", root=root)
    assert path == tiny_work.copy_of(root) and kept.parent == root / "work" / ".kept"
    assert kept.read_text() == "def double(x):\n    return 7\n"
    after = tiny_work.sources_of(tiny_work.copy_of(root))
    assert after["double"] == stub and after["total"] == "def total(x):\n    return 1.0"
    cells = {cell["id"]: cell for cell in json.loads(tiny_work.copy_of(root).read_text())["cells"]}
    assert cells["double"]["outputs"] == [] and cells["total"]["outputs"] != []
    assert resetting.reset("double", root=root) == (tiny_work.copy_of(root), None)

    tiny_work.answer(tiny_work.copy_of(root), double="def double(x):\n    return 8")
    _, second = resetting.reset("double", root=root)
    assert second != kept and kept.read_text().endswith("7\n") and second.read_text().endswith("8\n")


def test_reset_of_an_unknown_exercise_names_those_that_there_are(root):
    workspace.prepare(root)
    with pytest.raises(WorkspaceError, match=r"no exercise 'triple'.*double, total, why"):
        resetting.reset("triple", root=root)


def test_reset_takes_the_exercise_back_in_the_record_of_progress(root):
    from course_lib.exercises import progress

    workspace.prepare(root)
    tiny_work.answer(tiny_work.copy_of(root), double="def double(x):\n    return x + x")
    standing = progress.note(None, "double", state="right", score=3, points=3)
    progress.write(root / "work", standing)
    resetting.reset("double", root=root)
    after = progress.read(root / "work")["double"]
    assert (after.state, after.best) == ("not_attempted", 3)
