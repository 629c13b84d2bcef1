"""`clip_and_noise`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.many_owners.exercise import as_state
from course_lib.exercises.observing import dtype_name, plain


def cases(seed: int) -> list[Case]:
    normal = drawing(seed).normal

    def case(
        name: str, norm: float, max_norm: float, noise: float, *, large: bool = False, double: bool = False
    ) -> Case:
        shapes = {"weight": (40, 60) if large else (4, 6), "bias": (400,) if large else (4,), "scale": (2,)}
        update = {key: normal(*shape) for key, shape in shapes.items()}
        update["weight"] *= 0.2  # so that tensors have norms of their own
        total = torch.cat([value.flatten() for value in update.values()]).norm()
        dtype = torch.float64 if double else torch.float32
        update = {key: (norm * value / total).to(dtype) for key, value in update.items()}
        return Case(name, {"update": update, "max_norm": max_norm, "noise": noise, "seed": seed + len(name)})

    return [
        case("too_long", 3.0, 1.0, 0.0),
        case("short_enough", 0.4, 1.0, 0.0),
        case("on_the_edge", 0.5, 0.5, 0.0),
        case("zero", 0.0, 0.7, 0.0),
        case("float64", 5.0, 2.5, 0.0, double=True),
        case("noisy", 4.0, 0.5, 1.5, large=True),
        case("noisy_and_short", 0.2, 2.0, 0.6, large=True),
        case("little_noise", 7.0, 3.0, 0.05, large=True),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs

    def call(seed: int) -> Any:
        return as_state(fn(given["update"], given["max_norm"], given["noise"], generator=seeded(seed)))

    before = torch.get_rng_state()
    sent = plain(call(given["seed"]))
    seen: Values = {"sent": sent, "global_state_before": before, "global_state_after": torch.get_rng_state()}
    seen["dtypes"] = {name: dtype_name(value) for name, value in sent.items()} if isinstance(sent, dict) else {}
    seen["update_after"] = given["update"]
    return seen | {"sent_again": call(given["seed"]), "sent_with_another_seed": call(given["seed"] + 1)}


exercise = Exercise(
    name="clip_and_noise",
    title="What a client sends instead of its update",
    signature="clip_and_noise(update, max_norm, noise, *, generator)",
    minutes=12,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "The norm is that of one long vector that holds all tensors. If it is above max_norm, one factor shrinks "
            "all of them; a short update stays as it is. Then every number gets its own noise. Its standard deviation "
            "depends on max_norm, not on the update, because it has to hide any update of this length."
        ),
        api="`Tensor.pow`, `Tensor.sum`, `min`, `max`, `torch.randn(shape, generator=..., dtype=...)`",
        skeleton=(
            "norm = sum(value.pow(2).sum() for value in update.values()) ** 0.5\n"
            "factor = min(1.0, max_norm / max(..., 1e-12))\n"
            "return {name: factor * value + ... * torch.randn(...) for name, value in update.items()}"
        ),
    ),
    takeaway=(
        "Clipping bounds what one client can change, and noise of that size hides whether it took part. Both are "
        "needed: clipping alone hides nothing."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "sent": "the update that you return",
        "sent_again": "the update for the same generator",
        "sent_with_another_seed": "the update for another generator",
        "dtypes": "the dtype of the tensors that you return",
        "update_after": "the update that you were given, after the call,",
    },
)
