"""Sets of MedMNIST: read from a local file, or fetched whole; offline a sentence says what works instead."""

from __future__ import annotations

import hashlib
import io
import urllib.error

import numpy as np
import pytest
import torch

from course_lib import capstone
from course_lib.data import DataNotFound, medmnist
from course_lib.data.medmnist import load_medmnist as load


def arrays(count=12, *, color=True, classes=8):
    rng = np.random.default_rng(0)
    shape = (count, 28, 28, 3) if color else (count, 28, 28)
    found = {}
    for split, extra in (("train", 0), ("val", 3), ("test", 1)):
        found[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8) // (1 + extra)
        found[f"{split}_labels"] = (np.arange(count) % classes)[:, None].astype(np.uint8)
    return found


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    def refused(*arguments, **options):
        raise urllib.error.URLError("network is unreachable")

    monkeypatch.setattr(medmnist.urllib.request, "urlopen", refused)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_DATA", raising=False)


@pytest.mark.parametrize(("name", "color"), [("bloodmnist", True), ("pneumoniamnist", False)])
def test_a_local_file_is_read(tmp_path, name, color):
    given = arrays(color=color, classes=len(medmnist.CLASSES[name]))
    np.savez(tmp_path / f"{name}.npz", **given)
    test = load(name, split="test", folder=tmp_path)
    assert test.images.shape == (12, 3 if color else 1, 28, 28) and test.images.dtype == torch.uint8
    assert test.labels.tolist() == given["test_labels"][:, 0].tolist() and test.class_names == medmnist.CLASSES[name]
    pixel = given["test_images"][5, 3, 7]
    assert test.images[5, :, 3, 7].tolist() == np.atleast_1d(pixel).tolist()
    train = load(name, folder=tmp_path)
    assert train.name == name and not torch.equal(train.images, test.images)


def test_the_capstone_takes_them_from_course_data(tmp_path, monkeypatch):
    np.savez(tmp_path / "bloodmnist.npz", **arrays(200))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    data = capstone.project("bloodmnist")
    assert data.num_classes == 8 and len(data.labeled) == 40 and data.pool.shape[1:] == (3, 28, 28)
    assert data.labeled.labels.bincount().tolist() == [5] * 8


def test_all_of_them_can_be_named_and_have_a_sum_of_their_file():
    assert set(medmnist.CLASSES) == set(medmnist._MD5)


def test_offline_the_sentence_names_what_works():
    with pytest.raises(
        DataNotFound, match=r"bloodmnist.npz is not in .*could not be downloaded.*COURSE_DATASET=digits"
    ):
        load("bloodmnist")
    with pytest.raises(DataNotFound, match="switched off"):
        load("bloodmnist", download=False)
    with pytest.raises(ValueError, match="expected one of bloodmnist"):
        load("retina")


@pytest.mark.parametrize("whole", [True, False])
def test_a_download_is_kept_only_if_it_is_whole(tmp_path, monkeypatch, whole):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays())
    content, asked = buffer.getvalue(), []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(content if whole else content[:-100])

    monkeypatch.setattr(medmnist.urllib.request, "urlopen", answer)
    monkeypatch.setitem(medmnist._MD5, "bloodmnist", hashlib.md5(content).hexdigest())
    if whole:
        assert len(load("bloodmnist", folder=tmp_path)) == 12 == len(load("bloodmnist", folder=tmp_path))
        assert len(asked) == 1 and asked[0].startswith("https://") and "bloodmnist.npz" in asked[0]
    else:
        with pytest.raises(DataNotFound, match="not the one that was published"):
            load("bloodmnist", folder=tmp_path)
    assert [path.name for path in tmp_path.glob("*.npz")] == ["bloodmnist.npz"] * whole
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"no archive", "not a set of MedMNIST"),
        ({"test_images": np.zeros((2, 28, 28), np.uint8)}, "not a set of MedMNIST"),
        ({**arrays(), "test_labels": np.array([object()] * 12, dtype=object)}, "not a set of MedMNIST"),
        (arrays() | {"test_images": np.zeros((12, 28, 28), np.float32)}, "float32"),
        (arrays() | {"test_labels": np.full((12, 1), 8)}, "one below 8"),
        (arrays() | {"test_labels": np.zeros((12, 14), np.uint8)}, "14 labels per image"),
    ],
)
def test_another_file_is_refused(tmp_path, broken, message):
    path = tmp_path / "bloodmnist.npz"
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    else:
        np.savez(path, **broken)
    with pytest.raises(ValueError, match=message):
        load("bloodmnist", split="test", folder=tmp_path)
