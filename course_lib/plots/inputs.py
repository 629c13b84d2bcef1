"""What figures take: tensors, arrays, lists and recorded curves are checked and become NumPy arrays."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray


def as_array(values: Any) -> NDArray[Any]:
    """A NumPy array of a tensor (on any device, with or without gradient), an array or a list."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()
    return np.asarray(values)


def as_pictures(images: Any, what: str = "images") -> NDArray[np.float64]:
    """Images as float (N, H, W) or (N, H, W, 3) in [0, 1]; takes (N, C, H, W) or (N, H, W), uint8 or float.

    Raises:
        ValueError: another shape, or no image; the message calls them `what`.
    """
    array = as_array(images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise ValueError(
            f"{what} has shape {tuple(np.shape(as_array(images)))}; expected (N, 1 or 3, H, W) or (N, H, W)."
        )
    if len(array) == 0:
        raise ValueError(f"{what} is empty; give at least one image.")
    if array.dtype == np.uint8:
        array = array / 255.0
    array = np.clip(np.nan_to_num(array.astype(np.float64)), 0.0, 1.0)
    return array[:, 0] if array.shape[1] == 1 else array.transpose(0, 2, 3, 1)


def as_vector(values: Any, what: str) -> NDArray[np.float64]:
    """One number per image, float64 (N,).

    Raises:
        ValueError: another shape, or no number; the message calls them `what`.
    """
    array = as_array(values).astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} has shape {tuple(array.shape)}; expected one number per image, shape (N,).")
    return array


def as_flags(values: Any, length: int, what: str = "is_positive") -> NDArray[np.bool_]:
    """One boolean per image, (length,).

    Raises:
        ValueError: another shape; the message calls them `what`.
    """
    array = as_array(values)
    if array.shape != (length,):
        raise ValueError(f"{what} has shape {tuple(array.shape)}; expected ({length},), one for each score.")
    return array.astype(bool)


def curve_points(curve: Any) -> list[tuple[float, NDArray[np.float64]]]:
    """(x, values of the seeds) pairs of a `records.Curve`, in its order, or of {x: values}, by x."""
    pairs = zip(curve.x, curve.values) if hasattr(curve, "x") else sorted(curve.items())
    return [(float(x), np.atleast_1d(as_array(values)).astype(np.float64)) for x, values in pairs]


class Baseline(TypedDict, total=False):
    """A line to compare with, as two keyword arguments that several figures take: its value and its name."""

    baseline: float | None
    baseline_label: str


def baseline_of(options: Mapping[str, Any], function: str, *, label: str) -> tuple[float | None, str]:
    """Value (None: no line) and name of the baseline in a figure's `**options`.

    Raises:
        TypeError: there is a keyword that `function` does not take.
    """
    unknown = [name for name in options if name not in Baseline.__annotations__]
    if unknown:
        raise TypeError(f"{function}() got an unexpected keyword argument {unknown[0]!r}")
    return options.get("baseline"), options.get("baseline_label", label)


def wrapped(lines: Sequence[Any] | None, width: int) -> list[str]:
    """Each line broken after at most `width` characters (8 at least); an empty list for none."""
    return [textwrap.fill(str(line), max(width, 8)) for line in lines or ()]


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 image", "3 images"."""
    return f"{number} {noun if number == 1 else noun + 's'}"
