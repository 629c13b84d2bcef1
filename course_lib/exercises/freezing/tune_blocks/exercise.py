"""`tune_blocks`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.freezing.exercise import Stack, learn, names_of, whole_numbers


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    number = whole_numbers(generator)

    def case(name: str, blocks: int, first: list[int], then: list[int]) -> Case:
        """`first` and `then` are block numbers for two calls on one network."""
        inputs = {"x": draw(6, number(3, 4)), "blocks": blocks, "first": first, "then": then}
        return Case(name, {**inputs, "seed": seed + len(name)})

    few, many = number(3, 4), number(5, 6)
    inside, low = number(1, few - 2), number(1, many - 4)
    return [
        case("one_in_the_middle", few, [inside], [inside - 1]),
        case("two_apart", many, [low, low + 2], [low + 1]),
        case("neighbors_from_above", 4, [2, 1], [3, 0]),
        case("the_lowest", few, [0], [few - 1]),
        case("none", few, [], [number(0, few - 1)]),
        case("all", 2, [0, 1], []),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    with torch.enable_grad():
        model = Stack(case)
        names = names_of(model, case.inputs["seed"])
        if case.name == "the_lowest":
            model.head.requires_grad_(False)  # it comes frozen, and is to learn
        seen: Values = {}
        for call in ("first", "then"):
            if (case.name, call) == ("two_apart", "then"):  # other code has left every part open in part
                for parameter in model.parameters():
                    parameter.requires_grad_(parameter.ndim > 1)
            result = fn(list(model.blocks), model.head, list(case.inputs[call]))
            seen |= {f"open_{call}": model.open_parts(), f"in_eval_{call}": model.in_eval()}
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
    uses=("freeze", "trainable_parameters"),
    words={
        "open_first": "the state of each part (open is trainable, closed is frozen) after the first call",
        "in_eval_first": "the list of the open parts that stay in eval mode after the first call and `train()`",
        "returned_first": "the list of parameters that the first call returns",
        "moved_first": "the change of each part in a training step after the first call",
        "open_then": "the state of each part (open is trainable, closed is frozen) after the second call",
        "in_eval_then": "the list of the open parts that stay in eval mode after the second call and `train()`",
        "returned_then": "the list of parameters that the second call returns",
        "moved_then": "the change of each part in a training step after the second call",
    },
    inputs_shown=("first", "then"),
)
