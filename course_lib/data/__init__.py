"""Images and labels: `load` a set, split off few labels, iterate in batches, augment.

>>> data = load("glyphs", n=100)
>>> data.images.shape, data.images.dtype
(torch.Size([100, 1, 28, 28]), torch.uint8)
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib import settings
from course_lib.data import augment
from course_lib.data.batches import Batches, SequenceBatches, endless
from course_lib.data.digits import load_digits
from course_lib.data.errors import DataNotFound, DataWarning, FewerLabels
from course_lib.data.folder import look_into
from course_lib.data.glyphs import ANOMALIES, CLASSES, Variation, draw_glyphs
from course_lib.data.image_files import read_images
from course_lib.data.images import ImageData, as_float, joined
from course_lib.data.splits import FewLabelSplit, split_labels
from course_lib.data.torchvision_sets import CLASSES as _TORCHVISION_CLASSES
from course_lib.data.torchvision_sets import load_torchvision

__all__ = [
    "ANOMALIES",
    "CLASSES",
    "Batches",
    "DataNotFound",
    "DataWarning",
    "FewLabelSplit",
    "FewerLabels",
    "ImageData",
    "SequenceBatches",
    "Variation",
    "as_float",
    "augment",
    "draw_glyphs",
    "endless",
    "joined",
    "load",
    "split_labels",
]

settings.configure_threads()

_GLYPHS_DEFAULT_SIZE = {"train": 10_000, "validation": 2_000, "test": 2_000}


def load(
    name: str | None = None,
    *,
    split: str = "train",
    n: int | None = None,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
    **options: Any,
) -> ImageData:
    """Loads a set of images.

    Args:
        name: "glyphs" (drawn here, needs no file), "digits" (1,797 real ones, no download; see `digits`), "mnist",
            "fashion_mnist", "cifar10", or "folder" (your own images); None takes `COURSE_DATASET`, or glyphs.
        split: "train" or "test"; glyphs also has "validation". The splits of glyphs are different streams of one seed.
        n: how many images. Glyphs draws that many (default 10,000 train, 2,000 else). Of the other sets it is a random
            subset with the same number of each class, or as near to that as there are images; None is all of it.
        seed: of the drawing (glyphs), or of the subset (the others).
        folder: where the files are: the set's own folder or the one above it; None looks into `COURSE_DATA` and then
            into the course's cache. For "folder": the folder that holds `train/<class>/*.jpg` and `test/<class>/*.jpg`.
            A class has one number in both splits, also where one of them has no image of it.
        download: fetch MNIST, Fashion-MNIST or CIFAR-10 when they are not there.
        **options: glyphs: see `Variation` (style, classes, clutter, noise, contrast, jitter, imbalance, label_noise,
            anomalies). "folder": `size=` (pixels per side, default 32), `channels=` (1 or 3, default 3), `record_as=`
            (the name results are recorded under; default the folder's own name), `value_range=` (of images with more
            than 8 bits, the values that become black and white; default: see `image_files`).

    Warns:
        DataWarning: something else was taken than asked for (fewer images, a class that one split lacks), or files are
            there that were not taken. The sentence says what.

    Raises:
        ValueError: an unknown name, split or option, a bad number, or a file that is not an image (it is named).
        TypeError: an unknown option of glyphs (those that there are are named).
        DataNotFound: the files are not there and cannot be downloaded.
    """
    given, name = name, settings.dataset_name() if name is None else name
    if name not in settings.DATASETS:
        raise ValueError(_no_such_set(name, "" if given is not None else ", which COURSE_DATASET names"))
    allowed = ("train", "validation", "test") if name == "glyphs" else ("train", "test")
    if split not in allowed:
        advice = " split_labels() holds images of train out for validation." if split == "validation" else ""
        raise ValueError(f"split is {split!r}; {name} has {', '.join(allowed)}.{advice}")
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise ValueError(f"n must be a whole number of at least 1, or None for the default; got {n!r}.")

    if name == "glyphs":
        return draw_glyphs(n=n or _GLYPHS_DEFAULT_SIZE[split], split=split, seed=seed, **options)
    notes: list[str] = []
    if name == "folder":
        data = _load_folder(split=split, n=n, seed=seed, folder=folder, note=notes.append, **options)
    elif options:
        raise ValueError(
            f"{name} takes no option {', '.join(map(repr, options))}; such options are of glyphs or folder."
        )
    else:
        if name == "digits":
            images, labels = load_digits(split)
        else:
            path = Path(folder).expanduser() if folder is not None else None
            images, labels = load_torchvision(name, split=split, folder=path, download=download)
        classes = _TORCHVISION_CLASSES["mnist" if name == "digits" else name]
        chosen = _balanced_subset(labels, n=n, seed=seed)
        _note_fewer(f"{name} ({split})", n, labels[chosen], classes, notes.append)
        data = ImageData(name, images[chosen], labels[chosen], classes)
    if notes:
        warnings.warn(" ".join(f"{sentence}." for sentence in notes), DataWarning, stacklevel=2)
    return data


def _no_such_set(name: Any, source: str) -> str:
    """The sentences for a name that is none of the data sets; a folder's path is taken for one easily."""
    if os.path.isdir(os.path.expanduser(str(name))):
        advice = f"For the images in that folder: load('folder', folder={str(name)!r})."
    else:
        close = difflib.get_close_matches(str(name).lower().replace("-", "_").replace(" ", "_"), settings.DATASETS, n=1)
        advice = f"Did you mean {close[0]!r}?" if close else "For images of your own: load('folder', folder=...)."
    return f"There is no data set {str(name)!r}{source}; the data sets are {', '.join(settings.DATASETS)}. {advice}"


