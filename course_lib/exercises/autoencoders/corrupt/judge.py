"""`corrupt`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.autoencoders.judge import (
    UNCUT,
    behaves_cut_too_early,
    for_uncut,
    is_fresh,
    is_gaussian,
    keeps_range,
    leaves_input,
    reference_corrupt,
    uses_generator,
)
from course_lib.exercises.contract import Criterion, Judge
from course_lib.exercises.judging import in_any

judge = Judge(
    reference=reference_corrupt,
    criteria=(
        Criterion(
            "noise",
            1,
            "every pixel of every image gets its own Gaussian noise of standard deviation `noise`",
            lambda c, s, e: is_gaussian(c, s, e) and is_fresh(c, s, e),
            UNCUT,
        ),
        Criterion("range", 1, "shape and dtype stay, values are cut off at 0 and 1", keeps_range),
        Criterion("generator", 1, "the noise comes from the generator, and from nowhere else", uses_generator),
        Criterion("input_kept", 1, "the clean images are not changed", leaves_input),
    ),
    predicates={
        "seeded_inside": lambda trials: for_uncut(
            trials, lambda t: torch.equal(t.seen["corrupted"], t.seen["next_call"])
        ),
        "cut_too_early": behaves_cut_too_early,
        "without_clamp": lambda trials: in_any(
            trials, lambda t: bool(((t.seen["corrupted"] < 0) | (t.seen["corrupted"] > 1)).any())
        ),
    },
    exact=False,
)
