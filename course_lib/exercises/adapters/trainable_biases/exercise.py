"""`trainable_biases`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.adapters.exercise import (
    named_parts,
    network_with_biases,
    requires_grad,
    with_drawn_weights,
)
from course_lib.exercises.contract import Case, Exercise, Hints, Values
from course_lib.exercises.observing import state_of


def cases(seed: int) -> list[Case]:
    def case(name: str, kind: str, width: int, *, head: bool = True, before: str = "trainable") -> Case:
        return Case(name, {"kind": kind, "width": width, "with_head": head, "before": before, "seed": seed + width})

    return [
        case("images", "images", 4),
        case("text", "text", 5),
        case("own_layers", "own", 3),
        case("shared_bias", "shared", 6),
        case("without_a_head", "own", 7, head=False),
        case("came_frozen", "images", 2, before="frozen"),
        case("came_half_frozen", "text", 8, head=False, before="half frozen"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    model = network_with_biases(given["kind"], given["width"])
    with_drawn_weights(model, given["seed"])
    for number, parameter in enumerate(model.parameters()):
        half = given["before"] == "half frozen" and number % 2 == 1
        parameter.requires_grad = half or given["before"] == "trainable"
    before = state_of(model)
    returned = fn(model, model["head"] if given["with_head"] else None)
    listed = list(returned) if isinstance(returned, (list, tuple)) else []
    return {
        "type": type(returned).__name__,
        "parameters": named_parts(listed, model),
        "requires_grad": requires_grad(model),
        "moved": [name for name, value in state_of(model).items() if not torch.equal(value, before[name])],
        "before": before,
        "numbers": sum(p.numel() for p in {id(p): p for p in listed if isinstance(p, torch.Tensor)}.values()),
    }


exercise = Exercise(
    name="trainable_biases",
    title="Train the biases and the head, and nothing else",
    signature="trainable_biases(model, head=None)",
    minutes=12,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Freeze everything first. Then make trainable what should learn: each parameter whose own name has the "
            "word bias in it, and the whole head. The own name is what follows the last dot, since the names of the "
            "modules around it say nothing."
        ),
        api='`module.requires_grad_(...)`, `model.named_parameters()`, `name.split(".")[-1]`, `Module.parameters()`',
        skeleton=(
            "model.requires_grad_(...)\nif head is not None:\n    head.requires_grad_(...)\n"
            "for name, parameter in model.named_parameters():\n"
            '    if "bias" in name.split(...)[...]:\n        parameter.requires_grad_(...)\n'
            "return [p for p in model.parameters() if ...]"
        ),
    ),
    takeaway=(
        "Biases are less than one percent of most networks. They shift what each unit needs to be active, and this is "
        "often enough to use features for a new task."
    ),
    cases=cases,
    observe=observe,
    may_change=("model", "head"),
    words={
        "before": "the state of the model before your code",
        "type": "the type of what you return",
        "parameters": "the list of parameters that you return",
        "requires_grad": "`requires_grad` of the model's parameters after the call (1 is True)",
        "moved": "the list of the parameters whose values the call has changed",
        "numbers": "the count of numbers in the parameters that you return",
    },
    inputs_shown=("kind", "before"),
)
