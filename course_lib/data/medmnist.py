"""Six of the sets of MedMNIST, medical images of 28 x 28 pixels: from a local .npz file when it is there, else fetched.

Source: Yang et al., "MedMNIST v2: A Large-Scale Lightweight Benchmark for 2D and 3D Biomedical Image Classification",
2023. The sets keep the licenses of their sources, CC BY 4.0, and CC BY-NC 4.0 for `dermamnist`. They are for learning
and research, and no model of them is for patients.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib import settings
from course_lib.data.errors import DataNotFound
from course_lib.data.images import ImageData
from course_lib.data.torchvision_sets import download_folder

CLASSES = {
    "bloodmnist": (
        "basophil", "eosinophil", "erythroblast", "immature granulocyte", "lymphocyte", "monocyte", "neutrophil",
        "platelet",
    ),
    "breastmnist": ("malignant", "normal or benign"),
    "dermamnist": (
        "actinic keratosis", "basal cell carcinoma", "benign keratosis", "dermatofibroma", "melanoma", "nevus",
        "vascular lesion",
    ),
    "organamnist": (
        "bladder", "femur, left", "femur, right", "heart", "kidney, left", "kidney, right", "liver", "lung, left",
        "lung, right", "pancreas", "spleen",
    ),
    "pathmnist": (
        "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal mucosa", "stroma",
        "adenocarcinoma",
    ),
    "pneumoniamnist": ("normal", "pneumonia"),
}  # fmt: skip
_MD5 = {
    "bloodmnist": "7053d0359d879ad8a5505303e11de1dc",
    "breastmnist": "750601b1f35ba3300ea97c75c52ff8f6",
    "dermamnist": "0744692d530f8e62ec473284d019b0c7",
    "organamnist": "68e3f8846a6bd62f0c9bf841c0d9eacc",
    "pathmnist": "a8b06965200029087d5bd730944a56c1",
    "pneumoniamnist": "28209eda62fecd6e6a2d98b1501bb15f",
}
_ADDRESS = "https://zenodo.org/records/10519652/files/{name}.npz?download=1"
_ADVICE = "The digits work offline: COURSE_DATASET=digits. If you have the file, set COURSE_DATA to its folder."


def load_medmnist(
    name: str, *, split: str = "train", folder: str | Path | None = None, download: bool = True
) -> ImageData:
    """A set of MedMNIST: uint8 images (N, C, 28, 28), gray or color, in the order of the file.

    The validation images of MedMNIST are left out, because the course draws its own from those of training. Unit 12
    takes these sets, and no other unit: `course_lib.data.load` does not know them.

    Args:
        name: one of `CLASSES`.
        split: "train" or "test".
        folder: looked into first for `<name>.npz`, then `COURSE_DATA`, then the cache.
        download: whether to fetch the file when it is in none of them.

    Raises:
        DataNotFound: it is not there, and download is off or failed.
        ValueError: an unknown name or split, or the file is not a set of MedMNIST.
    """
    if name not in CLASSES or split not in ("train", "test"):
        raise ValueError(f"{name!r}, {split!r}: expected one of {', '.join(CLASSES)}, and train or test.")
    places = (None if folder is None else Path(folder).expanduser(), settings.data_folder(), download_folder())
    folders = [path for path in places if path is not None]
    file = next((path for place in folders if (path := place / f"{name}.npz").is_file()), None)
    if file is None:
        looked = ", ".join(str(path) for path in dict.fromkeys(folders))
        if not download:
            raise DataNotFound(f"{name}.npz is not in {looked}, and downloading is switched off. {_ADVICE}")
        try:
            file = _fetched(name, Path(folder).expanduser() if folder is not None else download_folder())
        except OSError as error:  # all errors of urllib are
            raise DataNotFound(
                f"{name}.npz is not in {looked}, and could not be downloaded ({error}). {_ADVICE}"
            ) from error
    images, labels = _read(file, split, len(CLASSES[name]))
    return ImageData(name, images, labels, CLASSES[name])


def _read(file: Path, split: str, classes: int) -> tuple[Tensor, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as arrays:  # a pickle could run code
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{file} is not a set of MedMNIST ({error}). Delete it and load again to fetch a fresh copy."
        ) from error
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) != len(labels) or not len(images):
        raise ValueError(
            f"{file} holds images {images.dtype} {images.shape}; uint8 (N, H, W) or (N, H, W, 3) is expected."
        )
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1 or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{file} has {labels.shape[1]} labels per image, up to {labels.max()}; one below {classes} is expected."
        )
    pixels = torch.from_numpy(images)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    return pixels, torch.from_numpy(labels[:, 0].astype(np.int64))


def _fetched(name: str, folder: Path) -> Path:
    """The file, downloaded into a folder; nothing stays there of one that is not whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        part = Path(aside, f"{name}.npz")
        with urllib.request.urlopen(_ADDRESS.format(name=name), timeout=30) as answer, part.open("wb") as out:
            shutil.copyfileobj(answer, out)
        if hashlib.md5(part.read_bytes(), usedforsecurity=False).hexdigest() != _MD5[name]:
            raise OSError("the file that came is not the one that was published")
        return part.replace(folder / f"{name}.npz")
