"""Images and labels: `load` a set, split off few labels, iterate in batches, augment.

>>> data = load("glyphs", n=100)
>>> data.images.shape, data.images.dtype
(torch.Size([100, 1, 28, 28]), torch.uint8)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib import settings
from course_lib.data import augment
from course_lib.data.batches import Batches
from course_lib.data.errors import DataNotFound
from course_lib.data.folder import list_images, read_images
from course_lib.data.glyphs import ANOMALIES, CLASSES, Variation, draw_glyphs
from course_lib.data.images import ImageData, as_float
from course_lib.data.splits import FewLabelSplit, few_label_split
from course_lib.data.torchvision_sets import CLASSES as _TORCHVISION_CLASSES
from course_lib.data.torchvision_sets import load_torchvision

__all__ = [
    "ANOMALIES",
    "CLASSES",
    "Batches",
    "DataNotFound",
    "FewLabelSplit",
    "ImageData",
    "Variation",
    "as_float",
    "augment",
    "draw_glyphs",
    "few_label_split",
    "load",
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
        name: "glyphs" (drawn here, needs no file), "mnist", "fashion_mnist", "cifar10", or "folder" (your own images);
            None takes `COURSE_DATASET`, or glyphs.
        split: "train" or "test"; glyphs also has "validation". The splits of glyphs are different streams of one seed.
        n: how many images. Glyphs draws that many (default 10,000 train, 2,000 else). Of a set of files it is a random
            subset with the same number of each class; None is all of it.
        seed: of the drawing (glyphs), or of the subset (files).
        folder: where the files are: the set's own folder or the one above it; None looks into `COURSE_DATA` and then
            into the course's cache. For "folder": the folder that holds `train/<class>/*.jpg` and `test/<class>/*.jpg`.
        download: fetch MNIST, Fashion-MNIST or CIFAR-10 when they are not there.
        **options: glyphs: see `Variation` (style, classes, clutter, noise, contrast, jitter, imbalance, label_noise,
            anomalies). "folder": `size=` (pixels per side, default 32), `channels=` (1 or 3, default 3), `record_as=`
            (the name results are recorded under; default the folder's own name).

    Raises:
        ValueError: an unknown name, split or option, a bad number, or a file that is no image (it is named).
        TypeError: an unknown option of glyphs (those that there are are named).
        DataNotFound: the files are not there and cannot be downloaded.
    """
    name = settings.dataset_name() if name is None else name
    if name not in settings.DATASETS:
        raise ValueError(f"There is no data set {name!r}; the data sets are {', '.join(settings.DATASETS)}.")
    allowed = ("train", "validation", "test") if name == "glyphs" else ("train", "test")
    if split not in allowed:
        raise ValueError(f"split is {split!r}; {name} has {', '.join(allowed)}.")
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise ValueError(f"n must be a whole number of at least 1, or None for the default; got {n!r}.")

    if name == "glyphs":
        return draw_glyphs(n=n or _GLYPHS_DEFAULT_SIZE[split], split=split, seed=seed, **options)
    if name == "folder":
        return _load_folder(split=split, n=n, seed=seed, folder=folder, **options)
    if options:
        raise ValueError(
            f"{name} takes no option {', '.join(map(repr, options))}; such options are of glyphs or folder."
        )
    path = Path(folder).expanduser() if folder is not None else None
    images, labels = load_torchvision(name, split=split, folder=path, download=download)
    chosen = _balanced_subset(labels, n=n, seed=seed)
    return ImageData(name, images[chosen], labels[chosen], _TORCHVISION_CLASSES[name])


def _load_folder(
    *,
    split: str,
    n: int | None,
    seed: int,
    folder: str | os.PathLike[str] | None,
    size: int = 32,
    channels: int = 3,
    record_as: str | None = None,
    **unknown: Any,
) -> ImageData:
    if unknown:
        raise ValueError(
            f"'folder' takes no option {', '.join(map(repr, unknown))}; its options are size, channels and record_as."
        )
    path = Path(folder).expanduser() if folder is not None else settings.data_folder()
    if path is None:
        raise ValueError(
            "Which folder? Give load('folder', folder=...) or set COURSE_DATA to the folder of your images."
        )
    files, labels, class_names = list_images(path, split)
    chosen = _balanced_subset(labels, n=n, seed=seed)
    images = read_images([files[position] for position in chosen.tolist()], size=size, channels=channels)
    return ImageData(record_as or path.resolve().name, images, labels[chosen], class_names)


def _balanced_subset(labels: Tensor, *, n: int | None, seed: int) -> Tensor:
    """Positions of n images, as many of each class as of any other (give or take one), in random order; all if None."""
    if n is None:
        return torch.arange(len(labels))
    generator = torch.Generator().manual_seed(seed)
    classes = labels.unique().tolist()
    share, rest = divmod(n, len(classes))
    parts = []
    for rank, label in enumerate(classes):
        positions = torch.nonzero(labels == label).squeeze(1)
        wanted = share + (1 if rank < rest else 0)
        if wanted > len(positions):
            raise ValueError(
                f"n={n} asks for {wanted} images of class {label}, which has {len(positions)}; "
                f"ask for at most {len(classes) * min(int((labels == k).sum()) for k in classes)}, or None for all."
            )
        parts.append(positions[torch.randperm(len(positions), generator=generator)[:wanted]])
    joined = torch.cat(parts)
    return joined[torch.randperm(len(joined), generator=generator)]
