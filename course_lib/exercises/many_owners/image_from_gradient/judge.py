"""`image_from_gradient`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import as_expected, everywhere, somewhere
from course_lib.exercises.contract import Criterion, Judge, close


def reference(weight_grad, bias_grad):
    return torch.linalg.lstsq(bias_grad[:, None], weight_grad).solution[0]


_image = as_expected("image")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "image",
            1,
            "the image comes back exactly, in its own size",
            _image,
            ("usual", "small_gradients", "pixels_below_zero", "one_output", "float64"),
        ),
        Criterion(
            "zero_rows",
            1,
            "rows of zeros, of units that were not active, do no harm",
            _image,
            ("some_rows_are_zero", "most_rows_are_zero", "square"),
        ),
        Criterion(
            "zero_sum",
            1,
            "it also works where the gradients of the biases sum to zero",
            _image,
            ("rows_that_sum_to_zero",),
        ),
    ),
    predicates={
        "not_finite": somewhere(
            lambda t: isinstance(t.seen["image"], Tensor) and not t.seen["image"].isfinite().all(),
            "some_rows_are_zero",
            "most_rows_are_zero",
        ),
        "all_rows_returned": everywhere(
            lambda t: (
                isinstance(t.seen["image"], Tensor)
                and t.seen["image"].shape == t.case.inputs["weight_grad"].shape
                and close(t.seen["image"][-1], t.expected["image"])
            ),
            "usual",
            "float64",
        ),
    },
)
