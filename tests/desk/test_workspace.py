"""The learner's folder: nothing in it is overwritten, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny_course
import tiny_work

from course_lib.desk import resetting, workspace
from course_lib.desk.errors import WorkspaceError

UNIT = tiny_course.UNIT


def test_missing_notebooks_are_copied_and_present_ones_are_left_alone(root):
    assert workspace.prepare(root).copied == (tiny_work.copy_of(root),)
    assert tiny_work.copy_of(root).read_bytes() == (root / "notebooks" / UNIT / tiny_work.NAME).read_bytes()
    tiny_work.answer(tiny_work.copy_of(root), double="def double(x):\n    return x + x")
    mine = tiny_work.copy_of(root).read_bytes()
    again = workspace.prepare(root)
    assert (again.copied, again.offers, again.problems) == ((), (), ())
    assert tiny_work.copy_of(root).read_bytes() == mine
    assert sorted(path.name for path in tiny_work.copy_of(root).parent.iterdir()) == [tiny_work.NAME]


def test_pictures_are_copied_with_the_notebook(root):
    (root / "notebooks" / UNIT / "drawing.svg").write_bytes(b"<svg/>")
    workspace.prepare(root)
    assert (root / "work" / UNIT / "drawing.svg").read_bytes() == b"<svg/>"


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(root, monkeypatch):
    (root / "work").write_text("a file where the folder should be")
    with pytest.raises(WorkspaceError, match=r"Cannot write to .*work.*COURSE_WORK"):
        workspace.prepare(root)
    assert (root / "work").read_text() == "a file where the folder should be"
    (root / "work").unlink()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(root / "work"))

    workspace.prepare(root)
    tiny_work.answer(tiny_work.copy_of(root), double="def double(x):\n    return 7")
    before = tiny_work.copy_of(root).read_bytes()
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(WorkspaceError, match=r"Permission denied.*writable"):
        resetting.reset("double", root=root)
    assert tiny_work.copy_of(root).read_bytes() == before


def test_a_project_without_notebooks_says_how_to_get_them(tmp_path):
    with pytest.raises(WorkspaceError, match="course release"):
        workspace.prepare(tmp_path)


def test_course_work_names_another_folder(root, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "elsewhere"))
    workspace.prepare(root)
    assert (tmp_path / "elsewhere" / UNIT / tiny_work.NAME).is_file() and not (root / "work").exists()


def test_a_copy_interrupted_midway_leaves_no_half_notebook(root, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workspace.prepare(root)
    assert list((root / "work" / UNIT).iterdir()) == []
    monkeypatch.undo()
    assert workspace.prepare(root).copied


def test_a_file_that_appears_meanwhile_is_not_overwritten(root, monkeypatch):
    link = os.link

    def somebody_was_faster(source, target):
        Path(target).write_text("theirs")
        return link(source, target)

    monkeypatch.setattr(os, "link", somebody_was_faster)
    assert workspace.prepare(root).copied == ()
    assert tiny_work.copy_of(root).read_text() == "theirs"


def test_the_overview_has_a_row_an_exercise(root, monkeypatch):
    from course_lib.exercises import progress

    tiny_course.install(monkeypatch)
    progress.write(root / "work", progress.note(None, "double", state="wrong", score=1, points=3))
    first, second = workspace.overview(root)
    assert (first["exercise"], first["state"], first["best"], first["tries"]) == ("double", "wrong", 1, 1)
    assert (second["number"], second["state"], second["points"]) == ("90.2", "not_attempted", 2)
