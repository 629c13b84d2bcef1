"""`h_score`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import number_and_kind


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()

    def case(name: str, counts: list[int], dim: int, shrinkage: float, most: int = 0) -> Case:
        """Features around a mean per class; the classes' numbers are drawn."""
        numbers = torch.randperm(max(most, len(counts)), generator=generator)[: len(counts)]
        which = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        which = which[torch.randperm(len(which), generator=generator)]
        features = 1.5 * normal(len(counts), dim)[which] + normal(len(which), dim) @ normal(dim, dim) + 3
        return Case(name, {"features": features, "labels": numbers[which], "shrinkage": shrinkage})

    dead = case("dead_feature", [7, 9, 8 + n[0]], 4, 0.1)
    dead.inputs["features"][:, 2] = 0.5
    mixed = case("mixed_scales", [10, 12, 9], 4, 0.1)
    mixed.inputs["features"] *= torch.tensor([5.0, 1.0, 0.2, 2.0])
    double = case("float64", [6, 7, 5], 3, 0.2)
    double.inputs["features"] = double.inputs["features"].double()
    transposed = case("transposed", [8, 8], 5, 0.1)
    transposed.inputs["features"] = transposed.inputs["features"].T.contiguous().T
    return [
        case("plain", [9 + n[1], 7, 11, 8], 3, 0.1),
        case("uneven_classes", [30, 3, 5 + n[2]], 3, 0.1),
        case("labels_with_gaps", [8, 9, 7], 4, 0.1, most=30),
        case("no_shrinkage", [12, 14, 10], 3, 0.0),
        case("all_shrinkage", [9, 10, 8], 4, 1.0),
        case("half", [6, 9 + n[3], 7], 3, 0.5),
        case("fewer_rows_than_columns", [3, 4, 3], 14, 0.3),
        case("one_image_per_class", [1, 1, 1, 1], 3, 0.1),
        dead,
        mixed,
        double,
        transposed,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    features, labels, share = (case.inputs[key] for key in ("features", "labels", "shrinkage"))
    result = fn(features, labels) if case.name == "plain" else fn(features, labels, shrinkage=share)
    return dict(zip(("score", "kind"), number_and_kind(result), strict=True))


exercise = Exercise(
    name="h_score",
    title="How much of the features' variance lies between the classes",
    signature="h_score(features, labels, *, shrinkage=0.1)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Center the features. Make a second matrix in which each row is replaced by the mean of its class. Both "
            "have a covariance. Mix the first one with a multiple of the identity that has the same trace, then solve "
            "instead of inverting, and take the trace."
        ),
        api="`Tensor.double()`, `labels.unique()`, `torch.eye`, `torch.linalg.solve(a, b)`, `Tensor.trace()`",
        skeleton=(
            "f = features.double() - features.double().mean(dim=0)\n"
            "means = torch.zeros_like(f)\n"
            "for k in labels.unique():\n    means[labels == k] = f[...].mean(dim=0)\n"
            "cov, between = f.T @ f / len(f), ...\n"
            "cov = (1 - shrinkage) * cov + shrinkage * cov.trace() / ... * torch.eye(...)\n"
            "return torch.linalg.solve(cov, ...).trace().item()"
        ),
    ),
    takeaway=(
        "The score asks what a linear layer could read from the features as they are. It does not ask how fast they "
        "would change when the whole network learns."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.h_score",),
    on_gpu=False,
    words={"score": "the score that you return", "kind": "the type of what you return"},
)
