"""`image_from_gradient`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, outputs: Tensor, pixels: int, scale: float = 1.0) -> Case:
        """The gradients of a layer for one image: each row is the image times the gradient of this output."""
        image = (uniform(pixels) - (name == "pixels_below_zero") / 2).to(outputs.dtype)
        outputs = scale * outputs
        return Case(name, {"weight_grad": outputs[:, None] * image, "bias_grad": outputs})

    def with_dead(outputs: Tensor, *dead: int) -> Tensor:
        outputs[list(dead)] = 0.0
        return outputs

    def last_layer(classes: int) -> Tensor:
        """Of cross-entropy: softmax minus one-hot, which sums to zero."""
        outputs = normal(classes).softmax(dim=0)
        outputs[1] = outputs[1] - outputs.sum()
        return outputs

    apart = 0.3 + uniform(8)
    return [
        case("usual", apart * torch.tensor([1.0, -1, 1, 1, -1, 1, -1, 1]), 12),
        case("some_rows_are_zero", with_dead(0.5 + normal(9).abs(), 0, 3, 4, 8), 10),
        case("most_rows_are_zero", with_dead(-0.5 - normal(7).abs(), 0, 1, 2, 4, 5, 6), 15),
        case("rows_that_sum_to_zero", last_layer(5), 9),
        case("small_gradients", 0.3 + normal(6).abs(), 14, 1e-4),
        case("pixels_below_zero", 0.5 + normal(5).abs(), 13),
        case("one_output", torch.tensor([-0.7]), 8),
        case("square", with_dead(-0.2 - uniform(6), 2), 6),
        case("float64", 0.4 + normal(4).double().abs(), 11),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    image = fn(case.inputs["weight_grad"], case.inputs["bias_grad"])
    return {"image": image, "image_dtype": dtype_name(image)}


exercise = Exercise(
    name="image_from_gradient",
    title="The image that a gradient gives away",
    signature="image_from_gradient(weight_grad, bias_grad)",
    minutes=10,
    difficulty=2,
    points=3,
    hints=Hints(
        concept=(
            "Row h of the weight's gradient is the image times one number, and this number is the gradient of the "
            "bias h. So divide, in a row where the number is not 0. You can also use all rows at once, because the "
            "image is the least-squares solution of bias_grad[h] * x = weight_grad[h]."
        ),
        api="`Tensor.abs`, `Tensor.argmax`, or `bias_grad @ weight_grad` and `bias_grad @ bias_grad`",
        skeleton="h = bias_grad....()  # a row that is far from 0\nreturn weight_grad[...] / bias_grad[...]",
    ),
    takeaway=(
        "A gradient is not an anonymous summary. For one image and a linear first layer it is the image, times a "
        "number that comes along."
    ),
    cases=cases,
    observe=observe,
    words={"image": "the image that you return", "image_dtype": "the dtype of the image"},
)
