"""`negative_cosine`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.contrastive.exercise import loss_and_gradients


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    more = torch.randint(0, 5, (3,), generator=generator).tolist()

    def case(name: str, n: int, d: int) -> Case:
        p = normal(n, d) * (0.2 + 3 * uniform(n, 1))
        return Case(name, {"p": p, "z": (p + 0.7 * normal(n, d)) * (0.2 + 3 * uniform(n, 1))})

    opposite = case("opposite", 7, 4 + more[2])
    opposite.inputs["z"][:4] *= -1  # some cosines are below 0
    double, strided = case("float64", 5, 4 + more[0]), case("strided", 14, 6)
    return [
        case("plain", 6 + more[1], 5),
        case("square", 4, 4),
        case("wide", 3, 9 + more[2]),
        case("one", 1, 5),
        opposite,
        Case("float64", {key: value.double() for key, value in double.inputs.items()}),
        Case("strided", {key: value[::2] for key, value in strided.inputs.items()}),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    p, z = (case.inputs[key].requires_grad_() for key in ("p", "z"))
    return loss_and_gradients(fn(p, z), p=p, z=z)


exercise = Exercise(
    name="negative_cosine",
    title="Minus the cosine, with a stop-gradient",
    signature="negative_cosine(p, z)",
    minutes=8,
    difficulty=2,
    points=3,
    hints=Hints(
        concept=(
            "The prediction `p` has to come near the target `z`, and `z` must not move towards it. So cut `z` off from "
            "the graph before you compare."
        ),
        api="`Tensor.detach()`, `F.cosine_similarity(a, b, dim=1)`, `Tensor.mean()`",
        skeleton="return -F.cosine_similarity(p, z....(), dim=...)....",
    ),
    takeaway="One `detach` is the difference between learning and collapse. The value of the loss does not show it.",
    cases=cases,
    observe=observe,
    words={"p_gradient": "the gradient with respect to `p`", "z_gradient": "the gradient with respect to `z`"},
)
