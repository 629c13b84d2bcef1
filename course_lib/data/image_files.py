"""Image files of any kind as uint8 pixels: upright, without transparency, and with all gray levels of their own.

Three things are settled here, since Pillow's `convert` settles them in silence:

- Pixels of more than 8 bits (16-bit PNG and TIFF, float TIFF) are scaled, not cut off at 255. The range is that of all
  such images in the folder, so that images stay comparable.
- What is transparent is laid on white, or on black where the picture itself is nearly white. `convert` would lay it on
  whatever color the file has there, most often black.
- The camera's note on which side is up (EXIF) is followed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

# What people call an image; which of these can be read depends on Pillow and its plugins (`can_be_read`).
SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".jfif", ".jpe", ".avif", ".heic", ".heif",
    ".hif", ".jxl", ".jp2", ".j2k", ".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".apng", ".dib", ".mpo", ".tga", ".ico",
    ".psd", ".qoi",
)  # fmt: skip
HOW_TO_READ = {
    ".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif",
    ".avif": "pillow-avif-plugin", ".jxl": "pillow-jxl-plugin",
}  # fmt: skip
_PLUGINS = ("pillow_heif", "pillow_avif", "pillow_jxl")
NEARLY_WHITE = 204  # of 255: a picture lighter than this, on its opaque pixels, would vanish on white
_WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))  # of sensors; files of 16 bits often hold fewer


class Numbers(StrEnum):
    """What the pixels of an image with more than 8 bits are."""

    WHOLE = "whole numbers"
    FLOAT = "floating-point numbers"


@dataclass(frozen=True)
class Range:
    """The pixel values that become black and white."""

    black: float
    white: float

    def to_bytes(self, values: np.ndarray) -> np.ndarray:
        """Pixel values as 0 to 255, uint8."""
        scaled = (values.astype(np.float64) - self.black) / ((self.white - self.black) or 1.0)
        return np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)


def can_be_read(suffix: str) -> bool:
    """Whether Pillow reads files that end so (".heic" only with a plugin, ".avif" from Pillow 11.3 on)."""
    return suffix.lower() in _readable()


@functools.cache
def _readable() -> frozenset[str]:
    from PIL import Image, features

    Image.init()
    for name in _PLUGINS:
        if importlib.util.find_spec(name) is not None:
            plugin = importlib.import_module(name)
            getattr(plugin, "register_heif_opener", lambda: None)()  # the other two register themselves
    formats = set(Image.OPEN)
    for format_name, feature in (("AVIF", "avif"), ("WEBP", "webp"), ("JPEG2000", "jpg_2000")):
        # Pillow opens these without their library too, and then fails on every file.
        if format_name in formats and not features.check(feature):
            formats.discard(format_name)
    extensions = {suffix for suffix, name in Image.registered_extensions().items() if name in formats | {"MPO"}}
    return frozenset(extensions & set(SUFFIXES))


def read_images(
    files: Sequence[Path],
    *,
    size: int,
    channels: int,
    value_range: tuple[float, float] | None = None,
    of_one_kind: Iterable[Path] = (),
    note: Callable[[str], None] = lambda sentence: None,
) -> Tensor:
    """Decodes image files to uint8 (N, channels, size, size): the shorter side is resized, the rest cropped centrally.

    Args:
        files: of animations and of files with many pages, the first picture is taken.
        size: pixels per side.
        channels: 1 (gray) or 3 (color).
        value_range: of images with more than 8 bits, the values that become black and white; None finds them.
        of_one_kind: the files whose images must stay comparable to these; the range is that of all of them together.
        note: is given a sentence that says how images with more than 8 bits were scaled.

    Raises:
        ValueError: files cannot be decoded (the message names them), or an option is wrong.
    """
    from PIL import Image, ImageOps

    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (gray) or 3 (color); got {channels}.")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a positive number of pixels; got {size!r}.")
    _readable()  # registers the plugins
    ranges = _Ranges(value_range, [*of_one_kind, *files], note)
    pixels = np.empty((len(files), size, size, channels), dtype=np.uint8)
    failed: list[str] = []
    for position, file in enumerate(tqdm(files, desc="reading images", disable=len(files) < 2000, leave=False)):
        try:
            picture = _eight_bits(_opened(file), ranges).convert("L" if channels == 1 else "RGB")
            if picture.size != (size, size):
                picture = ImageOps.fit(picture, (size, size), method=Image.Resampling.BILINEAR)
            pixels[position] = np.asarray(picture).reshape(size, size, channels)
        except Exception as error:  # a damaged file can raise anything: struct.error, IndexError, zlib.error, ...
            failed.append(f"{file} cannot be read as an image ({_reason(file, error)})")
    if failed:
        more = f"; and {len(failed) - 5} more of {len(files)}" if len(failed) > 5 else ""
        raise ValueError("; ".join(failed[:5]) + f"{more}. Repair or remove the file.")
    ranges.tell()
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _opened(file: Path) -> Any:
    """The upright picture in a file, in the file's own mode."""
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        return ImageOps.exif_transpose(image)