def _load_folder(
    *,
    split: str,
    n: int | None,
    seed: int,
    folder: str | os.PathLike[str] | None,
    note: Callable[[str], None],
    record_as: str | None = None,
    **options: Any,
) -> ImageData:
    unknown = options.keys() - {"size", "channels", "value_range"}
    if unknown:
        raise ValueError(
            f"'folder' takes no option {', '.join(map(repr, sorted(unknown)))}; "
            "its options are size, channels, record_as and value_range."
        )
    path = Path(folder).expanduser() if folder is not None else settings.data_folder()
    if path is None:
        raise ValueError(
            "Which folder? Give load('folder', folder=...) or set COURSE_DATA to the folder of your images."
        )
    found = look_into(path, split)
    for sentence in found.notes[split]:
        note(sentence)
    files, numbers = found.of_split(split)
    labels = torch.tensor(numbers, dtype=torch.int64)
    chosen = _balanced_subset(labels, n=n, seed=seed)
    _note_fewer(f"{path.resolve().name} ({split})", n, labels[chosen], found.class_names, note)
    images = read_images(
        [files[position] for position in chosen.tolist()],
        of_one_kind=found.all_files(),
        note=lambda sentence: note(f"{path}: {sentence}"),
        **{"size": 32, "channels": 3} | options,
    )
    return ImageData(record_as or path.resolve().name, images, labels[chosen], found.class_names)


def _balanced_subset(labels: Tensor, *, n: int | None, seed: int) -> Tensor:
    """Positions of n images in random order, each class as often as any other (give or take one); all if None.

    A class that has too few gives all it has, and the others share what is left; of n or fewer images, all are taken.
    """
    if n is None:
        return torch.arange(len(labels))
    generator = torch.Generator().manual_seed(seed)
    classes, counts = labels.unique(return_counts=True)
    taken = _shares(counts.tolist(), n)
    parts = []
    for label, share in zip(classes.tolist(), taken, strict=True):
        positions = torch.nonzero(labels == label).squeeze(1)
        parts.append(positions[torch.randperm(len(positions), generator=generator)[:share]])
    joined = torch.cat(parts)
    return joined[torch.randperm(len(joined), generator=generator)]


def _shares(counts: list[int], n: int) -> list[int]:
    """How many of each class make up n images: the same number, the first ones one more, but never more than there are.

    >>> _shares([100, 4, 100], 50)
    [23, 4, 23]
    """
    level, left, waiting = 0, n, sorted(counts)
    while waiting and left >= len(waiting) * (waiting[0] - level):  # the smallest class is taken whole
        left -= len(waiting) * (waiting[0] - level)
        level = waiting.pop(0)
    share, rest = divmod(left, len(waiting)) if waiting else (0, 0)
    level += share
    larger = [rank for rank, count in enumerate(counts) if count > level][:rest]
    return [min(count, level + (rank in larger)) for rank, count in enumerate(counts)]


def _note_fewer(
    where: str, n: int | None, labels: Tensor, class_names: tuple[str, ...], note: Callable[[str], None]
) -> None:
    """A sentence when fewer images were taken than asked for, or not the same number of each class."""
    if n is None:
        return
    counts = {class_names[label]: count for label, count in enumerate(labels.bincount().tolist()) if count}
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    each = f"{counts[fewest]} to {counts[most]} per class (class {fewest} has the fewest)"
    if counts[fewest] == counts[most]:
        each = f"{counts[most]} per class"
    if len(labels) < n:
        note(f"{where} has fewer than the {n:,} images that were asked for, so all {len(labels):,} are taken, {each}")
    elif counts[most] > counts[fewest] + 1:
        note(f"{where} has too few images of some classes, so the {n:,} taken are {each}")
