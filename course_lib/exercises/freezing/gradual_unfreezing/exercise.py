"""`gradual_unfreezing`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.freezing.exercise import Stack, learn, whole_numbers


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    number = whole_numbers(generator)

    def case(name: str, blocks: int, *, kind: str = "momentum", came: str = "open") -> Case:
        inputs: Values = {"x": draw(6, number(3, 5)), "blocks": blocks, "optimizer": kind, "blocks_came": came}
        inputs |= {"lr": number(4, 20) / 1000, "head_lr": number(50, 150) / 1000}
        return Case(name, {**inputs, "seed": seed + len(name)})

    return [
        case("three_or_four_blocks", number(3, 4)),
        case("came_frozen", number(2, 4), came="frozen"),
        case("one_block", 1),
        case("adamw", number(2, 3), kind="adamw"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    lr, head_lr = case.inputs["lr"], case.inputs["head_lr"]
    with torch.enable_grad():
        model = Stack(case)
        part_of = {id(p): part for part, module in model.parts().items() for p in module.parameters()}
        head = list(model.head.parameters())
        if case.inputs["optimizer"] == "momentum":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(head, head_lr, momentum=0.9, weight_decay=0.05)
        else:
            optimizer = torch.optim.AdamW(head, head_lr, weight_decay=0.1)
        blocks = list(model.blocks)
        for block in blocks:
            block.requires_grad_(case.inputs["blocks_came"] == "open")
        keys = ("open", "in_eval", "moved", "held", "rates", "state_of_head", "returned")
        seen: Values = {key: [] for key in keys}
        for stage in range(len(blocks) + 1):
            seen["returned"].append(type(fn(blocks, optimizer, stage, lr=lr)).__name__)
            seen["open"].append(model.open_parts())
            seen["in_eval"].append(model.in_eval())
            # Momentum and the like of the head: it goes on from stage to stage.
            seen["state_of_head"].append(len(optimizer.state.get(model.head.weight, {})))
            held, rates = dict.fromkeys(model.parts(), 0), {}
            for group in optimizer.param_groups:
                for p in group["params"]:
                    part = part_of.get(id(p), "another")
                    held[part] = held.get(part, 0) + 1
                    rates[part] = group["lr"]
            seen["held"].append(held)
            seen["rates"].append(rates)
            seen["moved"].append(learn(model, case, optimizer))
    return seen


exercise = Exercise(
    name="gradual_unfreezing",
    title="Open the blocks one after another, from the top",
    signature="gradual_unfreezing(blocks, optimizer, stage, *, lr)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Two things for each block: is it open at this stage, and does the optimizer know it? Opening without "
            "handing over changes nothing, and handing over twice is an error. Mind stage 0: `blocks[-0:]` is the "
            "whole list."
        ),
        api=(
            "your `freeze(block, frozen)`, `enumerate`, `optimizer.param_groups`, "
            '`optimizer.add_param_group({"params": [...], "lr": lr})`'
        ),
        skeleton=(
            'known = {id(p) for group in optimizer.param_groups for p in group["params"]}\n'
            "for number, block in enumerate(blocks):\n"
            "    is_open = number >= ...\n"
            "    freeze(block, frozen=...)\n"
            "    new = [p for p in block.parameters() if id(p) not in ...]\n"
            "    if is_open and new:\n"
            "        optimizer.add_param_group(...)"
        ),
    ),
    takeaway=(
        "An unfrozen layer that the optimizer does not hold stays where it is, without a word of warning. After each "
        "stage look at what has moved."
    ),
    cases=cases,
    observe=observe,
    may_change=("blocks", "optimizer"),
    uses=("freeze",),
    words={
        "open": "the list, by stage, of which parts are trainable (open) and which are frozen (closed)",
        "in_eval": "the list, by stage, of the open parts that stay in eval mode after `train()`",
        "moved": "the list, by stage, of which parts move in an optimizer step",
        "held": "the list, by stage, of how many parameters of each part the optimizer holds",
        "rates": "the list, by stage, of the learning rate of each part in the optimizer",
        "state_of_head": "the list, by stage, of how many values the optimizer keeps for the head's weight",
        "returned": "the list, by stage, of the type of what you return",
    },
)
