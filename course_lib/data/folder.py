"""A folder of your own images: `train/<class>/*.jpg`, `test/<class>/*.png`, and so on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.data.errors import DataNotFound

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


def list_images(folder: Path, split: str) -> tuple[list[Path], Tensor, tuple[str, ...]]:
    """The image files of `folder/split/<class>/`, sorted, with their labels int64 (N,) and the sorted class names.

    Raises:
        DataNotFound: the folder is not there or not laid out like this, or a class folder holds no image.
    """
    layout = f"Expected image files in {folder / split}/<class>/, ending in {', '.join(SUFFIXES[:4])}, ..."
    if not (folder / split).is_dir():
        there = "exists, but has no such subfolder" if folder.is_dir() else "does not exist"
        raise DataNotFound(f"There is no folder {folder / split}: {folder} {there}. {layout}")
    classes = sorted(entry for entry in (folder / split).iterdir() if entry.is_dir() and entry.name[0] != ".")
    files: list[Path] = []
    labels: list[int] = []
    for label, entry in enumerate(classes):
        images = sorted(f for f in entry.iterdir() if f.suffix.lower() in SUFFIXES and f.name[0] != ".")
        if not images:
            raise DataNotFound(f"The class folder {entry} holds no images. {layout}")
        files += images
        labels += [label] * len(images)
    if not files:
        raise DataNotFound(f"The folder {folder / split} holds no images. {layout}")
    return files, torch.tensor(labels, dtype=torch.int64), tuple(entry.name for entry in classes)


def read_images(files: list[Path], *, size: int, channels: int) -> Tensor:
    """Decodes image files to uint8 (N, channels, size, size): the shorter side is resized, the rest cropped centrally.

    Raises:
        ValueError: a file cannot be decoded (the message names it), or `channels` is neither 1 nor 3.
    """
    from PIL import Image, ImageOps

    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (gray) or 3 (color); got {channels}.")
    if size < 1:
        raise ValueError(f"size must be a positive number of pixels; got {size}.")
    pixels = np.empty((len(files), size, size, channels), dtype=np.uint8)
    for position, file in enumerate(tqdm(files, desc="reading images", disable=len(files) < 2000, leave=False)):
        try:
            with Image.open(file) as image:
                picture = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{file} cannot be read as an image ({error}). Repair or remove the file.") from error
        if picture.size != (size, size):
            picture = ImageOps.fit(picture, (size, size), method=Image.Resampling.BILINEAR)
        pixels[position] = np.asarray(picture).reshape(size, size, channels)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
