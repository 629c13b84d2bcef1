"""MNIST, Fashion-MNIST and CIFAR-10: from a local folder when they are there, else downloaded by torchvision."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib import settings
from course_lib.data import idx_files
from course_lib.data.errors import DataNotFound
from course_lib.data.idx_files import subfolders

TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip
_TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
_CIFAR_FOLDER = "cifar-10-batches-py"
_CIFAR_ARCHIVE = "cifar-10-python.tar.gz"


def download_folder() -> Path:
    """Where downloads go when neither `folder` nor `COURSE_DATA` is given: the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(cache) if cache else Path.home() / ".cache") / "learning-with-few-labels"


def load_torchvision(name: str, *, split: str, folder: Path | None, download: bool) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, C, H, W) and labels int64 (N,) of one of the three sets, in the order of its files.

    Args:
        name: "mnist", "fashion_mnist" or "cifar10".
        split: "train" or "test".
        folder: looked into first, then `COURSE_DATA`, then the cache. Either the set's own folder or the one above it;
            `idx_files` has the layouts of MNIST.
        download: whether to fetch it when it is in none of them.

    Raises:
        DataNotFound: it is not there, and download is off or failed.
    """
    folders = [path for path in (folder, settings.data_folder(), download_folder()) if path is not None]
    for path in folders:
        found = _read(name, split, path)
        if found is not None:
            return found
    looked = ", ".join(str(path) for path in dict.fromkeys(folders))
    if name != "cifar10":
        looked += _what_is_there(split, folders)
    if not download:
        raise DataNotFound(f"{TITLES[name]} is not in {looked}, and downloading is switched off. {_ADVICE}")
    target = next((path for path in folders if _writable(path)), folders[-1])
    try:
        _download(name, split, target)
    except (OSError, RuntimeError) as error:  # torchvision raises RuntimeError when all its mirrors fail
        raise DataNotFound(
            f"{TITLES[name]} is not in {looked}, and could not be downloaded ({error}). {_ADVICE}"
        ) from error
    found = _read(name, split, target)
    if found is None:
        raise DataNotFound(f"{TITLES[name]} was downloaded to {target}, but cannot be found there. {_ADVICE}")
    return found


def _what_is_there(split: str, folders: list[Path]) -> str:
    """Words in parentheses about files of MNIST's family that cannot be taken, or none."""
    halves = (half for path in folders if (half := idx_files.half(split, path)) is not None)
    half = next(halves, None)
    if half is not None:
        return f" (there is {half}, but not the images and labels that belong together)"
    others = (file for path in folders if (file := idx_files.in_another_format(path)) is not None)
    other = next(others, None)
    if other is None:
        return ""
    if other.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz")):
        return f" (there is {other}; unpack it there)"
    return f" (there is {other}, which is in another format; the files that are read are {idx_files.FILES})"


_ADVICE = (
    "The default data set works offline: COURSE_DATASET=glyphs, or load('glyphs'). "
    "If you have the files, set COURSE_DATA to their folder."
)


def _writable(folder: Path) -> bool:
    """Whether files can be put into `folder`, which need not exist yet. A class's data folder is often read-only."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    return existing.is_dir() and os.access(existing, os.W_OK)


def is_in(name: str, split: str, folder: Path) -> bool:
    """Whether a split of a set can be read from a folder, without reading its images."""
    if name == "cifar10":
        return _cifar_batches(folder) is not None or _cifar_archive(folder) is not None
    return idx_files.find(name, split, folder) is not None


def _read(name: str, split: str, folder: Path) -> tuple[Tensor, Tensor] | None:
    if name == "cifar10":
        return _read_cifar(split, folder)
    try:
        files = idx_files.find(name, split, folder)
        return None if files is None else idx_files.read_split(files)
    except idx_files.NotIdx as error:
        raise ValueError(
            f"{error}, so it is not a readable {TITLES[name]} file. Delete it and load again to fetch a fresh copy."
        ) from error


def _read_cifar(split: str, folder: Path) -> tuple[Tensor, Tensor] | None:
    from torchvision.datasets import CIFAR10

    batches = _cifar_batches(folder)
    if batches is None:
        archive = _cifar_archive(folder)
        if archive is None:
            return None
        batches = _unpacked(archive)
    # Torchvision takes only its own name of the folder.
    own = type("CIFAR10", (CIFAR10,), {"base_folder": batches.name})
    try:
        files = own(str(batches.parent), train=split == "train", download=False)
    except (RuntimeError, ValueError, EOFError) as error:
        raise ValueError(
            f"{batches} is not a whole copy of CIFAR-10 ({error}). "
            "Delete the folder and load again to fetch a fresh copy."
        ) from error
    images = torch.from_numpy(np.ascontiguousarray(files.data.transpose(0, 3, 1, 2)))
    return images, torch.tensor(files.targets, dtype=torch.int64)


def _cifar_batches(folder: Path) -> Path | None:
    """The folder with the batches: of torchvision's name, or any that holds them, at most two below the given one."""
    inner = subfolders(folder)
    places = (folder, *inner, *(deeper for place in inner for deeper in subfolders(place)))
    named = (place for place in places if place.name == _CIFAR_FOLDER and place.is_dir())
    return next(named, None) or next((place for place in places if (place / "data_batch_1").is_file()), None)


def _cifar_archive(folder: Path) -> Path | None:
    return next((file for place in (folder, *subfolders(folder)) if (file := place / _CIFAR_ARCHIVE).is_file()), None)


def _unpacked(archive: Path) -> Path:
    """The batches from the archive that torchvision downloads, unpacked beside it or, where that is read-only, in the
    course's cache."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity, extract_archive

    if not check_integrity(str(archive), CIFAR10.tgz_md5):
        raise ValueError(f"{archive} is not the archive of CIFAR-10. Delete it and load again to fetch a fresh copy.")
    target = archive.parent if _writable(archive.parent) else download_folder()
    if not (target / _CIFAR_FOLDER).is_dir():
        target.mkdir(parents=True, exist_ok=True)
        extract_archive(str(archive), str(target))
    return target / _CIFAR_FOLDER


def _download(name: str, split: str, folder: Path) -> None:
    import torchvision.datasets

    folder.mkdir(parents=True, exist_ok=True)
    getattr(torchvision.datasets, _TORCHVISION[name])(str(folder), train=split == "train", download=True)
