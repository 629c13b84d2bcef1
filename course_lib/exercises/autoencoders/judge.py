"""What several judges of unit 01 share, and those of other units that draw random numbers."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.contract import Case, Values


def mode_restored(case: Case, seen: Values, expected: Values) -> bool:
    """Whether the network was used, and is in the mode that it came in."""
    return bool(seen["modes"]) and seen["mode_after"] == expected["mode_after"]


def is_independent(noise: Tensor) -> bool:
    """Whether no entry repeats another: neighbors, channels and images, next to each other or half a tensor apart."""
    bound = 6 / noise.numel() ** 0.5
    shifts = [(shift, dim) for dim, size in enumerate(noise.shape) for shift in {1, size // 2} if size > 1]
    return all(abs(float((noise * noise.roll(shift, dim)).mean())) < bound for shift, dim in shifts)
