"""`center_rows`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    """Fresh tables for any seed: not square, one row, columns first in memory, double precision."""
    normal = drawing(seed).normal
    return [
        Case("wide", {"x": normal(4, 7) + 3.0}),
        Case("one_row", {"x": normal(1, 5)}),
        Case("transposed", {"x": normal(6, 3).t()}),
        Case("double", {"x": normal(3, 2).double()}),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    """Raw values only, never a verdict: what came back, and what became of the input."""
    x = case.inputs["x"]
    value = fn(x)
    return {"value": value, "x_afterwards": x}


exercise = Exercise(
    name="center_rows",
    title="Center rows",
    signature="center_rows(x)",
    minutes=10,
    difficulty=1,
    points=3,
    hints=Hints(
        concept="Every row has a mean of its own; take it away from that row.",
        api="`Tensor.mean(dim=..., keepdim=...)`",
        skeleton="row_means = x.mean(dim=..., keepdim=...)\nreturn ...",
    ),
    takeaway="keepdim leaves a dimension of size 1, and broadcasting does the rest.",
    cases=cases,
    observe=observe,
    words={"value": "the tensor that you return", "x_afterwards": "your argument `x` after the call"},
)
