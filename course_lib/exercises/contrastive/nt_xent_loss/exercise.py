"""`nt_xent_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.contrastive.exercise import loss_and_gradients


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    more = torch.randint(0, 4, (3,), generator=generator).tolist()

    def case(name: str, n: int, d: int, temperature: float = 0.2) -> Case:
        z1 = normal(n, d)
        lengths = 0.2 + 3 * uniform(2, n, 1)  # the outputs of a head have all lengths
        z2 = z1 + 0.8 * normal(n, d)
        return Case(name, {"z1": z1 * lengths[0], "z2": z2 * lengths[1], "temperature": temperature})

    double, strided = case("float64", 5, 4 + more[0], 0.5), case("strided", 12, 6, 0.3)
    return [
        case("plain", 6 + more[1], 5),
        case("square", 4, 4, 0.5),
        case("warm", 5 + more[2], 3, 2.0),
        case("cold", 7, 6, 0.008),
        case("one", 1, 5),
        Case("float64", {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in double.inputs.items()}),
        Case("strided", {k: v[::2] if isinstance(v, torch.Tensor) else v for k, v in strided.inputs.items()}),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    z1, z2 = (case.inputs[key].requires_grad_() for key in ("z1", "z2"))
    return loss_and_gradients(fn(z1, z2, case.inputs["temperature"]), z1=z1, z2=z2)


exercise = Exercise(
    name="nt_xent_loss",
    title="Find the other view among all views of a batch",
    signature="nt_xent_loss(z1, z2, temperature=0.2)",
    minutes=20,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "It is a classification: row i has to find the row of its other view among all 2N rows. So it is a "
            "cross-entropy with a (2N, 2N) table of logits. A row must not find itself."
        ),
        api=(
            "`torch.cat`, `F.normalize(z, dim=1)`, `z @ z.T`, `Tensor.fill_diagonal_` (or `masked_fill`), "
            "`torch.arange`, `Tensor.roll`, `F.cross_entropy`"
        ),
        skeleton=(
            "z = F.normalize(torch.cat([z1, z2]), dim=...)  # (2N, d)\n"
            "logits = z @ z.T / ...  # (2N, 2N)\n"
            "logits = logits.masked_fill(torch.eye(..., dtype=torch.bool, device=z.device), ...)\n"
            "target = ...  # row i belongs to row i + N, and row i + N to row i\n"
            "return F.cross_entropy(logits, target)"
        ),
    ),
    takeaway=(
        "With equal outputs for all images the loss is log(2N - 1). A loss far below it right at the start means that "
        "a view was compared with itself."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.training.losses.contrastive_loss",),
    words={
        "z1_gradient": "the gradient with respect to `z1`",
        "z2_gradient": "the gradient with respect to `z2`",
    },
)
