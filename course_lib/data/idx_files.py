"""The files of MNIST and Fashion-MNIST, found and read in the layouts that sites ship.

Four files in the idx format, plain or compressed, named "train-images-idx3-ubyte" or "train-images.idx3-ubyte", with
or without ".gz". They lie directly in a folder, in its `raw` (torchvision) or `archive` (Kaggle), or each in a folder
of its own name (Kaggle too). The files of both sets have the same names, so the name of their folder and their first
labels tell them apart.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

STEMS = {"train": ("train-images", "train-labels"), "test": ("t10k-images", "t10k-labels")}
ENDINGS = {"images": "idx3-ubyte", "labels": "idx1-ubyte"}
FIRST_LABELS = {  # how the real sets begin
    ("mnist", "train"): (5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
    ("mnist", "test"): (7, 2, 1, 0, 4, 1, 4, 9, 5, 9),
    ("fashion_mnist", "train"): (9, 0, 0, 3, 0, 2, 7, 2, 5, 5),
    ("fashion_mnist", "test"): (9, 2, 1, 1, 6, 1, 4, 6, 5, 7),
}
FILES = ", ".join(f"{stem}-{ENDINGS[stem.partition('-')[2]]}" for stems in STEMS.values() for stem in stems)
_OTHER_FORMATS = (".npz", ".csv", ".parquet", ".arff", ".mat", ".pkl", ".pkl.gz", ".zip", ".tar", ".tar.gz", ".tgz")
_DEPTH = 3  # folders below the one that is given
_SAY_NOTHING = ("raw", "archive", "data", "dataset", "datasets")  # names that do not tell which set it is


@dataclass(frozen=True)
class IdxFiles:
    """The two files of a split."""

    images: Path
    labels: Path


class NotIdx(ValueError):
    """A file is not what its name says."""


def find(name: str, split: str, folder: Path) -> IdxFiles | None:
    """The files of a split of "mnist" or "fashion_mnist" in a folder or below it, or None.

    Raises:
        NotIdx: there are files, and their labels cannot be read.
    """
    for place, is_sure in _places(name, folder, _DEPTH):
        images, labels = (_file_in(place, stem) for stem in STEMS[split])
        if images is None or labels is None:
            continue
        first = tuple(read(labels)[:10].tolist())
        begins_as = [known for (known, kind), start in FIRST_LABELS.items() if kind == split and start == first]
        if begins_as == [name] or (is_sure and not begins_as):
            return IdxFiles(images, labels)
    return None


def half(split: str, folder: Path) -> Path | None:
    """A file of a split whose other half is missing in the folder, its `raw` and the folders beside that."""
    for place in (folder, *subfolders(folder), *(inner for outer in subfolders(folder) for inner in subfolders(outer))):
        found = [_file_in(place, stem) for stem in STEMS[split]]
        if found.count(None) == 1:
            return next(file for file in found if file is not None)
    return None


def in_another_format(folder: Path) -> Path | None:
    """A file in the folder or one below it that holds a set of this family by its name, but not as idx files."""
    for place in (folder, *subfolders(folder)):
        if place.is_dir():
            for file in sorted(place.iterdir()):
                if "mnist" in file.name.lower() and file.name.lower().endswith(_OTHER_FORMATS) and file.is_file():
                    return file
    return None


def read(file: Path) -> Tensor:
    """The uint8 tensor in an idx file, compressed or not, whatever its name says about that.

    Raises:
        NotIdx: it is none, or does not hold as many bytes as it says.
    """
    try:
        content = file.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise NotIdx(f"{file} cannot be read ({error or type(error).__name__})") from error
    rank = content[3] if len(content) >= 4 else 0
    if content[:3] != b"\0\0\x08" or not 1 <= rank <= 4 or len(content) < 4 + 4 * rank:
        raise NotIdx(f"{file} does not begin as an idx file of bytes does")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", rank, 4))
    values = bytearray(content[4 + 4 * rank :])
    expected = int(np.prod(shape, dtype=object))
    if len(values) != expected:
        raise NotIdx(f"{file} should hold {' x '.join(map(str, shape))} = {expected:,} bytes and holds {len(values):,}")
    if not values:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(values, dtype=torch.uint8).reshape(shape)


def read_split(files: IdxFiles) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 1, H, W) and labels int64 (N,).

    Raises:
        NotIdx: a file is none, or the two do not belong together.
    """
    images, labels = read(files.images), read(files.labels)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise NotIdx(f"{files.images} holds {tuple(images.shape)} and {files.labels} {tuple(labels.shape)}; "
                     "(N, height, width) and (N,) were expected")  # fmt: skip
    if len(labels) and int(labels.max()) > 9:
        raise NotIdx(f"{files.labels} holds a label {int(labels.max())}; 0 to 9 were expected")
    return images[:, None].contiguous(), labels.to(torch.int64)


# --- where they are ---


def _places(name: str, folder: Path, depth: int) -> Iterator[tuple[Path, bool]]:
    """Folders that can hold the set, and whether their names allow it without a look at the labels."""
    telling = (place.name for place in (folder, *folder.parents) if place.name.lower() not in _SAY_NOTHING)
    if _set_named(next(telling, "")) not in (None, name):
        return
    inner = sorted(subfolders(folder), key=lambda place: _set_named(place.name) != name)  # its own folder first
    for place in inner:
        if _set_named(place.name) == name and depth:
            yield from _places(name, place, depth - 1)
    yield folder, True
    for place in inner:
        if place.name.lower() in _SAY_NOTHING and depth:
            yield from _places(name, place, depth - 1)
        elif _set_named(place.name) is None:
            yield place, False


def _set_named(folder_name: str) -> str | None:
    """The set that a folder's name means: "mnist", "fashion_mnist", "another" of the family, or None."""
    letters = re.sub("[^a-z]", "", folder_name.lower())
    found = re.fullmatch(
        "(fashion|fashionmnist|[a-z]?mnist|notmnist)(data|datasets?|master|main|raw|archive)?", letters
    )
    if found is None:
        return None
    return {"fashion": "fashion_mnist", "fashionmnist": "fashion_mnist", "mnist": "mnist"}.get(found[1], "another")


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; none where it cannot be looked into."""
    if not folder.is_dir():
        return []
    try:
        return sorted(entry for entry in folder.iterdir() if entry.name[0] != "." and entry.is_dir())
    except OSError:
        return []


def _file_in(folder: Path, stem: str) -> Path | None:
    ending = ENDINGS[stem.partition("-")[2]]
    names = [f"{stem}{separator}{ending}" for separator in "-."]
    for name in names:
        for place in (folder, folder / name):
            for file in (place / name, place / f"{name}.gz"):
                if file.is_file():
                    return file
    return None
