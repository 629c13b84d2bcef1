"""`reconstruction_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch.nn.functional as F

from course_lib.exercises.contract import Criterion, Judge, close


def reference(x_hat, images):
    return F.mse_loss(x_hat, images, reduction="sum") / len(images)


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
)
