"""MNIST and Fashion-MNIST in the layouts that sites ship, CIFAR-10 in torchvision's."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import shutil
import socket
import tarfile

import numpy as np
import pytest

from course_lib.data import DataNotFound, idx_files, load, torchvision_sets

NAMES = {
    "dashes": ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"),
    "dots": ("{}-images.idx3-ubyte", "{}-labels.idx1-ubyte"),
}
COUNTS = {"train": 40, "t10k": 20}
FIRST = {
    kind: {split: idx_files.FIRST_LABELS[kind, split] for split in ("train", "test")}
    for kind in ("mnist", "fashion_mnist")
}


@pytest.fixture(autouse=True)
def no_cache_no_network(tmp_path_factory, monkeypatch):
    def offline(*arguments, **options):
        raise OSError("network is unreachable")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(socket, "create_connection", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.delenv("COURSE_DATA", raising=False)


def idx(values):
    """The bytes of an idx file: magic number with type and rank, big-endian sizes, values."""
    head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return head + values.astype(np.uint8).tobytes()


def contents(prefix, kind=None):
    """Pictures and labels of a made-up set, or of one that begins as a real one does."""
    rng, count = np.random.default_rng(len(prefix)), COUNTS[prefix]
    labels = np.arange(count) % 10
    if kind is not None:
        labels[:10] = FIRST[kind]["train" if prefix == "train" else "test"]
    return rng.integers(0, 256, (count, 28, 28)), labels


def write(folder, *, names="dashes", packed=False, own_folders=False, kind=None, only=None):
    """Writes the four files into a folder; `own_folders`: each into a folder of its own name."""
    for prefix in COUNTS:
        for pattern, values in zip(NAMES[names], contents(prefix, kind)):
            name, content = pattern.format(prefix), idx(values)
            if only is not None and only not in name:
                continue
            place = folder / name if own_folders else folder
            place.mkdir(parents=True, exist_ok=True)
            (place / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


def assert_is_the_set(folder, name="mnist", kind=None):
    for split, prefix in (("train", "train"), ("test", "t10k")):
        pictures, labels = contents(prefix, kind)
        data = load(name, folder=folder, split=split, download=False)
        assert np.array_equal(data.images[:, 0].numpy(), pictures) and data.labels.tolist() == labels.tolist()
        assert torchvision_sets.is_in(name, split, folder)


# --- layouts ---


@pytest.mark.parametrize(
    "where", ["", "raw", "archive", "MNIST", "MNIST/raw", "mnist", "mnist-dataset", "archive/mnist"]
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("names", NAMES)
def test_mnist_is_found_as_sites_ship_it(names, packed, where, tmp_path):
    write(tmp_path / where, names=names, packed=packed)
    assert_is_the_set(tmp_path)
    assert_is_the_set(tmp_path / where)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("where", ["", "archive"])
def test_each_file_in_a_folder_of_its_own_name(where, names, tmp_path):
    write(tmp_path / where, names=names, own_folders=True)
    assert_is_the_set(tmp_path)


def test_kaggle_ships_files_with_dots_beside_folders_with_dashes(tmp_path):
    write(tmp_path / "archive", names="dots")
    write(tmp_path / "archive", names="dashes", own_folders=True)
    assert_is_the_set(tmp_path)


def test_names_may_be_wrong_about_compression(tmp_path):
    """Browsers unpack on the way and keep the name, or the other way round."""
    write(tmp_path)
    for file in list(tmp_path.iterdir())[:2]:
        file.rename(f"{file}.gz")
    for file in tmp_path.glob("*ubyte"):
        file.write_bytes(gzip.compress(file.read_bytes()))
    assert_is_the_set(tmp_path)


@pytest.mark.parametrize(
    "where", ["fashion", "data/fashion", "Fashion-MNIST/raw", "fashion_mnist", "fashionmnist/archive"]
)
def test_fashion_mnist_is_found_as_sites_ship_it(where, tmp_path):
    write(tmp_path / where, packed=True)
    assert_is_the_set(tmp_path, "fashion_mnist")
    for folder in (tmp_path, tmp_path / where):
        with pytest.raises(DataNotFound):
            load("mnist", folder=folder, download=False)


@pytest.mark.parametrize("where", ["", "archive", "raw", "unpacked here"])
def test_the_first_labels_tell_the_sets_apart(where, tmp_path):
    write(tmp_path / where, kind="fashion_mnist")
    assert_is_the_set(tmp_path, "fashion_mnist", "fashion_mnist")
    with pytest.raises(DataNotFound):
        load("mnist", folder=tmp_path, download=False)


@pytest.mark.parametrize("other", ["KMNIST/raw", "emnist", "QMNIST", "something else"])
def test_another_set_with_the_same_names_is_not_taken(other, tmp_path):
    write(tmp_path / other)
    with pytest.raises(DataNotFound):
        load("mnist", folder=tmp_path, download=False)
    write(tmp_path / "MNIST" / "raw", kind="mnist")
    assert_is_the_set(tmp_path, "mnist", "mnist")


def test_real_mnist_packed_and_renamed(shared_data, tmp_path):
    raw = shared_data / "MNIST" / "raw"
    if not raw.is_dir():
        pytest.skip(f"needs MNIST/raw in {shared_data}")
    for file in raw.glob("t10k*"):
        name = file.name.replace("-idx", ".idx")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(file.read_bytes(), 1))
    test = load("mnist", split="test", folder=tmp_path)
    assert test.images.equal(load("mnist", split="test", folder=shared_data).images)


# --- what is wrong with them ---


@pytest.mark.parametrize("names", NAMES)
def test_one_half_without_the_other_is_said(names, tmp_path):
    write(tmp_path, names=names, only="images")
    with pytest.raises(DataNotFound, match=r"there is .*train-images.*, but not the images and labels that belong"):
        load("mnist", folder=tmp_path, download=False)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("mnist.npz", "mnist.npz, which is in another format; the files that are read are train-images-idx3-ubyte, tr"),
        ("archive/mnist_train.csv", "mnist_train.csv, which is in another format"),
        ("fashion-mnist_train.csv", "fashion-mnist_train.csv, which is in another format"),
        ("data/mnist.pkl.gz", "mnist.pkl.gz, which is in another format"),
        ("MNIST.zip", "MNIST.zip; unpack it there"),
    ],
)
def test_another_format_is_said_with_the_files_that_are_read(file, says, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"?")
    with pytest.raises(DataNotFound, match=rf"(?s)MNIST is not in .*there is .*{says}"):
        load("mnist", folder=tmp_path, download=False)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda whole: whole[:-1], "should hold 40 x 28 x 28 = 31,360 bytes and holds 31,359"),
        (lambda whole: whole + b"\0", "holds 31,361"),
        (lambda whole: b"", "does not begin as an idx file"),
        (lambda whole: b"<!DOCTYPE html>" + whole, "does not begin as an idx file"),
        (lambda whole: whole[:2] + b"\x0d" + whole[3:], "does not begin as an idx file of bytes"),
        (lambda whole: gzip.compress(whole)[:-20], "cannot be read"),
        (lambda whole: gzip.compress(whole)[:30] + b"\0" * 99, "cannot be read"),
        (lambda whole: whole[:4] + b"\xff" * 12 + whole[16:], "should hold"),
        (lambda whole: idx(np.zeros((7, 28, 28))), r"\(7, 28, 28\) and .*\(40,\)"),
        (lambda whole: idx(np.zeros(40)), r"\(40,\) and .*\(N, height, width\) and \(N,\) were expected"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(damage, says, tmp_path):
    write(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=rf"(?s)train-images-idx3-ubyte.*{says}.*not a readable MNIST file. Delete it"):
        load("mnist", folder=tmp_path)


def test_labels_that_mnist_cannot_have(tmp_path):
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(40)))
    with pytest.raises(ValueError, match="a label 39; 0 to 9 were expected"):
        load("mnist", folder=tmp_path)


# --- CIFAR-10 ---


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """A small CIFAR-10 as torchvision keeps it, with sums of its own; returns the pixels."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "made" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3072), dtype=np.uint8)
    sums = {}
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"]:
        content = pickle.dumps({"data": pixels, "labels": list(range(10)), "label_names": ["x"] * 10})
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{k}", sums[f"data_batch_{k}"]] for k in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(
        CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    )
    return folder, pixels


