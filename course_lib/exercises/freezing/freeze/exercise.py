"""`freeze`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.freezing.exercise import Parted, classes_left_alone, requires_grad
from course_lib.exercises.observing import state_of


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, part: str, images: Tensor, mode: str = "train", opened: str = "never") -> Case:
        inputs = {"images": images, "labels": torch.arange(len(images)) % 3, "part": part}
        return Case(name, {**inputs, "mode_before": mode, "opened": opened, "seed": seed + 1})

    return [
        case("first_layers", "first", draw(8, 1, 5, 6), opened="in the end"),
        case("in_the_middle", "middle", draw(6, 3, 6, 4)),
        case("nested", "nested", draw(7, 1, 4, 4).double(), "eval", "with an inner part frozen before"),
        case("vectors", "vectors", draw(6, 1, 3, 4), opened="frozen again before"),
        case("own_class", "own class", draw(6, 2, 4, 5)),
        case("frozen_by_another", "first", draw(5, 1, 4, 3), opened="in the beginning"),
        case("without_gradients_before", "vectors", draw(6, 1, 2, 5), "eval", opened="in the end, gradients off"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, opened = case.inputs["images"], case.inputs["opened"]
    with classes_left_alone(), torch.enable_grad():
        model = Parted(case)
        part = model.part
        seen: Values = {}
        torch.manual_seed(case.inputs["seed"])  # for the dropout of a part that is not frozen
        if opened == "in the beginning":
            part.requires_grad_(False)
            seen |= model.opened_by(fn, case)
            part.requires_grad_(True)  # from here on as in the other cases
        model.train(case.inputs["mode_before"] == "train")
        given = state_of(part)
        if opened == "with an inner part frozen before":
            fn(part.get_submodule("0"))
        returned = fn(part)
        seen |= {
            "returned": "the module" if returned is part else f"another {type(returned).__name__}",
            "requires_grad": requires_grad(part),
            "requires_grad_elsewhere": {**requires_grad(model.stem), **requires_grad(model.head)},
            "state_given": given,
            "state_when_frozen": state_of(part),
            "rest_given": model.rest(),
        }
        seen |= model.after_train(images)
        model.learn(case, 2)
        seen |= {"state_after_training": state_of(part), "rest_after_training": model.rest()}
        if opened == "frozen again before":
            fn(part)
        if opened not in ("never", "in the beginning"):
            seen |= model.opened_by(fn, case)
    return seen


exercise = Exercise(
    name="freeze",
    title="Freeze a part of a network, and open it again",
    signature="freeze(module, frozen=True)",
    minutes=15,
    difficulty=2,
    points=6,
    hints=Hints(
        concept=(
            "A layer learns in two ways: by gradients, and, if it is batch normalization, by the statistics that it "
            "gathers in train mode. A frozen part does neither. Eval mode alone does not last, since the next "
            "`model.train()` reaches every module below it: so the part itself must answer that call differently."
        ),
        api=(
            "`module.requires_grad_(...)`, `module.eval()`. `model.train(mode)` calls `train(mode)` of each child: an "
            "attribute `train` of your own on one module hides the method of its class, and `del module.train` or "
            '`module.__dict__.pop("train", None)` brings that back.'
        ),
        skeleton=(
            "module.requires_grad_(...)\nfor part in module.modules():\n"
            '    part.__dict__.pop("train", None)  # the method of the class again\n'
            "if frozen:\n    module.eval()\n    module.train = lambda mode=True: ...\nreturn module"
        ),
    ),
    takeaway=(
        "Frozen means that not a bit changes: no weight, no running mean, no count of batches. Compare the part's "
        "state_dict before and after training; that one line finds every leak."
    ),
    cases=cases,
    observe=observe,
    may_change=("module",),
    words={
        "returned": "what `freeze(module)` returns",
        "requires_grad": "`requires_grad` of the frozen parameters (1 is True)",
        "requires_grad_elsewhere": "`requires_grad` of the parameters outside the module (1 is True)",
        "state_given": "the state of the module before your code",
        "state_when_frozen": "the state of the module right after your code",
        "rest_given": "the state outside the module before training",
        "modes_after_train": "the mode inside the frozen module after `model.train()`",
        "output_after_train": "the output of the frozen module after `model.train()`",
        "state_after_training": "the state of the frozen module after two training steps",
        "rest_after_training": "the state outside the module after two training steps",
        "state_before_opening": "the state of the module before `freeze(module, frozen=False)`",
        "requires_grad_open": "`requires_grad` of the parameters after `freeze(module, frozen=False)` (1 is True)",
        "modes_when_open": "the list of the modes inside the unfrozen module after `model.train()`",
        "modes_at_rest": "the list of the modes inside the unfrozen module after `model.eval()`",
        "state_trained_on": "the state of the unfrozen module after a training step",
    },
)
