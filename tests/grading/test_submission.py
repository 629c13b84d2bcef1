"""Submissions as data: found, read, compared with the release."""

from __future__ import annotations

import copy
import json
import os
import stat
import warnings
import zipfile
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import UNIT, answered, as_bytes, cell_of

from course_lib.grading.outside.submission import BadSubmissions, Malformed, find, parse, read_release

NAME = f"{UNIT}.ipynb"


def hand_in(folder: Path, student: str, data: bytes | None = None, name: str = NAME) -> Path:
    path = folder / student / UNIT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(answered()) if data is None else data)
    return path


@pytest.fixture
def found(tmp_path, release):
    return lambda place=None: find(place or tmp_path, [UNIT], {UNIT: [release]})


def test_what_is_run_of_an_honest_notebook(release) -> None:
    parsed = parse(as_bytes(answered(extra="helper = 1")), release)
    assert [name for name, _ in parsed.cells] == ["3f2a1b", "double", "scale"]
    assert parsed.tampered == ()
    assert parsed.answer_cells == {"double": ("double",), "scale": ("scale",)}


def edited(change) -> bytes:
    notebook = answered()
    change(notebook)
    return as_bytes(notebook)


def _meta(key, value):
    return lambda n: cell_of(n, "check_double")["metadata"]["nbgrader"].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: n["cells"].remove(cell_of(n, "check_double")), "'check_double' is missing"),
        (lambda n: n["cells"].remove(cell_of(n, "double")), "'double' is missing"),
        (lambda n: n["cells"].append(copy.deepcopy(cell_of(n, "scale"))), "'scale' is there 2 times"),
        (lambda n: n["cells"].insert(1, n["cells"].pop(4)), "cells were moved"),
        (lambda n: cell_of(n, "check_scale").update(source="2.0"), "locked cell 'check_scale' was edited"),
        (lambda n: cell_of(n, "double").update(cell_type="raw"), "turned from code into raw"),
        (_meta("points", 1000), "other metadata: points"),
        (_meta("grade", False), "other metadata: grade"),
        (_meta("locked", False), "other metadata: locked"),
        (_meta("grade_id", "mine"), "'mine' was not in the released"),
    ],
)
def test_tampering_is_named(release, change, words: str) -> None:
    parsed = parse(edited(change), release)
    assert any(words in sentence for sentence in parsed.tampered), parsed.tampered


def test_an_answer_turned_into_text_by_a_slip_is_run_all_the_same(release) -> None:
    parsed = parse(edited(lambda n: cell_of(n, "double").update(cell_type="raw")), release)
    assert parsed.answer_cells["double"] == ("double",)


def test_an_edited_setup_cell_is_run_and_edited_demo_and_check_cells_are_not(release) -> None:
    def change(notebook):
        cell_of(notebook, "cell-000")["source"] += "import math\n"
        for name in ("cell-001", "check_double", "cell-007"):
            cell_of(notebook, name)["source"] = "1 / 0"

    parsed = parse(edited(change), release)
    assert [name for name, _ in parsed.cells] == ["cell-000", "double", "scale"]


def test_notebooks_without_cell_ids_are_read(release) -> None:
    def change(notebook):
        notebook["nbformat_minor"] = 4
        for cell in notebook["cells"]:
            del cell["id"]

    parsed = parse(edited(change), release)
    assert [name for name, _ in parsed.cells] == ["#2", "#4"]


def test_a_byte_order_mark_is_no_harm_and_nor_is_a_newer_minor_format(release) -> None:
    data = b"\xef\xbb\xbf" + edited(lambda n: n.update(nbformat_minor=99, unknown={"x": 1}))
    assert len(parse(data, release).cells) == 2


def test_format_3_is_converted(release) -> None:
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = nbformat.convert(nbformat.from_dict(answered()), 3)
    parsed = parse(json.dumps(old).encode(), release)
    assert len(parsed.answer_cells["double"]) == 1


@pytest.mark.parametrize(
    "metadata", [None, 7, {"nbgrader": "yes"}, {"nbgrader": {"grade_id": ["a"]}, "tags": {"a": 1}}]
)
def test_strange_metadata_harms_nobody(release, metadata) -> None:
    parse(edited(lambda n: n["cells"].append({**notebooks.code("x = 1", "z"), "metadata": metadata})), release)


def test_half_characters_can_be_written_later(release) -> None:
    parsed = parse(edited(lambda n: n["cells"].append(notebooks.code("x = '\ud800'", "\ud800"))), release)
    json.dumps(parsed.cells).encode()
    "".join(source for _, source in parsed.cells).encode()