PLACES = ["cifar-10-batches-py", "CIFAR10/cifar-10-batches-py", "archive/cifar-10-batches-py", "cifar10", "archive", "",
          "cifar-10-python/cifar-10-batches-py"]  # fmt: skip


@pytest.mark.parametrize("where", PLACES)
def test_cifar10_is_found_in_its_folder_and_above(where, batches, tmp_path):
    made, pixels = batches
    shutil.copytree(made, tmp_path / "data" / where, dirs_exist_ok=True)
    for folder in (tmp_path / "data", tmp_path / "data" / where):
        assert torchvision_sets.is_in("cifar10", "train", folder)
        test = load("cifar10", split="test", folder=folder, download=False)
        assert np.array_equal(test.images.numpy().reshape(10, -1), pixels)
    assert len(load("cifar10", folder=tmp_path / "data")) == 50


@pytest.mark.parametrize("writable", [True, False], ids=["beside it", "in the cache"])
def test_cifar10_is_read_from_the_archive_that_torchvision_downloads(writable, batches, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    made, pixels = batches
    folder = tmp_path / "data"
    folder.mkdir()
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made, arcname=made.name)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: (writable or "data" not in str(path)) and access(path, mode))
    for _ in range(2):
        data = load("cifar10", split="test", folder=folder, download=False)
        assert np.array_equal(data.images.numpy().reshape(10, -1), pixels)
    assert (folder / made.name).is_dir() == writable
    monkeypatch.setattr(CIFAR10, "tgz_md5", "0" * 32)
    shutil.rmtree(folder / made.name, ignore_errors=True)
    with pytest.raises(ValueError, match=r"tar\.gz is not the archive of CIFAR-10"):
        load("cifar10", split="test", folder=folder, download=False)


def test_a_cifar10_that_lacks_a_batch_is_said(batches, tmp_path):
    made, _ = batches
    (made / "data_batch_3").unlink()
    with pytest.raises(ValueError, match="not a whole copy of CIFAR-10"):
        load("cifar10", folder=made)
