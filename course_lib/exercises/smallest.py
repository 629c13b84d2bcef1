"""The smallest inputs that show what is wrong with an answer: as text, and as a part of the card with pictures.

Only in self-study. In grading no student may see an input, and no student's code runs where a judge is.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from course_lib.exercises.contract import Exercise, Trial
from course_lib.exercises.explaining import Explanation, Way
from course_lib.exercises.messages import said, say
from course_lib.exercises.showing import DIGITS, arguments_of, input_name, kind, shown, shown_apart

FITS = 24  # entries of a tensor or list that are shown in full
MOST_IMAGES, MOST_PIXELS = 4, 64  # images side by side, and pixels per side, that are shown as pictures


@dataclass(frozen=True)
class SmallestCase:
    """The smallest inputs found that show the same difference as the check's own cases.

    Attributes:
        exercise: what was asked for.
        explanation: what differs on these inputs; its trial holds them.
    """

    exercise: Exercise
    explanation: Explanation

    @property
    def trial(self) -> Trial:
        assert self.explanation.trial is not None  # only such explanations are searched for
        return self.explanation.trial

    def lines(self) -> list[str]:
        """Inputs, result and expectation, a line each, in the reader's language; the title comes first."""
        return [say("smallest.title"), *self.inputs(), *self.outcome()]

    def inputs(self) -> list[str]:
        """The inputs as Python, to be copied where they are tensors or numbers and fit."""
        return [
            f"{input_name(self.exercise, name)} = {as_code(value)}"
            for name, value in arguments_of(self.exercise, self.trial.case).items()
        ]

    def outcome(self) -> list[str]:
        """What the answer gives on these inputs, and what is expected."""
        found = self.explanation
        if self.trial.error:
            return [say("smallest.stops", type=self.trial.error.type, text=self.trial.error.text)]
        seen, expected, part = self.values()
        given, wanted = _both(seen, expected, found.way)
        if found.way is Way.VALUES and not (fits(seen) and fits(expected)):  # the place where they differ most
            fields = found.message.fields
            part, given, wanted = f"{part} at `{fields['place']}`", fields["given"], fields["expected"]
        key = str(said(found.message.fields["key"]))
        return [
            say("smallest.given", key=key, part=part, given=given),
            say("smallest.expected", expected=wanted),
        ]

    def values(self) -> tuple[Any, Any, str]:
        """What was seen and what is expected where they differ, and where inside the result that is."""
        found = self.explanation
        seen, expected = self.trial.seen.get(found.key), self.trial.expected[found.key]
        if fits(seen) and fits(expected) and found.way not in (Way.MISSING, Way.EXTRA):
            return seen, expected, ""
        for part in found.path:
            seen, expected = _inside(seen, part), _inside(expected, part)
        if found.way is Way.MISSING:
            seen = ""  # shown as "nothing"
        elif found.way is Way.EXTRA:
            expected = ""
        return seen, expected, str(found.message.fields["part"])

    def as_html(self) -> str:
        """Pictures of images, then the same lines as text."""
        title, *lines = self.lines()
        style = "margin:.2em 0;white-space:pre;overflow-x:auto"
        text = html.escape("\n".join(lines))
        return (
            f'<div class="course-smallest" style="margin:.5em 0"><p style="margin:.3em 0">{html.escape(title)}</p>'
            f'{self._pictures()}<pre style="{style}">{text}</pre></div>'
        )

    def _pictures(self) -> str:
        """The images among inputs, result and expectation, side by side."""
        named = [(n, v) for n, v in arguments_of(self.exercise, self.trial.case).items() if are_images(v)]
        if not self.trial.error:
            seen, expected, _ = self.values()
            if are_images(seen) and are_images(expected):
                named += [(say("smallest.yours"), seen), (say("smallest.wanted"), expected)]
        if not named:
            return ""
        finite = torch.cat([value.double().flatten() for _, value in named])
        finite = finite[finite.isfinite()]
        low, high = min([0.0, *finite.tolist()]), max([1.0, *finite.tolist()])
        figures = [figure for name, value in named for figure in _figures(name, value, low, high)]
        scale = html.escape(say("smallest.scale", low=f"{low:.3g}", high=f"{high:.3g}"))
        return (
            f'<div style="display:flex;flex-wrap:wrap;gap:.8em;align-items:end">{"".join(figures)}</div>'
            f'<p style="margin:.2em 0"><small>{scale}</small></p>'
        )


def _inside(value: Any, part: Any) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


