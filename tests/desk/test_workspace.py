"""The learner's folder: nothing in it is overwritten, and nothing is lost."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import tiny_course

from course_lib.authoring import release
from course_lib.desk import workspace

UNIT = tiny_course.UNIT
NAME = f"{UNIT}.ipynb"


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> dict[str, bytes]:
    """The tiny notebook as first released, and a later version of it."""
    root = tmp_path_factory.mktemp("releases")
    built = {}
    later = tiny_course.SOURCE.replace("It is used here", "It is used there").replace(
        "The sum of x", "The whole sum of x"
    )
    for name, source in (("first", tiny_course.SOURCE), ("later", later)):
        tiny_course.write_unit(root, source)
        built[name] = release.build_unit(UNIT, root=root, exercises=tiny_course.EXERCISES)[NAME]
    return built


@pytest.fixture
def root(tmp_path, releases, monkeypatch) -> Path:
    monkeypatch.delenv("COURSE_WORK", raising=False)
    put_out(tmp_path, releases["first"])
    return tmp_path


def put_out(root: Path, notebook: bytes) -> None:
    path = root / "notebooks" / UNIT / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(notebook)


def copy_of(root: Path) -> Path:
    return root / "work" / UNIT / NAME


def answer(path: Path, **sources: str) -> None:
    """Writes answers into a notebook as a learner would."""
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if grade_id in sources:
            cell["source"] = sources[grade_id].splitlines(keepends=True)
            if cell["cell_type"] == "code":
                cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": ["ran\n"]}]
                cell["execution_count"] = 4
    path.write_text(json.dumps(notebook))


def sources_of(path: Path) -> dict[str, str]:
    cells = workspace.answer_cells(workspace.read_notebook(path))
    return {name: workspace.source_of(cell) for name, cell in cells.items()}


def test_missing_notebooks_are_copied_and_present_ones_are_left_alone(root):
    assert workspace.prepare(root).copied == (copy_of(root),)
    assert copy_of(root).read_bytes() == (root / "notebooks" / UNIT / NAME).read_bytes()
    answer(copy_of(root), double="def double(x):\n    return x + x")
    mine = copy_of(root).read_bytes()
    again = workspace.prepare(root)
    assert (again.copied, again.offers, again.problems) == ((), (), ())
    assert copy_of(root).read_bytes() == mine
    assert sorted(path.name for path in copy_of(root).parent.iterdir()) == [NAME]


def test_pictures_are_copied_with_the_notebook(root):
    (root / "notebooks" / UNIT / "drawing.svg").write_bytes(b"<svg/>")
    workspace.prepare(root)
    assert (root / "work" / UNIT / "drawing.svg").read_bytes() == b"<svg/>"


def test_a_newer_version_is_offered_beside_the_old_one_with_the_answers_in_it(root, releases):
    workspace.prepare(root)
    mine = "def double(x):\n    return x + x  # mine"
    answer(copy_of(root), double=mine, why="Because.")
    notebook = json.loads(copy_of(root).read_text())
    added = {"cell_type": "code", "id": "a1b2c3d4", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"].insert(3, added | {"source": ["my_helper = 1\n"]})
    copy_of(root).write_text(json.dumps(notebook))
    before = copy_of(root).read_bytes()

    put_out(root, releases["later"])
    (offer,) = workspace.prepare(root).offers
    assert copy_of(root).read_bytes() == before
    release_hash = json.loads(releases["later"])["metadata"]["course"]["release"]
    assert offer.update.name == f"{UNIT}.update-{release_hash[:6]}.ipynb"
    assert offer.carried == ("double", "why") and offer.homeless == () and offer.added == ("my_helper = 1",)
    updated = sources_of(offer.update)
    assert updated["double"] == mine and updated["why"] == "Because."
    assert "The whole sum" in updated["total"]  # what was not attempted is the new stub
    assert "It is used there" in offer.update.read_text()


def test_a_newer_version_is_offered_once_even_when_it_was_deleted(root, releases):
    workspace.prepare(root)
    put_out(root, releases["later"])
    (offer,) = workspace.prepare(root).offers
    answer(offer.update, total="mine too")
    kept = offer.update.read_bytes()
    assert workspace.prepare(root).offers == ()
    assert offer.update.read_bytes() == kept
    offer.update.unlink()
    assert workspace.prepare(root).offers == ()
    assert not offer.update.exists()


def test_an_answer_that_the_newer_version_does_not_ask_for_is_reported(root, releases):
    workspace.prepare(root)
    answer(copy_of(root), double="def double(x):\n    return x + x")
    later = json.loads(releases["later"])
    later["cells"] = [cell for cell in later["cells"] if cell["id"] != "double"]
    put_out(root, json.dumps(later).encode())
    (offer,) = workspace.prepare(root).offers
    assert offer.homeless == ("double",) and offer.carried == ()


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b'{"cells": 3}', b"\xff\xfe", b'{"nbformat": 3, "cells": []}']
)
def test_a_copy_that_cannot_be_read_is_left_as_it_is_and_reported(root, releases, content):
    workspace.prepare(root)
    copy_of(root).write_bytes(content)
    put_out(root, releases["later"])
    done = workspace.prepare(root)
    assert copy_of(root).read_bytes() == content and done.offers == ()
    assert len(done.problems) == 1 and "left as it is" in done.problems[0]


def test_reset_brings_the_stub_back_and_keeps_the_old_answer(root):
    workspace.prepare(root)
    stub = sources_of(copy_of(root))["double"]
    answer(copy_of(root), double="def double(x):\n    return 7", total="def total(x):\n    return 1.0")
    path, kept = workspace.reset("double", root=root)
    assert path == copy_of(root) and kept.parent == root / "work" / ".kept"
    assert kept.read_text() == "def double(x):\n    return 7\n"
    after = sources_of(copy_of(root))
    assert after["double"] == stub and after["total"] == "def total(x):\n    return 1.0"
    cells = {cell["id"]: cell for cell in json.loads(copy_of(root).read_text())["cells"]}
    assert cells["double"]["outputs"] == [] and cells["total"]["outputs"] != []
    assert workspace.reset("double", root=root) == (copy_of(root), None)

    answer(copy_of(root), double="def double(x):\n    return 8")
    _, second = workspace.reset("double", root=root)
    assert second != kept and kept.read_text().endswith("7\n") and second.read_text().endswith("8\n")


def test_reset_of_an_unknown_exercise_names_those_that_there_are(root):
    workspace.prepare(root)
    with pytest.raises(workspace.WorkspaceError, match=r"no exercise 'triple'.*double, total, why"):
        workspace.reset("triple", root=root)


def test_reset_takes_the_exercise_back_in_the_record_of_progress(root):
    from course_lib.exercises import progress

    workspace.prepare(root)
    answer(copy_of(root), double="def double(x):\n    return x + x")
    standing = progress.note(None, "double", state="right", score=3, points=3)
    progress.write(root / "work", standing)
    workspace.reset("double", root=root)
    after = progress.read(root / "work")["double"]
    assert (after.state, after.best) == ("not_attempted", 3)


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(root, monkeypatch):
    (root / "work").write_text("a file where the folder should be")
    with pytest.raises(workspace.WorkspaceError, match=r"Cannot write to .*work.*COURSE_WORK"):
        workspace.prepare(root)
    assert (root / "work").read_text() == "a file where the folder should be"
    (root / "work").unlink()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(root / "work"))

    workspace.prepare(root)
    answer(copy_of(root), double="def double(x):\n    return 7")
    before = copy_of(root).read_bytes()
    monkeypatch.setattr(workspace.tempfile, "mkstemp", refuse)
    with pytest.raises(workspace.WorkspaceError, match=r"Permission denied.*writable"):
        workspace.reset("double", root=root)
    assert copy_of(root).read_bytes() == before


def test_a_project_without_notebooks_says_how_to_get_them(tmp_path):
    with pytest.raises(workspace.WorkspaceError, match="course release"):
        workspace.prepare(tmp_path)


def test_course_work_names_another_folder(root, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "elsewhere"))
    workspace.prepare(root)
    assert (tmp_path / "elsewhere" / UNIT / NAME).is_file() and not (root / "work").exists()


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
    assert copy_of(root).read_text() == "theirs"


def test_a_taken_port_is_passed_over_or_refused_with_a_way_out():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert workspace.free_port(port) > port
        with pytest.raises(workspace.WorkspaceError, match=f"Port {port} is taken.*--port"):
            workspace.free_port(port, tries=1)


def test_lab_opens_the_first_unit_and_keeps_its_token_out_of_the_command_line(root):
    workspace.prepare(root)
    work = root / "work"
    (work / UNIT / f"{UNIT}.update-abcdef.ipynb").write_text("{}")
    command = workspace.lab_command(work, port=9123, browser=False)
    assert f"--LabApp.default_url=/lab/tree/{UNIT}/{NAME}" in command
    assert "--no-browser" in command and "--port=9123" in command
    assert not any("token" in part for part in command)


def test_the_overview_has_a_row_an_exercise(root, monkeypatch):
    from course_lib.exercises import progress

    tiny_course.install(monkeypatch)
    progress.write(root / "work", progress.note(None, "double", state="wrong", score=1, points=3))
    first, second = workspace.overview(root)
    assert (first["exercise"], first["state"], first["best"], first["tries"]) == ("double", "wrong", 1, 1)
    assert (second["number"], second["state"], second["points"]) == ("90.2", "not_attempted", 2)
