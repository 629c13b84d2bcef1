"""`rotate_batch`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_any


def reference(images, k):
    return torch.rot90(images, k, (2, 3))


def _rotated(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["rotated"], expected["rotated"])


def _keeps_shape(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            t.case.inputs["k"] % 2 == 1
            and t.case.inputs["images"].shape[2] != t.case.inputs["images"].shape[3]
            and t.seen["rotated"].shape == t.case.inputs["images"].shape
        ),
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "quarter_turn",
            1,
            "one quarter turn is counterclockwise, in height and width",
            _rotated,
            ("quarter_turn", "as_many_images_as_channels", "transposed", "float64"),
        ),
        Criterion(
            "other_turns",
            1,
            "so are none, two and three",
            _rotated,
            ("no_turn", "half_turn", "three_quarters", "one"),
        ),
        Criterion(
            "any_k",
            1,
            "any whole number will do: backward, and more than once around",
            _rotated,
            ("backward", "more_than_once_around"),
        ),
        Criterion(
            "images_kept",
            1,
            "dtype and number of pixels stay, and the images given stay as they are",
            lambda c, s, e: (
                s["rotated"].numel() == e["rotated"].numel()
                and s["rotated"].dtype == e["rotated"].dtype
                and s["images_after"].shape == e["images_after"].shape
                and close(s["images_after"], e["images_after"])
            ),
        ),
    ),
    predicates={
        "half_turns": lambda trials: in_any(
            trials,
            lambda t: t.case.name == "quarter_turn" and close(t.seen["rotated"], t.case.inputs["images"].flip(2, 3)),
        ),
        "shape_forced_back": _keeps_shape,
    },
)
