"""`reconstruction_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_any, ran


def reference(x_hat, images):
    return F.mse_loss(x_hat, images, reduction="sum") / len(images)


def _loss_ratio(trials: Sequence[Trial], expected_ratio) -> bool:
    """Whether on every case the loss is the right one times a factor that depends on the shape."""
    found = ran(trials)
    return bool(found) and all(
        isinstance(t.seen["loss"], Tensor)
        and close(t.seen["loss"].double(), t.expected["loss"].double() * expected_ratio(t.case.inputs["images"]))
        for t in found
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "squared errors are summed over the pixels of each image",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("one", "color", "transposed", "float64"),
        ),
        Criterion(
            "batch",
            1,
            "the mean is taken over images: twice the batch, same loss",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("plain", "twice_the_batch", "as_many_images_as_channels"),
        ),
        Criterion(
            "gradient",
            1,
            "the gradient reaches `x_hat`, and `images` stay as they are",
            lambda c, s, e: close(s["gradient"], e["gradient"]) and close(s["images_after"], e["images_after"]),
        ),
    ),
    predicates={
        "mean_of_everything": lambda trials: _loss_ratio(trials, lambda x: 1 / x[0].numel()),
        "sum_of_everything": lambda trials: _loss_ratio(trials, len),
        "mean_over_pixels_sum_over_batch": lambda trials: _loss_ratio(trials, lambda x: len(x) / x[0].numel()),
        "not_squared": lambda trials: in_any(
            trials, lambda t: isinstance(t.seen["loss"], Tensor) and bool((t.seen["loss"] < 0).any())
        ),
        "summed_over_one_axis": lambda trials: any(
            _loss_ratio(trials, lambda x, axis=axis: x.shape[axis] / x[0].numel()) for axis in (1, 2, 3)
        ),
        "halved": lambda trials: _loss_ratio(trials, lambda x: 0.5),
        "one_number_an_image": lambda trials: in_any(
            trials,
            lambda t: isinstance(t.seen["loss"], Tensor) and t.seen["loss"].shape == t.case.inputs["images"].shape[:1],
        ),
        "plain_number": lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        "cut_from_the_graph": lambda trials: in_any(
            trials,
            lambda t: (
                isinstance(t.seen["loss"], Tensor)
                and close(t.seen["loss"], t.expected["loss"])
                and not t.seen["gradient"].any()
            ),
        ),
    },
)
