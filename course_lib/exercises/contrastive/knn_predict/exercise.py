"""`knn_predict`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    more = torch.randint(0, 5, (4,), generator=generator).tolist()

    def case(name: str, known: int, queries: int, d: int, k: int, classes: tuple[int, ...]) -> Case:
        labels = torch.tensor(classes)[torch.randint(len(classes), (known,), generator=generator)]
        features = (normal(known, d) + 0.5 * labels[:, None].cos()) * (0.1 + 4 * uniform(known, 1))
        asked = (normal(queries, d) + 0.3) * (0.1 + 4 * uniform(queries, 1))
        return Case(name, {"features": features, "labels": labels, "queries": asked, "k": k})

    def changed(given: Case, change: Callable[[torch.Tensor], torch.Tensor]) -> Case:
        new = {key: change(given.inputs[key]) for key in ("features", "queries")}
        return Case(given.name, given.inputs | new)

    # Of two or four voters, two classes often have as many.
    return [
        case("plain", 40, 30 + more[0], 4, 5, (0, 1, 2)),
        case("nearest", 30, 25 + more[1], 3, 1, (0, 1, 2, 3)),
        case("ties", 35, 60 + more[2], 3, 4, (2, 0, 1)),
        case("labels_with_gaps", 45, 30 + more[3], 4, 5, (3, 11, 40)),
        case("all_vote", 7, 12, 2, 7, (3, 5)),
        case("one_query", 20, 1, 3, 3, (1, 4)),
        changed(case("float64", 30, 26, 5, 3, (0, 1)), torch.Tensor.double),
        changed(case("transposed", 24, 24, 24, 5, (0, 1, 2)), lambda x: x.T),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    predicted = fn(given["features"], given["labels"], given["queries"], given["k"])
    kept = {f"{name}_after": given[name].clone() for name in ("features", "labels", "queries")}
    return {"predicted": predicted, "predicted_dtype": dtype_name(predicted), **kept}


exercise = Exercise(
    name="knn_predict",
    title="The vote of the nearest features",
    signature="knn_predict(features, labels, queries, k)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Compare every query with every known feature by the cosine. Take the labels of the k most similar ones, "
            "and let them vote. Where two classes have as many votes, the smaller label wins."
        ),
        api="`F.normalize(x, dim=1)`, `Tensor.topk(k, dim=1).indices`, `labels[indices]`, `torch.mode`",
        skeleton=(
            "similarity = F.normalize(queries, dim=1) @ ...  # (M, N)\n"
            "nearest = similarity.topk(..., dim=...).indices  # (M, k)\n"
            "return torch.mode(..., dim=1).values  # on a tie the smaller label"
        ),
    ),
    takeaway="No weight is trained here, so the share of right votes measures the features alone.",
    cases=cases,
    observe=observe,
    words={"predicted": "the tensor of labels that you return"},
)
