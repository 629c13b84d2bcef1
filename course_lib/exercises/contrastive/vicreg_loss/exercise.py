"""`vicreg_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.contrastive.exercise import loss_and_gradients

WEIGHTS = ("invariance", "variance", "covariance")


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    more = torch.randint(0, 4, (5,), generator=generator).tolist()

    def case(name: str, n: int, d: int, scale: float, *weights: float) -> Case:
        mixed = normal(n, d) @ (torch.eye(d) + 0.5 * normal(d, d))  # columns that go together
        scales = scale * (0.3 + 1.4 * uniform(d))  # some deviations below 1, some above
        z1, z2 = (scales * mixed + normal(d) + 0.3 * scale * normal(n, d) for _ in range(2))
        return Case(name, {"z1": z1, "z2": z2, **dict(zip(WEIGHTS, weights, strict=True))})

    double, strided = case("float64", 7, 4 + more[0], 0.6, 1, 2, 3), case("strided", 20, 5, 0.4, 2, 1, 0.5)
    constant = case("constant_column", 6 + more[1], 4, 0.5, 1, 1, 1)
    constant.inputs["z1"][:, 1] = float(normal(1))
    return [
        case("plain", 8 + more[2], 5, 0.5, 25, 25, 1),
        case("invariance_alone", 6, 4 + more[3], 0.7, 1 + more[0], 0, 0),
        case("variance_alone", 7, 5, 0.5, 0, 1 + more[1], 0),
        case("covariance_alone", 9, 4 + more[4], 0.8, 0, 0, 1 + more[2]),
        case("square", 5, 5, 0.5, 2, 3, 4),
        case("two_images", 2, 6, 0.6, 1, 1, 1),
        constant,
        Case("float64", {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in double.inputs.items()}),
        Case("strided", {k: v[::2] if isinstance(v, torch.Tensor) else v for k, v in strided.inputs.items()}),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    z1, z2 = (case.inputs[key].requires_grad_() for key in ("z1", "z2"))
    return loss_and_gradients(fn(z1, z2, **{key: case.inputs[key] for key in WEIGHTS}), z1=z1, z2=z2)


exercise = Exercise(
    name="vicreg_loss",
    title="Agreement, variance and covariance of two views",
    signature="vicreg_loss(z1, z2, *, invariance=25.0, variance=25.0, covariance=1.0)",
    minutes=18,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Three terms. The first compares the two views row by row. The other two look at each view alone, down the "
            "batch: each column should vary by at least 1, and two different columns should not go together."
        ),
        api="`Tensor.var(dim=0)`, `F.relu`, `Tensor.mean(dim=0)`, `z.T @ z`, `torch.diag`, `Tensor.diagonal()`",
        skeleton=(
            "loss = invariance * (z1 - z2).pow(2).mean()\n"
            "for z in (z1, z2):\n"
            "    std = (z.var(dim=...) + 1e-4).sqrt()  # (d,)\n"
            "    loss = loss + variance * F.relu(...).mean()\n"
            "    centered = z - ...\n"
            "    c = centered.T @ centered / (len(z) - 1)  # (d, d)\n"
            "    off = c - torch.diag(...)\n"
            "    loss = loss + covariance * off.pow(2).sum() / ..."
        ),
    ),
    takeaway=(
        "Without negatives and without a stop-gradient nothing collapses, because the deviation of every output is "
        "part of the loss."
    ),
    cases=cases,
    observe=observe,
    words={
        "z1_gradient": "the gradient with respect to `z1`",
        "z2_gradient": "the gradient with respect to `z2`",
    },
)
