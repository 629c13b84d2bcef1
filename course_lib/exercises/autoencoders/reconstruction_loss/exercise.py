"""`reconstruction_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def pair(*shape: int) -> Values:
        return {"x_hat": draw(*shape), "images": draw(*shape)}

    wide = pair(4, 1, 5, 7)
    return [
        Case("plain", wide),
        Case("twice_the_batch", {key: torch.cat([value, value]) for key, value in wide.items()}),
        Case("one", pair(1, 1, 6, 4)),
        Case("color", {"x_hat": 20 * draw(5, 3, 4, 6) - 10, "images": draw(5, 3, 4, 6)}),
        Case("as_many_images_as_channels", pair(3, 3, 3, 3)),
        Case("transposed", {key: value.transpose(2, 3) for key, value in pair(2, 1, 4, 9).items()}),
        Case("float64", {key: value.double() for key, value in pair(6, 1, 3, 5).items()}),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    x_hat, images = case.inputs["x_hat"].requires_grad_(), case.inputs["images"]
    loss, gradient = fn(x_hat, images), torch.zeros_like(x_hat)
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
        gradient = gradient_of(x_hat)
    return {"loss": loss, "gradient": gradient, "images_after": images}


exercise = Exercise(
    name="reconstruction_loss",
    title="Squared error: summed over pixels, averaged over images",
    signature="reconstruction_loss(x_hat, images)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "Square each pixel's error. Add up within each image, so that one number per image is left; then take the "
            "mean of those numbers."
        ),
        api="`Tensor.flatten`, `Tensor.sum(dim=...)`, `Tensor.mean`",
        skeleton=(
            "squared = (... - ...) ** 2         # (N, C, H, W)\n"
            "per_image = squared.flatten(1)...  # (N,)\n"
            "return per_image..."
        ),
    ),
    takeaway=(
        "Summed over pixels and averaged over images, the loss keeps its size when the batch grows: the learning rate "
        "need not change, and in the next unit it can be weighed against a KL term."
    ),
    cases=cases,
    observe=observe,
    words={
        "gradient": "the gradient with respect to `x_hat`",
    },
)
