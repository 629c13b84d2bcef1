"""MNIST, Fashion-MNIST and CIFAR-10: from a local folder when they are there, else downloaded by torchvision."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib import settings
from course_lib.data.errors import DataNotFound

TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip
_TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
_IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_CIFAR_FOLDER = "cifar-10-batches-py"


def download_folder() -> Path:
    """Where downloads go when neither `folder` nor `COURSE_DATA` is given: the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(cache) if cache else Path.home() / ".cache") / "learning-with-few-labels"


def load_torchvision(name: str, *, split: str, folder: Path | None, download: bool) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, C, H, W) and labels int64 (N,) of one of the three sets, in the order of its files.

    Args:
        name: "mnist", "fashion_mnist" or "cifar10".
        split: "train" or "test".
        folder: looked into first, then `COURSE_DATA`, then the cache. Either the set's own folder or the one above it.
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


_ADVICE = (
    "The default data set works offline: COURSE_DATASET=glyphs, or load('glyphs'). "
    "If you have the files, set COURSE_DATA to their folder."
)


def _writable(folder: Path) -> bool:
    """Whether files can be put into `folder`, which need not exist yet. A class's data folder is often read-only."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    return existing.is_dir() and os.access(existing, os.W_OK)


def _read(name: str, split: str, folder: Path) -> tuple[Tensor, Tensor] | None:
    return _read_cifar(split, folder) if name == "cifar10" else _read_idx(name, split, folder)


def _read_idx(name: str, split: str, folder: Path) -> tuple[Tensor, Tensor] | None:
    """The idx files of MNIST or Fashion-MNIST, if `folder` is the folder above, the set's own, or its raw folder."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    own = _TORCHVISION[name]
    other = {"MNIST": "FashionMNIST", "FashionMNIST": "MNIST"}[own]
    candidates = [folder / own / "raw", folder / own]
    if other not in folder.parts:  # both sets' files have the same names; a folder called after the other is the other
        candidates += [folder / "raw", folder]
    for raw in candidates:
        images, labels = (raw / file for file in _IDX_FILES[split])
        if images.is_file() and labels.is_file():
            try:
                return read_image_file(str(images))[:, None].contiguous(), read_label_file(str(labels))
            except (ValueError, AssertionError, RuntimeError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{images} or {labels} is not a readable {TITLES[name]} file ({error}). "
                    "Delete the folder and load again to fetch a fresh copy."
                ) from error
    return None


def _read_cifar(split: str, folder: Path) -> tuple[Tensor, Tensor] | None:
    from torchvision.datasets import CIFAR10

    for above in (folder, folder.parent if folder.name == _CIFAR_FOLDER else None):
        if above is not None and (above / _CIFAR_FOLDER).is_dir():
            try:
                files = CIFAR10(str(above), train=split == "train", download=False)
            except (RuntimeError, ValueError, EOFError) as error:
                raise ValueError(
                    f"{above / _CIFAR_FOLDER} is not a whole copy of CIFAR-10 ({error}). "
                    "Delete the folder and load again to fetch a fresh copy."
                ) from error
            images = torch.from_numpy(np.ascontiguousarray(files.data.transpose(0, 3, 1, 2)))
            return images, torch.tensor(files.targets, dtype=torch.int64)
    return None


def _download(name: str, split: str, folder: Path) -> None:
    import torchvision.datasets

    folder.mkdir(parents=True, exist_ok=True)
    getattr(torchvision.datasets, _TORCHVISION[name])(str(folder), train=split == "train", download=True)
