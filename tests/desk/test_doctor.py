"""What `course doctor` reports: the isolation that grading gets, and the data sets as the loader finds them."""

from __future__ import annotations

import sys

import pytest
from PIL import Image

from course_lib.data import idx_files
from course_lib.desk import doctor
from course_lib.desk.doctor import Mark


@pytest.mark.skipif(sys.platform != "linux", reason="isolated grading needs Linux")
def test_the_isolation_that_grading_gets(monkeypatch, tmp_path) -> None:
    (tmp_path / "solutions").mkdir()
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces")
    (lower,) = doctor._grading()
    if "no isolation" in lower.text:
        assert "Landlock needs Linux" in lower.fix
    else:
        assert "isolation 'landlock'" in lower.text and "sysctl" in lower.fix
    monkeypatch.setenv("COURSE_FORBID_ISOLATION", "namespaces landlock")
    (none,) = doctor._grading()
    assert none.mark == "note" and "refuses to grade" in none.text and "COURSE_FORBID_ISOLATION" in none.fix


# --- data sets ---


def images(folder, **counts):
    """Makes images: train={"cat": 3}, test=..."""
    for split, classes in counts.items():
        for name, count in classes.items():
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (4, 4)).save(folder / split / name / f"{number}.png")
    return folder


def found(monkeypatch, *, dataset="", data=""):
    monkeypatch.setenv("COURSE_DATASET", dataset)
    monkeypatch.setenv("COURSE_DATA", str(data))
    return list(doctor._data())


@pytest.mark.parametrize("dataset", ["", "digits", "glyphs"])
def test_glyphs_and_digits_need_no_file(dataset, monkeypatch):
    (only,) = found(monkeypatch, dataset=dataset)
    assert only.mark is Mark.OK and "glyphs and digits need no file" in only.text
    assert all(each.mark is Mark.OK for each in doctor._switches())  # the name is known


def test_images_of_ones_own_are_counted_with_what_is_not_taken(monkeypatch, tmp_path):
    folder = images(tmp_path / "pets", train={"cat": 3, "dog": 1}, test={"dog": 2})
    (folder / "train" / "cat" / "notes.txt").write_text("")
    holds, counts, *notes = found(monkeypatch, dataset="folder", data=folder)
    assert holds.mark is counts.mark is Mark.OK and "holds pets" in holds.text
    assert counts.text == "pets: 2 classes, train 4 images (1 to 3 per class), test 2 images (2 per class)"
    assert [note.mark for note in notes] == [Mark.NOTE] * 2
    assert "1 file is not taken: 1 .txt" in notes[0].text and "test has no images of cat" in notes[1].text
    above = found(monkeypatch, data=tmp_path)
    assert above[1].fix == f"to use them: COURSE_DATASET=folder COURSE_DATA={folder}"


@pytest.mark.parametrize(
    ("make", "says", "fix"),
    [
        (lambda folder: folder.mkdir(), "has no folder train", "train/<class>/"),
        (lambda folder: None, "which is not a folder", "set it to a folder"),
        (lambda folder: images(folder, train={"cat": 0}), "cat holds no images", "put images there"),
        (lambda folder: images(folder, train={"cat": 1}), "has no folder test", "a fifth of each class's images"),
        (lambda folder: images(folder, Train={"cat": 1}), "has no folder test", "a fifth of each class's images"),
    ],
)
def test_a_folder_that_no_notebook_can_start_with_is_broken(make, says, fix, monkeypatch, tmp_path):
    make(tmp_path / "pets")
    last = found(monkeypatch, dataset="folder", data=tmp_path / "pets")[-1]
    assert last.mark is Mark.BROKEN and says in last.text and fix in last.fix
    assert all(each.mark is not Mark.BROKEN for each in found(monkeypatch, data=tmp_path / "pets"))


def test_a_folder_without_course_data_is_broken(monkeypatch):
    assert found(monkeypatch, dataset="folder")[-1].mark is Mark.BROKEN


def idx(*shape, values=b""):
    head = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return head + (values or bytes(int(shape[0] * 784 ** (len(shape) > 1))))


def test_mnist_is_found_as_the_loader_finds_it(monkeypatch, tmp_path):
    labels = bytes(idx_files.FIRST_LABELS["mnist", "train"])
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(10, 28, 28))
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(10, values=labels))
    holds, note = found(monkeypatch, dataset="mnist", data=tmp_path)
    assert holds.text.startswith(f"{tmp_path} holds mnist (train only); ")
    assert note.mark is Mark.NOTE and "does not hold all of it" in note.text and "digits" in note.fix
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(b"<html>")
    notes = found(monkeypatch, data=tmp_path)
    assert "train-labels.idx1-ubyte does not begin as an idx file" in notes[0].text and notes[0].mark is Mark.NOTE
