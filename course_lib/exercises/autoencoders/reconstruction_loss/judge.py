"""`reconstruction_loss`: reference and criteria; values alone show every mistake."""

from __future__ import annotations

import torch.nn.functional as F

from course_lib.exercises.asking import as_expected
from course_lib.exercises.contract import Criterion, Judge


def reference(x_hat, images):
    return F.mse_loss(x_hat, images, reduction="sum") / len(images)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "squared errors are summed over the pixels of each image",
            as_expected("loss"),
            ("one", "color", "transposed", "float64"),
        ),
        Criterion(
            "batch",
            1,
            "the mean is taken over images: twice the batch, same loss",
            as_expected("loss"),
            ("plain", "twice_the_batch", "as_many_images_as_channels"),
        ),
        Criterion(
            "gradient",
            1,
            "the gradient reaches `x_hat`, and `images` stay as they are",
            as_expected("gradient", "images_after"),
        ),
    ),
)
