"""`parameter_groups`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.freezing.exercise import Stack, names_of, whole_numbers


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    some = whole_numbers(generator)

    def number(low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=generator)), 4)

    def case(name: str, blocks: int, decay: float, *, frozen: str = "") -> Case:
        inputs = {"x": draw(4, some(3, 5)), "blocks": blocks, "decay": decay, "lr": number(0.001, 0.01)}
        return Case(name, {**inputs, "frozen": frozen, "seed": seed + len(name)})

    return [
        case("three_or_four_blocks", some(3, 4), number(0.3, 0.6)),
        case("five_or_six_blocks", some(5, 6), number(0.6, 0.8)),
        case("one_block", 1, number(0.2, 0.4)),
        case("no_decay", some(2, 4), 1.0),
        case("lowest_block_frozen", some(3, 4), number(0.3, 0.6), frozen="block 0"),
        case("a_bias_frozen", some(2, 3), number(0.4, 0.6), frozen="bias"),
        case("middle_block_frozen", some(3, 4), number(0.3, 0.6), frozen="block 1"),
        case("a_bias_of_the_head_frozen", some(2, 3), number(0.4, 0.6), frozen="head bias"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    lr, decay, frozen = (case.inputs[key] for key in ("lr", "decay", "frozen"))
    with torch.enable_grad():
        model = Stack(case)
        if frozen.startswith("block"):
            model.blocks[int(frozen.removeprefix("block "))].requires_grad_(False)
        elif frozen:
            layer = model.head if frozen == "head bias" else model.blocks[-1].get_submodule("0")
            layer.get_parameter("bias").requires_grad_(False)
        names = names_of(model, case.inputs["seed"])
        result = fn(list(model.blocks), model.head, lr=lr, decay=decay)
        if result is None:
            return {"groups": None}
        seen: Values = {"groups": "returned", "type": type(result).__name__}
        if isinstance(result, list):
            seen["keys"] = [sorted(map(str, group)) if isinstance(group, dict) else [] for group in result]
        optimizer = torch.optim.SGD(result, lr=1e3, weight_decay=0.0)  # a rate that no answer would give
    groups = [group for group in optimizer.param_groups if group["params"]]
    # Divided by the rate asked for, so that a small difference between two small numbers is still seen.
    seen["rate"] = {names.get(id(p), "another"): group["lr"] / lr for group in groups for p in group["params"]}
    seen["rates_in_order"] = [group["lr"] / lr for group in groups]
    seen["weight_decays"] = [float(group["weight_decay"]) for group in groups]
    return seen


exercise = Exercise(
    name="parameter_groups",
    title="A learning rate for each layer",
    signature="parameter_groups(blocks, head, *, lr, decay)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Count how far a block is from the head: the last block one step, the one before it two. Each step "
            "multiplies the rate by `decay`. The new head knows nothing yet and gets the full rate."
        ),
        api='a group is a dictionary, `{"params": [...], "lr": ...}`; `reversed`, `enumerate(..., start=1)`',
        skeleton=(
            "groups = []\n"
            "for distance, part in enumerate([head, *reversed(blocks)]):\n"
            "    params = [p for p in part.parameters() if ...]\n"
            "    if params:\n"
            '        groups.append({"params": params, "lr": ...})\n'
            "return groups"
        ),
    ),
    takeaway=(
        "The lower a block, the more general what it knows, and the smaller its steps. An optimizer does not complain "
        "about a key that it does not know: read the rates back from `optimizer.param_groups`."
    ),
    cases=cases,
    observe=observe,
    uses=("trainable_parameters",),
    words={
        "groups": "the list of groups that you return",
        "type": "the type of what you return",
        "keys": "the list of the keys of each group",
        "rate": "the learning rate of each parameter, divided by `lr`",
        "rates_in_order": "the list of the groups' learning rates, divided by `lr`",
        "weight_decays": "the list of the groups' weight decays",
    },
    inputs_shown=("frozen",),
)
