"""`pool_in_time`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (7,), generator=generator).tolist()

    def case(name: str, count: int, length: int, dim: int, parts: int) -> Case:
        return Case(name, {"features": 1 + normal(count, length, dim), "parts": parts})

    double, strided = case("float64", 3, 8, 3, 2), case("strided", 6, 24, 3, 4)
    double.inputs["features"] = double.inputs["features"].double()
    strided.inputs["features"] = strided.inputs["features"][::2, ::2]
    return [
        case("plain", 3 + n[0], 12, 4 + n[1], 4),
        case("square", 4, 4, 4, 2),
        case("one_part", 3, 5 + n[2], 4, 1),
        case("each_frame", 2, 3 + n[3], 4, 3 + n[3]),
        case("one_recording", 1, 9, 2 + n[4], 3),
        case("rest_of_two", 3, 10, 3, 4),
        case("rest_of_one", 2 + n[5], 7, 3, 3),
        case("rest_of_three", 3, 19, 2 + n[6], 4),
        double,
        strided,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    features = case.inputs["features"].requires_grad_()
    pooled = fn(features, parts=case.inputs["parts"])
    if isinstance(pooled, Tensor) and pooled.requires_grad:
        (pooled * torch.arange(1, pooled.numel() + 1, device=pooled.device).reshape(pooled.shape)).sum().backward()
    return {"pooled": pooled, "gradient": gradient_of(features)}


exercise = Exercise(
    name="pool_in_time",
    title="One vector per recording that keeps the order",
    signature="pool_in_time(features, *, parts)",
    minutes=10,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "Cut the frames into `parts` pieces that follow one another, and take the mean over each piece. The vector "
            "has the means of the first piece, then those of the second, and so on. Where the number of frames is not "
            "a multiple of `parts`, some pieces have a frame more, and the formula says which."
        ),
        api="slices such as `features[:, start:end]`, `Tensor.mean(dim=1)`, `torch.cat(..., dim=1)`",
        skeleton=(
            "edges = [p * features.shape[1] // parts for p in range(...)]\n"
            "means = [features[:, start:end]... for start, end in zip(edges, edges[1:])]  # each (N, d)\n"
            "return torch.cat(means, dim=...)"
        ),
    ),
    takeaway=(
        "A mean over the whole recording would be the same for words with the same sounds in another order. A few "
        "parts keep the order and still allow for words that begin earlier or later."
    ),
    cases=cases,
    observe=observe,
    words={"pooled": "the tensor that you return", "gradient": "the gradient with respect to `features`"},
)
