"""What several judges of unit 00 share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Trial


def in_all_of(trials: Sequence[Trial], says: Callable[[Trial], bool]) -> bool:
    """Whether it holds in every one of some trials that all came to an end."""
    return bool(trials) and all(not t.error and says(t) for t in trials)


def trials_named(trials: Sequence[Trial], *names: str) -> list[Trial]:
    return [t for t in trials if t.case.name in names]


def is_float(value: Any) -> bool:
    return type(value) is float


def value_of(value: Any) -> float:
    """A number, also when it came as a tensor with one entry; NaN for anything else."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return float(value) if type(value) in (int, float) else math.nan
