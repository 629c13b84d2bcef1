"""`frames`: reference, criteria, and a mistake that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import all_of, as_expected, other_dtype
from course_lib.exercises.contract import Criterion, Judge


def reference(waves: Tensor, *, length: int, hop: int) -> Tensor:
    """By the positions of all samples."""
    starts = torch.arange(0, waves.shape[1] - length + 1, hop, device=waves.device)
    return waves[:, starts[:, None] + torch.arange(length, device=waves.device)]


_OVERLAPPING = ("plain", "half", "each_sample", "one_recording", "float64", "strided")
_right = all_of(as_expected("frames"), as_expected("frames_dtype"))

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "overlapping", 1, "frame f has the samples from f * hop to f * hop + length - 1", _right, _OVERLAPPING
        ),
        Criterion("gaps", 1, "a hop that is as long as a frame, or longer, works too", _right, ("touching", "gaps")),
        Criterion("whole", 1, "there are all whole frames, and only these", _right, ("rest_left", "one_frame")),
    ),
    predicates={"another_dtype": lambda trials: other_dtype(trials, "frames")},
)
