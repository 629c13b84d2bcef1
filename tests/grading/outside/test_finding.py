"""Submissions are found in folders and archives, whatever lies there."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest
from class_notebooks import UNIT, answered, as_bytes

from course_lib.grading.outside.finding import find
from course_lib.grading.outside.submission import BadSubmissions, unpacked

NAME = f"{UNIT}.ipynb"


def hand_in(folder: Path, student: str, data: bytes | None = None, name: str = NAME) -> Path:
    path = folder / student / UNIT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(answered()) if data is None else data)
    return path


@pytest.fixture
def found(tmp_path, release):
    return lambda place=None: find(place or tmp_path, [UNIT], {UNIT: [release]}).submissions


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
    assert len(unpacked(ones["bomb"].data)) <= (20 << 20) + 1
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_in_a_zip_is_not_followed(tmp_path, found) -> None:
    name = f"ada/{UNIT}/{NAME}"
    (one,) = found(archive(tmp_path / "all.zip", {name: b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777))
    assert "symbolic link" in one.problem
