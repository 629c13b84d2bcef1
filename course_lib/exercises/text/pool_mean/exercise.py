"""`pool_mean`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of
from course_lib.exercises.text.exercise import texts


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()

    def case(name: str, count: int, length: int, dim: int, **how: bool) -> Case:
        ids = texts(generator, count, length, 40, **how)
        return Case(name, {"features": 3 + normal(count, length, dim), "ids": ids})

    double, empty = case("float64", 4, 6, 3), case("empty_text", 4, 5 + n[0], 3)
    double.inputs["features"] = double.inputs["features"].double()
    empty.inputs["ids"][1] = 0
    special, strided = case("masks_and_unknowns", 5, 6, 4), case("strided", 6, 14, 3)
    special.inputs["ids"][:, 0], special.inputs["ids"][0, 1:3] = 2, 1
    strided.inputs.update({key: value[:, ::2] for key, value in strided.inputs.items()})
    inside = case("padding_inside", 4, 7, 3, padded=False)
    inside.inputs["ids"][:, 2] = 0
    return [
        case("plain", 5 + n[1], 8, 3 + n[2]),
        case("square", 6, 6, 6),
        case("one_text", 1, 5 + n[3], 4),
        case("no_padding", 4, 7, 5, padded=False),
        inside,
        special,
        strided,
        double,
        empty,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    features, ids = case.inputs["features"].requires_grad_(), case.inputs["ids"]
    pooled = fn(features, ids)
    if isinstance(pooled, Tensor) and pooled.requires_grad:
        (pooled * torch.arange(1, pooled.numel() + 1, device=pooled.device).reshape(pooled.shape)).sum().backward()
    return {"pooled": pooled, "gradient": gradient_of(features), "ids_after": ids}


exercise = Exercise(
    name="pool_mean",
    title="One vector per text: the mean over its words",
    signature="pool_mean(features, ids)",
    minutes=10,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "Padding is there to make the rows of a batch equally long. It must neither add to the sum nor be counted. "
            "So multiply the features by 1 for words and 0 for padding, sum, and divide by the number of words."
        ),
        api="`ids != 0`, `Tensor.unsqueeze(-1)` or `[..., None]`, `Tensor.sum(dim=1)`, `Tensor.clamp(min=1)`",
        skeleton=(
            "there = (ids != 0)[..., None].to(features.dtype)  # (N, T, 1)\n"
            "return (features * ...).sum(dim=1) / there.sum(dim=1)..."
        ),
    ),
    takeaway="With a mask in the mean, a short text is not pulled towards the features of its padding.",
    cases=cases,
    observe=observe,
    words={"pooled": "the tensor that you return", "gradient": "the gradient with respect to `features`"},
)