def _reason(file: Path, error: Exception) -> str:
    try:
        with file.open("rb") as opened:
            start = opened.read(12)
    except OSError as unreadable:
        return unreadable.strerror or str(unreadable)
    if not start:
        return "the file is empty"
    if start[4:8] == b"ftyp" and not can_be_read(".heic") and start[8:12] in (b"heic", b"heix", b"mif1", b"hevc"):
        return "it is a HEIC photo under another name; save it as JPEG, or install pillow-heif"
    return str(error) or type(error).__name__


# --- more than 8 bits, and transparency ---


def _numbers_of(picture: Any) -> Numbers | None:
    """What the pixels are when they have more than 8 bits; else None."""
    mode = picture.mode
    return Numbers.FLOAT if mode == "F" else Numbers.WHOLE if mode.startswith("I") else None


def _eight_bits(picture: Any, ranges: _Ranges) -> Any:
    """A picture without transparency in a mode of 8 bits per channel."""
    from PIL import Image

    numbers = _numbers_of(picture)
    transparent = picture.info.get("transparency")
    if numbers is not None:
        values = np.asarray(picture)
        scaled = Image.fromarray(ranges.of(numbers).to_bytes(_finite(values)))
        if transparent is None:
            return scaled
        scaled.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
        return _on_paper(scaled.convert("RGBA"))
    if transparent is not None or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _on_paper(picture.convert("RGBA"))
    return picture


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are infinite or not a number (NaN)")
    return values


def _on_paper(picture: Any) -> Any:
    """An RGBA picture on white, or on black where what is to be seen of it is nearly white."""
    from PIL import Image

    opacity = np.asarray(picture.getchannel("A")).astype(np.float64)
    gray = np.asarray(picture.convert("RGB").convert("L")).astype(np.float64)
    seen = opacity.sum()
    light = seen > 0 and (gray * opacity).sum() / seen > NEARLY_WHITE
    paper = Image.new("RGBA", picture.size, "black" if light and opacity.min() < 255 else "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


class _Ranges:
    """The ranges of the images that have more than 8 bits, each measured when the first such image comes up."""

    def __init__(self, given: tuple[float, float] | None, files: Sequence[Path], note: Callable[[str], None]) -> None:
        if given is not None and not (len(given) == 2 and np.isfinite(given).all() and given[0] < given[1]):
            raise ValueError(f"value_range must be two numbers, black and white, the first smaller; got {given!r}.")
        self.given = Range(*map(float, given)) if given is not None else None
        self.files = list(dict.fromkeys(files))
        self.note = note
        self.measured: dict[Numbers, tuple[Range, int]] = {}

    def of(self, numbers: Numbers) -> Range:
        if self.given is not None:
            return self.given
        if numbers not in self.measured:
            self.measured[numbers] = self._measure(numbers)
        return self.measured[numbers][0]

    def _measure(self, numbers: Numbers) -> tuple[Range, int]:
        from PIL import Image

        lowest, highest, count = np.inf, -np.inf, 0
        for file in self.files:
            try:
                with Image.open(file) as image:  # reads the head of the file, not the pixels
                    if _numbers_of(image) is not numbers:
                        continue
                    values = _finite(np.asarray(image))
            except Exception:  # named when its own turn comes
                continue
            lowest, highest, count = min(lowest, float(values.min())), max(highest, float(values.max())), count + 1
        return _range_for(numbers, lowest, highest), count

    def tell(self) -> None:
        for numbers, (found, count) in self.measured.items():
            what = "1 image has" if count == 1 else f"{count:,} images have"
            self.note(
                f"{what} more than 8 bits ({numbers}). Their pixels are scaled so that {found.black:g} becomes black "
                f"and {found.white:g} white; value_range=(black, white) sets other values"
            )


def _range_for(numbers: Numbers, lowest: float, highest: float) -> Range:
    """The natural range that holds all values: 0 to 1 or 0 to 255 for floats, 0 to 2**bits - 1 for whole numbers."""
    whites = (1.0, 255.0) if numbers is Numbers.FLOAT else _WHITES
    white = next((white for white in whites if highest <= white), None)
    return Range(lowest, highest) if lowest < 0 or white is None else Range(0.0, white)
