"""A classifier in a file of its own: `save` writes an exported program with its class names, `load` reads it.

The file needs torch alone, and neither this course nor the class of the model. But torch's own loader unpickles parts
of it and evaluates expressions in it, so a file can hold code. `load` looks at all of these parts first, and refuses a
file with anything else than arithmetic on tensors.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from course_lib import files

ABOUT = "course_lib.json"
MOST_BYTES = 64 << 20
# All that `save` writes. torch's loader also takes compiled libraries and runs them, and takes a part by another name.
_PARTS = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|models/model\.json|extra/course_lib\.json"
    r"|data/(sample_inputs/model\.pt|weights/weight_\d+|constants/tensor_\d+|(weights|constants)/model_\w+_config\.json)"
)
_OPERATORS = re.compile(r"torch\.ops\.aten\.\w+(\.\w+)?|_operator\.(getitem|add|sub|mul|floordiv|eq|ge|gt|le|lt)")
_SIZES = re.compile(
    r"(Symbol\('[su]\d+'(, (positive|nonnegative|integer)=True)*\)|Integer\(-?\d+\)|Add|Mul|Max|Min|[(), ]|-?\d+)*"
)


class NotAModel(ValueError):
    """A file that is not an exported classifier, or one that may hold code; the message says which."""


@dataclass(frozen=True)
class ExportedClassifier:
    """A classifier read from a file: uint8 images (N, C, H, W) -> probabilities (N, K).

    Attributes:
        class_names: the K names.
        shape: (C, H, W) of the images.
    """

    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    run: Any

    def __call__(self, images: Tensor) -> Tensor:
        """Probabilities, float32 (N, K) on the CPU.

        Raises:
            ValueError: images of another shape or type.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != self.shape or not len(images):
            size = "x".join(map(str, self.shape))
            raise ValueError(
                f"images are {images.dtype} of shape {tuple(images.shape)}; at least one of {size}, uint8, is expected."
            )
        with torch.no_grad():
            return self.run(images).float()


def save(program: Any, path: str | Path, *, class_names: tuple[str, ...], shape: tuple[int, ...]) -> Path:
    """Writes an exported program and what a user of it has to know; returns the path.

    Args:
        program: what `torch.export.export` returned, for uint8 images and with probabilities as output.
        path: ends in ".pt2".
        class_names: the names of the classes, in the order of the probabilities.
        shape: (C, H, W) of the images.
    """
    if not isinstance(program, torch.export.ExportedProgram):
        raise TypeError(f"program is a {type(program).__name__}; what torch.export.export returns is expected.")
    if Path(path).suffix != ".pt2":
        raise ValueError(f"the path is {path}; it must end in .pt2.")
    buffer = io.BytesIO()
    about = json.dumps({"class_names": list(class_names), "shape": list(shape)})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No complete tensor found")  # weights in channels_last
        torch.export.save(program, buffer, extra_files={ABOUT: about})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    files.replace(Path(path), buffer.getvalue())
    return Path(path)


def load(path: str | Path) -> ExportedClassifier:
    """Reads what `save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        NotAModel: the file is not an exported classifier, or may hold code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.stat().st_size > MOST_BYTES:
        raise NotAModel(f"{path} has more than {MOST_BYTES >> 20} MB, so it is not read.")
    return loads(path.read_bytes(), name=str(path))


def loads(content: bytes, *, name: str = "the file") -> ExportedClassifier:
    """As `load`, of the bytes of a file."""
    try:
        about = inspect(content)
        program = torch.export.load(io.BytesIO(content))
    except NotAModel as error:
        raise NotAModel(f"{name}: {error}") from error.__cause__
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise NotAModel(f"{name}: it is not an exported classifier ({type(error).__name__}: {error}).") from error
    return ExportedClassifier(tuple(about["class_names"]), tuple(about["shape"]), program.module())


def inspect(content: bytes) -> dict[str, Any]:
    """What a file says about itself, after everything in it that could hold code was looked at. Loads nothing.

    Raises:
        NotAModel: a part of the file may hold code, or is missing.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise NotAModel(f"it unpacks to more than {MOST_BYTES >> 20} MB.")
            names = archive.namelist()
            strange = [name for name in names if not _PARTS.fullmatch(name.partition("/")[2])]
            if strange or len({*names}) < len(names) or len({name.partition("/")[0] for name in names}) != 1:
                part = strange[0] if strange else "a part twice"
                raise NotAModel(f"it holds {part[:60]!r}, which course_lib.exported.save does not write.")
            parts = {name.partition("/")[2]: archive.read(name) for name in names}
    except zipfile.BadZipFile as error:
        raise NotAModel("it is not a .pt2 file.") from error
    if "models/model.json" not in parts or f"extra/{ABOUT}" not in parts:
        raise NotAModel("it was not written by course_lib.exported.save.")
    for name, data in parts.items():
        if name.endswith((".pt", ".pkl")) or data[:4] == b"PK\x03\x04":
            _read_as_data(name, data)
        if name.endswith(".json"):
            _look_into(json.loads(data), name)
    return _about(json.loads(parts[f"extra/{ABOUT}"]))


def _read_as_data(name: str, data: bytes) -> None:
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise NotAModel(f"its part {name} is a pickle that may hold code, so it is refused.") from error


def _look_into(value: Any, name: str) -> None:
    for key, item in _entries(value):
        text = item if isinstance(item, str) else ""
        code = (
            (key == "use_pickle" and item is not False)
            or (key == "guards_code" and item)
            or (key in ("custom_obj_values", "as_custom_obj", "custom_obj") and item)
            or (key == "target" and text and not _OPERATORS.fullmatch(text))
            or (key == "expr_str" and not _SIZES.fullmatch(text))
        )
        if code:
            raise NotAModel(f"its part {name} has {key} = {str(item)[:60]!r}, which may be code, so it is refused.")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _entries(item)
    elif isinstance(value, list):
        for item in value:
            yield from _entries(item)


def _about(found: Any) -> dict[str, Any]:
    names, shape = (found.get(key) for key in ("class_names", "shape")) if isinstance(found, dict) else (None, None)
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise NotAModel("it does not say the names of its classes.")
    if not (isinstance(shape, list) and len(shape) == 3 and all(isinstance(size, int) and size > 0 for size in shape)):
        raise NotAModel("it does not say the shape of its images.")
    return {"class_names": names, "shape": shape}
