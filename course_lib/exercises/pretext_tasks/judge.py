"""What several judges of unit 04 share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from course_lib.exercises.contract import Case, Predicate, Trial, Values
from course_lib.exercises.judging import in_all, ran


def images_kept(case: Case, seen: Values) -> bool:
    """Whether the images given stay as they are."""
    return torch.equal(seen["images_after"], case.inputs["images"])


def global_state_kept(seen: Values) -> bool:
    """Whether torch's own generator, which nobody was given, was left alone."""
    return torch.equal(seen["global_state_before"], seen["global_state_after"])


def everywhere_with_dtype(predicate: Callable[[Trial], bool], key: str) -> Predicate:
    """As `everywhere`; the dtype observed under `key` fills the sentence's {dtype}."""

    def found(trials: Sequence[Trial]) -> bool | Values:
        return in_all(trials, predicate) and {"dtype": ran(trials)[0].seen[key].removeprefix("torch.")}

    return found