@pytest.mark.parametrize("size", ["cells", "text"])
def test_too_long_a_notebook_is_refused(release, size: str) -> None:
    many = [notebooks.code("x", "y")] * 2001 if size == "cells" else [notebooks.code("x" * 2_000_000, "y")]
    with pytest.raises(Malformed, match=r"at most|more than"):
        parse(edited(lambda n: n["cells"].extend(many)), release)


# --- folders --------------------------------------------------------------------------------------------------------


def test_submissions_are_found_in_order(tmp_path, found) -> None:
    for student in ("grace", "ada", 'O\'Neill, "x"', "=cmd()", ".hidden"):
        hand_in(tmp_path, student)
    (tmp_path / "readme.txt").write_text("")
    assert [one.student for one in found()] == ["=cmd()", 'O\'Neill, "x"', "ada", "grace"]


def test_missing_renamed_and_extra_notebooks(tmp_path, found) -> None:
    hand_in(tmp_path, "missing", name="notes.txt")
    hand_in(tmp_path, "renamed", name="Copy of mine.ipynb")
    hand_in(tmp_path, "extra")
    hand_in(tmp_path, "extra", name="scratch.ipynb")
    missing, renamed, extra = sorted(found(), key=lambda one: ["missing", "renamed", "extra"].index(one.student))
    assert "is missing; the student's folder holds notes.txt" in missing.problem
    assert renamed.data and "is called 'Copy of mine.ipynb'" in renamed.notes[0]
    assert extra.data and "'scratch.ipynb'" in extra.notes[0]


def test_links_pipes_and_folders_are_not_read(tmp_path, found) -> None:
    secret = tmp_path.parent / "other.ipynb"
    secret.write_text("secret")
    hand_in(tmp_path, "link").unlink()
    (tmp_path / "link" / UNIT / NAME).symlink_to(secret)
    hand_in(tmp_path, "pipe").unlink()
    os.mkfifo(tmp_path / "pipe" / UNIT / NAME)
    hand_in(tmp_path, "folder").unlink()
    (tmp_path / "folder" / UNIT / NAME).mkdir()
    (tmp_path / "linked_student").symlink_to(tmp_path / "pipe")
    ones = {one.student: one for one in found()}
    assert set(ones) == {"link", "pipe", "folder"}
    assert all(one.problem and not one.data for one in ones.values())


def test_what_is_no_folder_of_submissions(tmp_path, found) -> None:
    with pytest.raises(BadSubmissions, match="it is empty"):
        found()
    with pytest.raises(BadSubmissions, match="no folder or zip"):
        found(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadSubmissions, match="neither a folder nor a zip"):
        found(tmp_path / "file")
    (tmp_path / "ada" / "02_other").mkdir(parents=True)
    with pytest.raises(BadSubmissions, match="it has 02_other"):
        found()


def test_a_unit_that_was_not_released(release_folder) -> None:
    with pytest.raises(BadSubmissions, match=f"there are {UNIT}"):
        read_release(release_folder, "99_nothing")


# --- archives -------------------------------------------------------------------------------------------------------


def archive(path: Path, entries: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode:
                info.external_attr = mode << 16
            made.writestr(info, data)
    return path


@pytest.mark.parametrize("top", ["", "submitted/"])
def test_a_zip_is_read_like_a_folder(tmp_path, found, top: str) -> None:
    names = [f"{top}{student}/{UNIT}/{NAME}" for student in ("ada", "grace")]
    ones = found(archive(tmp_path / "all.zip", {name: as_bytes(answered()) for name in names}))
    assert [(one.student, bool(one.data)) for one in ones] == [("ada", True), ("grace", True)]


def test_a_hostile_zip(tmp_path, found) -> None:
    entries = {
        f"../evil/{UNIT}/{NAME}": b"x",
        f"/abs/{UNIT}/{NAME}": b"x",
        f"a/../../{UNIT}/{NAME}": b"x",
        f"C:/{UNIT}/{NAME}": b"x",
        f"..\\evil/{UNIT}/{NAME}": b"x",
        f"bomb/{UNIT}/{NAME}": bytes(60 << 20),
        f"ada/{UNIT}/{NAME}": as_bytes(answered()),
    }
    ones = {one.student: one for one in found(archive(tmp_path / "all.zip", entries))}
    assert set(ones) == {"ada", "bomb"}
    assert len(ones["bomb"].data) <= (20 << 20) + 1
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_in_a_zip_is_not_followed(tmp_path, found) -> None:
    name = f"ada/{UNIT}/{NAME}"
    (one,) = found(archive(tmp_path / "all.zip", {name: b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777))
    assert "symbolic link" in one.problem
