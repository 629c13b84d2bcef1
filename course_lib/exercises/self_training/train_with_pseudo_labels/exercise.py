"""`train_with_pseudo_labels`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import state_of
from course_lib.exercises.self_training.exercise import student


def cases(seed: int) -> list[Case]:
    uniform = drawing(seed).uniform
    lr = round(0.2 + 0.1 * float(uniform(1)), 3)

    def case(name: str, labeled: int, unlabeled: int, batch_size: int, num_epochs: int, mode: str = "train") -> Case:
        images = uniform(labeled + unlabeled, 1, 3, 4) * 2 - 1
        num_classes = 300 if name == "came_at_rest" else 3
        inputs: Values = {"images": images[:labeled], "labels": torch.arange(labeled) * 43 % num_classes}
        inputs |= {"unlabeled": images[labeled:], "num_epochs": num_epochs, "batch_size": batch_size, "lr": lr}
        return Case(name, inputs | {"num_classes": num_classes, "seed": seed + len(name), "mode_before": mode})

    return [
        case("ragged_last_batch", 6, 12, 7, 3),
        case("one_batch_an_epoch", 3, 9, 12, 4),
        case("came_at_rest", 6, 13, 6, 2, "eval"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, generator = case.inputs, seeded(case.inputs["seed"])
    model = student(case).train(given["mode_before"] == "train")
    body = model.get_submodule("body")
    names = {id(p): name for name, p in model.named_parameters()}
    steps: list[Values] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        held = [names.get(id(p), "another") for group in optimizer.param_groups for p in group["params"]]
        steps.append({"lr": [float(group["lr"]) for group in optimizer.param_groups], "held": sorted(held)})

    before = state_of(body)["weight"]
    tensors = (given[name] for name in ("images", "labels", "unlabeled"))
    options = {name: given[name] for name in ("num_epochs", "lr", "batch_size")}
    handle = register_optimizer_step_pre_hook(note)
    try:
        with torch.enable_grad():
            losses = fn(model, *tensors, **options, generator=generator)
    finally:
        handle.remove()
    return {
        "losses": losses,
        "forwards": [dict(entry) for entry in model.diary],
        "steps": steps,
        "next_draw": float(torch.rand((), generator=generator)),  # says whether the answer has drawn from it
        "frozen_before": before,
        "frozen_after": state_of(body)["weight"],
        "frozen_requires_grad": [int(p.requires_grad) for p in body.parameters()],
    }


exercise = Exercise(
    name="train_with_pseudo_labels",
    title="Find the bugs: a published loop, repaired",
    signature="train_with_pseudo_labels(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator)",
    minutes=20,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "Read it line by line and ask of each: which images, which labels, in which mode, with which gradients? "
            "What is built and then never used? And of the number at the end: what is in the sum, and by what is it "
            "divided? There are six faults, in five places."
        ),
        api=(
            "`torch.randperm` (how often?), `model.eval()` and `model.train()`, `torch.no_grad()`, `scheduler.step()`, "
            "`p.requires_grad`, `len`"
        ),
        skeleton=(
            "trainable = [p for p in model.parameters() if ...]\n...\n"
            "for epoch in range(num_epochs):\n    model.eval()\n    with ...:\n        pseudo = ...\n"
            "    model.train()\n    ...\n    order = torch.randperm(len(x), generator=generator)\n    ...\n"
            "    losses.append(running_loss / ...)\n    scheduler...."
        ),
    ),
    takeaway=(
        "None of the six stopped the program: it ran, and its loss even fell. Such loops are found by asking what "
        "should be true of every line, and by a check that looks."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),
    words={
        "losses": "the list of losses that you return",
        "forwards": "the list of the model's calls",
        "steps": "the list of the optimizer's steps",
        "next_draw": "the number that is drawn next from `generator`",
        "frozen_before": "the weight of the frozen layer before training",
        "frozen_after": "the weight of the frozen layer after training",
        "frozen_requires_grad": "`requires_grad` of the frozen layer's parameters after training (1 is True)",
    },
    inputs_shown=("mode_before",),
)
