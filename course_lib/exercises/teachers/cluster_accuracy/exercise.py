"""`cluster_accuracy`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import number_and_kind


def cases(seed: int) -> list[Case]:
    generator = drawing(seed).generator

    def numbers(count: int, most: int) -> Tensor:
        """Different numbers from 0 to `most`, in random order."""
        return torch.randperm(most + 1, generator=generator)[:count]

    def case(name: str, table: list[list[int]], most: int = 0) -> Case:
        """Images by a table of counts: row = cluster, column = class, both with random numbers."""
        counts = torch.tensor(table)
        counts = counts + torch.randint(0, 3, counts.shape, generator=generator) * (counts > 2)
        rows, columns = (numbers(size, max(most, size - 1)) for size in counts.shape)
        pairs = counts.nonzero().repeat_interleave(counts[counts > 0], dim=0)
        pairs = pairs[torch.randperm(len(pairs), generator=generator)]
        return Case(name, {"clusters": rows[pairs[:, 0]], "labels": columns[pairs[:, 1]]})

    strided = case("strided", [[9, 1, 0], [2, 8, 1], [0, 2, 7]])
    strided.inputs["clusters"] = strided.inputs["clusters"].repeat_interleave(2)[::2]
    one = int(torch.randint(3, 9, (), generator=generator))
    return [
        case("plain", [[12, 2, 0, 1], [1, 9, 3, 0], [0, 1, 14, 2], [3, 0, 1, 10]]),
        case("rows_compete", [[20, 17, 0], [16, 3, 0], [2, 1, 13]]),  # the best cell of all is not in the best matching
        case("all_rows_want_one", [[15, 2, 1], [13, 1, 6], [11, 7, 1]]),  # a majority counts all three rows
        case("more_clusters", [[9, 1], [7, 2], [1, 8], [2, 5], [3, 0]]),
        case("fewer_clusters", [[9, 4, 1, 2], [1, 2, 8, 5]]),
        case("numbers_with_gaps", [[8, 1, 2], [0, 2, 9], [3, 7, 0]], most=40),
        Case("one_image", {"clusters": torch.tensor([one]), "labels": torch.tensor([one - 3])}),
        strided,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    result = fn(case.inputs["clusters"], case.inputs["labels"])
    return dict(zip(("accuracy", "kind"), number_and_kind(result), strict=True))


exercise = Exercise(
    name="cluster_accuracy",
    title="How well clusters agree with classes, after the best matching",
    signature="cluster_accuracy(clusters, labels)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Count how many images each pair of a cluster and a class has. Each cluster may be given one class, and no "
            "class twice. The Hungarian algorithm finds the choice with the most images; this number, divided by all "
            "images, is the accuracy."
        ),
        api=(
            "`torch.bincount(clusters * size + labels, minlength=size**2).reshape(size, size)`, "
            "`linear_sum_assignment(table, maximize=True)`, which returns rows and columns"
        ),
        skeleton=(
            "size = int(max(clusters.max(), labels.max())) + 1\n"
            "table = torch.bincount(clusters * size + ..., minlength=...).reshape(size, size).numpy()\n"
            "rows, columns = linear_sum_assignment(..., maximize=...)\n"
            "return float(table[..., ...].sum() / ...)"
        ),
    ),
    takeaway=(
        "The number of a cluster means nothing, so compare partitions only after a matching. The matching uses all "
        "labels: it measures, and it is not a method with few labels."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={"accuracy": "the accuracy that you return", "kind": "the type of what you return"},
)
