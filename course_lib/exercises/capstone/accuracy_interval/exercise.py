"""`accuracy_interval`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import number_and_kind, two_values


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def case(name: str, right: int, total: int, z: float = 1.96) -> Case:
        return Case(name, {"right": right, "total": total, "z": z})

    total = number(30, 60)
    return [
        case("plain", number(20, total - 6), total),
        case("large_test", number(7000, 9500), 10_000),
        case("few_right", number(1, 4), number(35, 50)),
        case("none_right", 0, number(12, 30)),
        case("all_right", *[number(12, 30)] * 2),
        case("one_image", 1, 1),
        case("z_for_90_percent", number(20, 40), number(60, 90), z=1.645),
        case("z_for_99_percent", number(20, 40), number(60, 90), z=2.576),
        case("z_is_zero", number(5, 9), number(12, 20), z=0.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    # The default of z is left out where it is meant, so that another default shows.
    options = {} if given["z"] == 1.96 else {"z": given["z"]}
    ends = two_values(fn(given["right"], given["total"], **options), "low", "high")
    seen: Values = {}
    for name, value in ends.items():
        seen[name], seen[f"{name}_kind"] = number_and_kind(value)
    return seen


exercise = Exercise(
    name="accuracy_interval",
    title="Wilson's confidence interval of an accuracy",
    signature="accuracy_interval(right, total, *, z=1.96)",
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "The interval has a center and a half width. The center is the accuracy, pulled a little towards one half. "
            "Both are divided by 1 + z squared / N, and both ends follow from them."
        ),
        api="`math.sqrt`, `z**2`",
        skeleton=(
            "p, shrink = right / total, 1 + z**2 / total\n"
            "center = (p + z**2 / (...)) / shrink\n"
            "half = z * math.sqrt(p * (1 - p) / ... + z**2 / (4 * ...)) / ...\n"
            "return center - ..., center + ..."
        ),
    ),
    takeaway=(
        "An accuracy on 100 images is uncertain by up to ten points in both directions, so most differences between "
        "methods cannot be seen on so few."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.model_card.wilson_interval",),
    on_gpu=False,
    words={
        "low": "the lower end that you return",
        "high": "the upper end that you return",
        "low_kind": "the type of the lower end",
        "high_kind": "the type of the upper end",
    },
)