# --- text -----------------------------------------------------------------------------------------------------------


def fits(value: Any) -> bool:
    """Whether a value is short enough to be shown in full."""
    return sum(1 for _ in _entries(value)) <= FITS


def _entries(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield from range(value.numel())
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _entries(item)
    else:
        yield value


def as_code(value: Any) -> str:
    """A value as Python that makes it, where it fits: "torch.tensor([[0.0, 1.0]], dtype=torch.float64)"."""
    if not fits(value):
        return str(said(kind(value)))
    if not isinstance(value, torch.Tensor):
        return repr(value)
    text = next((t for t in (shown(value, digits) for digits in DIGITS) if _makes(t, value)), shown(value, DIGITS[-1]))
    usual = value.dtype in (torch.float32, torch.int64, torch.bool) and value.numel()
    dtype = "" if usual else f", dtype={value.dtype}"
    layout = "" if value.is_contiguous() else "  # " + say("smallest.not_contiguous")
    return f"torch.tensor({text}{dtype}){layout}"


def _makes(text: str, value: torch.Tensor) -> bool:
    """Whether a text has enough digits to give just this tensor."""
    if not value.is_floating_point():
        return True
    if not value.isfinite().all():
        return text == shown(value, DIGITS[-1])
    numbers = [float(number) for number in text.replace("[", " ").replace("]", " ").replace(",", " ").split()]
    return torch.equal(torch.tensor(numbers, dtype=value.dtype).reshape(value.shape), value)


def _both(seen: Any, expected: Any, way: Way) -> tuple[str, str]:
    """Result and expectation, rounded alike, with what makes the difference."""
    given, wanted = shown_apart(seen, expected)
    given, wanted = (t if fits(v) else str(said(kind(v))) for t, v in ((given, seen), (wanted, expected)))
    if isinstance(seen, torch.Tensor) and isinstance(expected, torch.Tensor):
        if way is Way.SHAPE:
            given, wanted = (f"{t}, shape {tuple(v.shape)}" for t, v in ((given, seen), (wanted, expected)))
        elif way is Way.DTYPE:
            given, wanted = (f"{t}, {v.dtype}" for t, v in ((given, seen), (wanted, expected)))
    elif way is Way.TYPE:
        given, wanted = (f"{t} ({said(kind(v))})" for t, v in ((given, seen), (wanted, expected)))
    return given, wanted


# --- pictures -------------------------------------------------------------------------------------------------------


def are_images(value: Any) -> bool:
    """Whether a value is a small batch of gray or color images that are worth a picture."""
    if not isinstance(value, torch.Tensor) or value.ndim != 4 or value.is_complex():
        return False
    count, channels, height, width = value.shape
    size_fits = 2 <= max(height, width) <= MOST_PIXELS and min(height, width) >= 1
    return 1 <= count <= MOST_IMAGES and channels in (1, 3) and size_fits


def _figures(name: str, images: torch.Tensor, low: float, high: float) -> Iterator[str]:
    for number, image in enumerate(images):
        height, width = image.shape[1:]
        caption = f"{name}[{number}]" if len(images) > 1 else name
        alt = say("smallest.alt", name=caption, height=height, width=width)
        if image.numel() <= FITS:
            alt += f" {shown(image[0] if len(image) == 1 else image)}"
        side = max(8, min(24, 96 // max(height, width)))  # of a pixel
        style = f"width:{side * width}px;height:{side * height}px;image-rendering:pixelated;border:1px solid GrayText"
        data = base64.b64encode(png_of(image, low, high)).decode("ascii")
        yield (
            f'<figure style="margin:0"><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}" '
            f'style="{style}"><figcaption><small>{html.escape(caption)}</small></figcaption></figure>'
        )


def png_of(image: torch.Tensor, low: float, high: float) -> bytes:
    """A (1, H, W) or (3, H, W) tensor as a PNG, black at `low` and white at `high`; orange where it is not finite."""
    channels = image.double().expand(3, *image.shape[1:])  # (3, H, W)
    bright = ((channels - low) / (high - low)).nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8)
    orange = torch.tensor([230, 159, 0], dtype=torch.uint8)[:, None, None]
    pixels = torch.where(channels.isfinite().all(dim=0), bright, orange).permute(1, 2, 0)  # (H, W, 3)
    height, width = image.shape[1:]
    rows = b"".join(b"\x00" + bytes(row.flatten().tolist()) for row in pixels)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits of red, green and blue
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
