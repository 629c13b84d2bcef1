"""What several judges of unit 07 share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.exercises.contract import Trial
from course_lib.exercises.judging import named


def all_named(trials: Sequence[Trial], predicate: Callable[[Trial], bool], *names: str) -> bool:
    found = named(trials, *names)
    return bool(found) and all(predicate(t) for t in found)
