"""`ramp_up`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    length, maximum = number(40, 200), number(200, 3000) / 256
    quarter = max(1, length // 4)

    def case(name: str, step: int, ramp_steps: int = length, maximum: float = maximum) -> Case:
        return Case(name, {"step": step, "ramp_steps": ramp_steps, "maximum": maximum})

    return [
        case("begins", 0),
        case("first_step", 1),
        case("early", quarter),
        case("half_way", length // 2, maximum=1.0),
        case("late", length - 2),
        case("ends", length),
        case("a_little_after", length + quarter),
        case("long_after", 12 * length, maximum=1.0),
        case("maximum_of_zero", length + 1, maximum=0.0),
        case("no_ramp", number(1, 9), ramp_steps=0),
        case("no_ramp_begins", 0, ramp_steps=0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    weight = fn(case.inputs["step"], case.inputs["ramp_steps"], maximum=case.inputs["maximum"])
    weight = float.__pos__(weight) if isinstance(weight, float) else weight  # numpy.float64 is one too
    return {"weight": int(weight) if isinstance(weight, bool) else weight}


exercise = Exercise(
    name="ramp_up",
    title="The weight of the unlabeled loss, step by step",
    signature="ramp_up(step, ramp_steps, *, maximum=1.0)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "First a share t of the ramp, from 0 at its first step to 1 at its end and ever after. Then the curve, "
            "which is a function of t alone. Two places need a line of their own: the very first step, and a ramp of "
            "no length."
        ),
        api="`math.exp`, `min`; an early `return` for each of the two special places",
        skeleton=(
            "if ramp_steps == 0:\n    return ...\nif step == 0:\n    return ...\n"
            "t = min(..., 1.0)\nreturn maximum * math.exp(...)"
        ),
    ),
    takeaway=(
        "At first the network's own predictions are useless, so they count nothing, and their weight grows with "
        "training. After the ramp the weight stays, which the formula alone does not do."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "weight": "the weight that you return",
    },
)
