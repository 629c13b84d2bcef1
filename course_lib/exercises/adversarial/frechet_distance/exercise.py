"""`frechet_distance`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import number_and_kind


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 5, (6,), generator=generator).tolist()

    def features(count: int, dim: int, scale: float = 1.0) -> Tensor:
        """Rows with correlated columns of different sizes and means."""
        return (normal(count, dim) @ normal(dim, dim) + 2 * normal(dim)) * scale

    def case(name: str, first: Tensor, second: Tensor) -> Case:
        return Case(name, {"first": first, "second": second})

    same = features(12 + n[0], 4)
    spread = normal(30 + n[1], 1) * torch.tensor([1.0, 2.0, 0.5]) + 0.1 * normal(30 + n[1], 3)
    turned = spread * torch.tensor([1.0, -1.0, 1.0])  # other correlations, the same variances
    few = features(4, 9)
    mixed = features(25, 5) * torch.tensor([100.0, 10.0, 1.0, 0.1, 10.0])
    return [
        case("plain", features(30 + n[2], 4), features(22 + n[3], 4)),
        case("equal", same, same.clone()),
        case("shuffled", same.clone(), same.flip(0).clone()),
        case("shifted", spread - spread.mean(dim=0), spread - spread.mean(dim=0) + 3 * uniform(3)),
        case("same_variances", spread - spread.mean(dim=0), turned - turned.mean(dim=0)),
        case("fewer_rows_than_columns", few, features(6, 9)),
        case("mixed_scales", mixed, mixed.flip(0) * 1.5 + 3),
        case("as_many_rows", features(6 + n[4], 6 + n[4]), features(6 + n[4], 6 + n[4])),
        case("float64", features(9, 3).double(), features(14 + n[5], 3).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    first, second = case.inputs["first"], case.inputs["second"]
    (there, kind), (back, _) = number_and_kind(fn(first, second)), number_and_kind(fn(second, first))
    return {"distance": there, "exchanged": back, "kind": kind}


exercise = Exercise(
    name="frechet_distance",
    title="The distance of two sets of features",
    signature="frechet_distance(first, second)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Describe each set by its mean and its covariance. The trace of the root needs no root of a matrix: it is "
            "the sum of the square roots of the eigenvalues of the product. Rounding makes some of them slightly "
            "negative or complex, so take the real part and clamp it at zero."
        ),
        api="`Tensor.double()`, `Tensor.mean(dim=0)`, `torch.cov(x.T)`, `torch.linalg.eigvals`, `Tensor.trace`",
        skeleton=(
            "a, b = first.double(), second.double()\n"
            "cov_a, cov_b = torch.cov(a.T), ...\n"
            "roots = torch.linalg.eigvals(cov_a @ ...).real.clamp(min=0)....\n"
            "distance = ((...) ** 2).sum() + cov_a.trace() + ... - 2 * roots.sum()\n"
            "return float(...)"
        ),
    ),
    takeaway=(
        "The distance compares means and covariances of features, so it sees blur and missing variety. It depends on "
        "the network that computes the features: compare only numbers of one judge network."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "distance": "the distance that you return",
        "exchanged": "the distance with the two sets exchanged",
        "kind": "the type of what you return",
    },
)
