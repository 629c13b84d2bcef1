"""`trainable_parameters`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.freezing.exercise import names_of, pretrain, requires_grad, whole_numbers


class _Tied(nn.Module):
    """Blocks with batch normalization and a head; if wanted, two layers share one weight, or all numbers are alike."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width, blocks = case.inputs["width"], case.inputs["blocks"]
        self.scale = nn.Parameter(torch.ones(1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width)) for _ in range(blocks)
        )
        self.head = nn.Linear(width, width)
        if case.inputs["weights"] == "shared":
            self.head.weight = self.blocks[-1].get_submodule("0").get_parameter("weight")
        pretrain(self, case.inputs["seed"])
        if case.inputs["weights"] == "alike":  # as fresh layers are: many biases of zero
            for parameter in self.parameters():
                parameter.data.fill_(0.5)
        for name, parameter in self.named_parameters():
            parameter.requires_grad = not name.startswith(tuple(case.inputs["frozen"].split()))


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    number = whole_numbers(generator)

    def case(name: str, frozen: str, *, blocks: int | None = None, weights: str = "apart", in_eval: str = "") -> Case:
        width, blocks = number(3, 5), blocks or number(2, 4)
        inputs = {"x": draw(5, width), "frozen": frozen, "blocks": blocks, "width": width, "weights": weights}
        return Case(name, {**inputs, "at_rest": in_eval, "seed": seed + len(name)})

    middle, whole = number(1, 2), number(0, 1)
    return [
        case("lower_blocks_frozen", "scale blocks.0"),
        case("a_middle_block_frozen", f"blocks.{middle}", blocks=4, in_eval=f"blocks.{3 - middle}"),
        case("head_only", "scale blocks"),
        case("head_frozen", "head"),
        case("single_layers_frozen", f"blocks.{whole}.0.weight blocks.{1 - whole}.1"),
        case("nothing_frozen", ""),
        case("two_layers_share_a_weight", "scale blocks.0", weights="shared"),
        case("equal_values", "blocks.0", weights="alike"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    with torch.enable_grad():
        model = _Tied(case)
        names = names_of(model, case.inputs["seed"])
        # All but the new head has been trained before, and has gradients from then, set to zero: so frozen weights
        # that get into the optimizer are moved by its weight decay.
        for name, parameter in model.named_parameters():
            parameter.grad = None if name.startswith("head") else torch.zeros_like(parameter)
        for name in case.inputs["at_rest"].split():
            model.get_submodule(name).eval()
        result = fn(model)
        seen: Values = {"parameters": None}
        seen |= {"type": type(result).__name__, "requires_grad_after": requires_grad(model)}
        seen["gradients_after"] = sum(p.grad is not None for p in model.parameters())
        try:
            first, second = list(result), list(result)
        except TypeError:
            return {**seen, "parameters": result, "parameters_again": None, "moved": None}
        for key, listed in (("parameters", first), ("parameters_again", second)):
            seen[key] = [names.get(id(p), f"another {type(p).__name__}") for p in listed]
        # By way of a dictionary, since an optimizer complains about one that comes twice.
        unique = [p for p in {id(p): p for p in first}.values() if id(p) in names]
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        torch.optim.AdamW(unique or [torch.zeros(1)], lr=0.1, weight_decay=0.5).step()
        seen["moved"] = {name: float((p.detach() - before[name]).abs().max()) for name, p in model.named_parameters()}
    return seen


exercise = Exercise(
    name="trainable_parameters",
    title="What the optimizer may touch",
    signature="trainable_parameters(model)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Every parameter knows whether it is trainable. Keep those that are, wherever they are: weights, biases, "
            "and the scale and shift of batch normalization as well."
        ),
        api="`model.parameters()` (goes through all submodules, each parameter once), `Parameter.requires_grad`",
        skeleton="return [parameter for parameter in ... if ...]",
    ),
    takeaway=(
        "An optimizer moves what it is given: weight decay and momentum need no gradient. Hand it exactly what may "
        "move."
    ),
    cases=cases,
    observe=observe,
    words={
        "parameters": "the list of parameters that you return",
        "type": "the type of what you return",
        "requires_grad_after": "`requires_grad` of the model's parameters after the call (1 is True)",
        "gradients_after": "the number of parameters with a gradient after the call",
        "parameters_again": "the result when it is looped over a second time",
        "moved": "the change of each parameter in an optimizer step on your result",
    },
    inputs_shown=("frozen",),
)
