"""`rotate_batch`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import as_expected, inputs_kept, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(images, k):
    return torch.rot90(images, k, (2, 3))


def _images_kept(case: Case, seen: Values, expected: Values) -> bool:
    rotated, right = seen["rotated"], expected["rotated"]
    same_kind = rotated.numel() == right.numel() and rotated.dtype == right.dtype
    return same_kind and inputs_kept(case, seen, "images")


def _keeps_shape(t: Trial) -> bool:
    """Whether a rectangle has its old shape after an odd number of turns."""
    shape = t.case.inputs["images"].shape
    return t.case.inputs["k"] % 2 == 1 and shape[2] != shape[3] and t.seen["rotated"].shape == shape


_ONE_TURN = ("quarter_turn", "as_many_images_as_channels", "transposed", "float64")
_OTHER_TURNS = ("no_turn", "half_turn", "three_quarters", "one")
_ANY_TURN = ("backward", "more_than_once_around")
_right = as_expected("rotated")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("quarter_turn", 1, "one quarter turn is counterclockwise, in height and width", _right, _ONE_TURN),
        Criterion(
            "other_turns",
            1,
            "with `k` = 0, 2 and 3 the images are turned counterclockwise by `k` quarters",
            _right,
            _OTHER_TURNS,
        ),
        Criterion("any_k", 1, "any whole number will do: backward, and more than once around", _right, _ANY_TURN),
        Criterion(
            "images_kept",
            1,
            "dtype and number of pixels stay, and the images given stay as they are",
            _images_kept,
        ),
    ),
    predicates={
        "half_turns": somewhere(lambda t: close(t.seen["rotated"], t.case.inputs["images"].flip(2, 3)), "quarter_turn"),
        "shape_forced_back": somewhere(_keeps_shape),
    },
)
