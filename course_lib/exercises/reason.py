"""Values that no right answer can have are put aside before anything is computed with them.

A criterion counts, sorts and loops over what it is shown: a class number of 250 million, or a tensor of ten million
rows without columns, would cost it gigabytes or minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Other, Values

TIMES = 64  # as large as what is expected
SIZE, NUMBER = 10_000, 1_000_000  # and always allowed: entries of a tensor or list, whole numbers
DIMENSIONS = 8


@dataclass
class _Bounds:
    size: int = 0
    number: int = 0

    def grow(self, value: Any) -> None:
        """Makes room for a value that is expected."""
        if isinstance(value, Tensor):
            self.size = max(self.size, value.numel(), *value.shape)
            if value.numel() and not value.is_floating_point() and not value.is_complex():
                self.number = max(self.number, abs(int(value.max())), abs(int(value.min())))
        elif isinstance(value, int):
            self.number = max(self.number, abs(value))
        elif isinstance(value, (str, list, tuple, Mapping)):
            self.size = max(self.size, len(value))
            for item in _items(value):
                self.grow(item)

    def within(self, value: Any) -> Any:
        """The value, or `Other` in the place of what is beyond all reason in it."""
        size, number = TIMES * self.size + SIZE, TIMES * self.number + NUMBER
        if isinstance(value, Tensor):
            if value.dim() > DIMENSIONS or max(value.numel(), *value.shape, 0) > size:
                return Other("torch.Tensor far larger than asked for")
            whole = not value.is_floating_point() and not value.is_complex()
            if whole and value.numel() and max(int(value.max()), -int(value.min())) > number:
                return Other("torch.Tensor with numbers far larger than asked for")
        elif isinstance(value, int) and abs(value) > number:
            return Other("number far larger than asked for")
        elif isinstance(value, (str, list, tuple, Mapping)) and len(value) > size:
            return Other(f"{type(value).__name__} far longer than asked for")
        elif isinstance(value, Mapping):
            return {key: self.within(item) for key, item in value.items()}
        elif isinstance(value, (list, tuple)):
            return type(value)([self.within(item) for item in value])
        return value


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, Mapping) else () if isinstance(value, str) else value


def within_reason(seen: Values, expected: Values) -> Values:
    """What was observed, with `Other` in the place of tensors, lists and numbers far beyond what is expected.

    >>> within_reason({"labels": 250_000_000}, {"labels": 3})
    {'labels': Other(type_name='number far larger than asked for', shape=None)}
    """
    bounds = _Bounds()
    bounds.grow(expected)
    return {key: bounds.within(value) for key, value in seen.items()}
