"""`kl_warmup`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def case(name: str, warmup_steps: int, beta: float) -> Case:
        half, more = warmup_steps // 2, warmup_steps + whole(2, 9)
        steps = sorted({0, 1, half, max(warmup_steps - 1, 0), warmup_steps, warmup_steps + 1, more, 3 * more})
        return Case(name, {"steps": steps, "warmup_steps": warmup_steps, "beta": beta})

    return [
        case("plain", whole(8, 20), 1.0),
        case("beta_large", whole(6, 30), 2.0 + whole(1, 6)),
        case("beta_small", 2 * whole(4, 9), 0.25),
        case("long", 100 * whole(5, 20), 1.0),
        case("one_step", 1, 1.5),
        case("no_warmup", 0, whole(2, 40) / 8),
        case("no_warmup_beta", 0, whole(41, 90) / 8),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    steps, warmup_steps, beta = case.inputs["steps"], case.inputs["warmup_steps"], case.inputs["beta"]
    weights = [fn(step, warmup_steps, beta=beta) for step in steps]
    return {"weights": [float.__pos__(weight) if isinstance(weight, float) else weight for weight in weights]}


exercise = Exercise(
    name="kl_warmup",
    title="Let the KL in slowly",
    signature="kl_warmup(step, warmup_steps, *, beta=1.0)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "A straight line from 0 at step 0 to `beta` at step `warmup_steps`, then flat. Think about the two ends: "
            "what keeps it from rising on, and what happens when there is no warm-up at all?"
        ),
        api="`min`, `max`, `if`",
        skeleton="if warmup_steps == 0:\n    return ...\nreturn beta * min(..., ... / ...)",
    ),
    takeaway=(
        "The decoder first learns to use the code; only then does the code have to pay. It costs a line, and more of "
        "the image gets into the code than with the full KL from the first step."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "weights": "the list of the weights that you return, one per step,",
    },
    inputs_shown=("steps",),
)
