"""`masked_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)

    def case(name: str, shape: tuple[int, ...], share: float) -> Case:
        n, _, height, width = shape
        mask = torch.rand(n, 1, height, width, generator=generator) < share
        mask[:, :, 0, 0], mask[:, :, -1, -1] = True, False  # some of both
        return Case(name, {"x_hat": draw(*shape), "images": draw(*shape), "mask": mask})

    uneven = case("uneven", (4, 1, 5, 6), 0.5)  # another share hidden in each image
    uneven.inputs["mask"][0], uneven.inputs["mask"][1] = True, False
    uneven.inputs["mask"][1, :, 0] = True
    double = case("float64", (3, 1, 4, 5), 0.4)
    strided = case("transposed", (3, 2, 4, 7), 0.5)
    nothing = case("nothing_hidden", (3, 2, 4, 4), 0.5)
    nothing.inputs["mask"].fill_(False)
    return [
        case("plain", (4, 1, 6, 5), 0.5),
        case("one", (1, 1, 4, 6), 0.6),
        uneven,
        case("color", (5, 3, 4, 6), 0.3),
        case("as_many_images_as_channels", (3, 3, 3, 3), 0.5),
        Case("transposed", {key: value.transpose(2, 3) for key, value in strided.inputs.items()}),
        Case("float64", {key: value if key == "mask" else value.double() for key, value in double.inputs.items()}),
        nothing,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    x_hat, images, mask = case.inputs["x_hat"].requires_grad_(), case.inputs["images"], case.inputs["mask"]
    loss = fn(x_hat, images, mask)
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return {"loss": loss, "gradient": gradient_of(x_hat), "images_after": images}


exercise = Exercise(
    name="masked_loss",
    title="Squared error of the hidden pixels alone",
    signature="masked_loss(x_hat, images, mask)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Sum the squared errors of what was hidden, and divide by how many values that are. Mind the channels: "
            "the mask has one, the images may have three. And mind a batch in which nothing is hidden."
        ),
        api="`Tensor.expand_as`, `Tensor.sum`, `Tensor.clamp(min=...)`",
        skeleton=(
            "hidden = mask.expand_as(images)  # (N, 1, H, W) -> (N, C, H, W)\n"
            "squared = (... - ...) ** 2 * hidden\n"
            "return squared.sum() / hidden.sum()..."
        ),
    ),
    takeaway=(
        "The gradient on visible pixels is zero: copying what can be seen no longer earns anything, only knowing what "
        "belongs into the holes."
    ),
    cases=cases,
    observe=observe,
    words={
        "gradient": "the gradient with respect to `x_hat`",
    },
)
