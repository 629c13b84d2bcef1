"""`tune_blocks`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.fine_tuning_1.exercise import Stack, learn


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, blocks: int, first: str, then: str, *, width: int = 3) -> Case:
        """`first` and `then` are block numbers with spaces: two calls on one network."""
        inputs = {"x": draw(6, width), "blocks": blocks, "first": first, "then": then}
        return Case(name, {**inputs, "seed": seed + len(name)})

    return [
        case("the_middle_of_three", 3, "1", "0"),
        case("two_of_five", 5, "1 3", "2", width=4),
        case("neighbors", 4, "1 2", "0 3"),
        case("the_lowest", 3, "0", "2"),
        case("none", 3, "", "1"),
        case("all", 2, "0 1", ""),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    with torch.enable_grad():
        model = Stack(case)
        names = {id(p): name for name, p in model.named_parameters()}
        if case.name == "the_lowest":
            model.head.requires_grad_(False)  # it comes frozen, and is to learn
        seen: Values = {}
        for call in ("first", "then"):
            chosen = [int(number) for number in case.inputs[call].split()]
            result = fn(list(model.blocks), model.head, chosen)
            seen[f"open_{call}"] = model.open_parts()
            is_list = isinstance(result, (list, tuple)) or hasattr(result, "__next__")
            listed = list(result) if is_list else []
            found = sorted(names.get(id(p), f"another {type(p).__name__}") for p in listed)
            seen[f"returned_{call}"] = found if is_list else type(result).__name__
            held = list({id(p): p for p in listed if id(p) in names}.values())
            optimizer = torch.optim.SGD(held or [torch.zeros(1)], lr=0.1)
            seen[f"moved_{call}"] = learn(model, case, optimizer)
    return seen


exercise = Exercise(
    name="tune_blocks",
    title="Train only the blocks that you choose",
    signature="tune_blocks(blocks, head, chosen)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Each block is either chosen or frozen, whatever stands above it: gradients pass through a frozen block "
            "on their way down, they just leave nothing behind. The head is always trained."
        ),
        api="your `freeze(block, frozen)` and `trainable_parameters(module)`, `enumerate`, `in`",
        skeleton=(
            "parameters = trainable_parameters(freeze(head, frozen=...))\n"
            "for number, block in enumerate(blocks):\n"
            "    freeze(block, frozen=...)\n"
            "    parameters += ...\n"
            "return parameters"
        ),
    ),
    takeaway=(
        "Freezing need not stop at a certain depth. Which block to tune depends on what is new: other pixels are a "
        "matter of the lower blocks, other answers of the upper ones."
    ),
    cases=cases,
    observe=observe,
    may_change=("blocks", "head"),
    words={
        "open_first": "the state of each part (open is trainable, closed is frozen) after the first call",
        "returned_first": "the list of parameters that the first call returns",
        "moved_first": "the change of each part in a training step after the first call",
        "open_then": "the state of each part (open is trainable, closed is frozen) after the second call",
        "returned_then": "the list of parameters that the second call returns",
        "moved_then": "the change of each part in a training step after the second call",
    },
    inputs_shown=("first", "then"),
)
