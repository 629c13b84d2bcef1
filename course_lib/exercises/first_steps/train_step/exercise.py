"""`train_step`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.first_steps.exercise import number_of, watched, watched_case

STEPS = 3  # how often the answer is called on one model, so that gradients can pile up


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, optimizer: str, normalized: str = "no", **options: Any) -> Case:
        options["count"] *= STEPS
        return watched_case(name, generator, optimizer=optimizer, mode_before="eval", normalized=normalized, **options)

    return [
        case("plain", "sgd", shape=(1, 4, 4), count=6, num_classes=4),
        case("momentum", "momentum", shape=(2, 3, 5), count=5, num_classes=3, transposed=True),
        case("double", "adam", shape=(1, 3, 4), count=4, num_classes=10, dtype=torch.float64),
        case("one_image", "sgd", shape=(3, 2, 2), count=1, num_classes=5),
        case("old_gradients", "sgd", shape=(1, 4, 3), count=5, num_classes=300),
        case("normalized", "sgd", "yes", shape=(1, 2, 5), count=7, num_classes=3),
    ]


_OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.5),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.2, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
}


def observe(fn: Callable[..., Any], case: Case) -> Values:
    model = watched(case)
    optimizer = _OPTIMIZERS[case.inputs["optimizer"]](model.parameters())
    model.head.weight.register_hook(lambda gradient: model.events.append("backward"))
    optimizer.register_step_pre_hook(lambda *_: model.events.append("step"))
    if case.name == "old_gradients":
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
    losses, weights = [], [model.parameter_vector()]
    for images, labels in zip(case.inputs["images"].chunk(STEPS), case.inputs["labels"].chunk(STEPS)):
        losses.append(number_of(fn(model, images, labels, optimizer)))
        weights.append(model.parameter_vector())
    return {
        "loss": losses[0],
        "later_losses": losses[1:],
        "weights_before": weights[0],
        "weights_after_one_step": weights[1],
        "weights_after_all_steps": weights[-1],
        "mode_during": "+".join(sorted(set(model.modes))),
        "mode_after": "train" if model.training else "eval",
        "events": " ".join(model.events),
    }


exercise = Exercise(
    name="train_step",
    title="One step of training",
    signature="train_step(model, images, labels, optimizer)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Forward, loss, backward, step. Gradients add up in PyTorch until they are cleared, and some layers "
            "behave differently in training, so say which mode you are in."
        ),
        api=(
            "`model.train()`, `optimizer.zero_grad()`, `F.cross_entropy(logits, labels)`, `loss.backward()`, "
            "`optimizer.step()`, `loss.item()`"
        ),
        skeleton=(
            "model....()\n"
            "optimizer....()\n"
            "logits = model(images)  # (N, C, H, W) -> (N, K)\n"
            "loss = F.cross_entropy(..., ...)\n"
            "loss....()\n"
            "optimizer....()\n"
            "return loss....()"
        ),
    ),
    takeaway="These few lines train every network of this course; from now on only the loss changes.",
    cases=cases,
    observe=observe,
    may_change=("model",),
    library=("course_lib.training.fit",),
    words={
        "later_losses": "the list of the losses of the next two steps",
        "weights_before": "the vector of all weights before the first step",
        "weights_after_one_step": "the vector of all weights after one step",
        "weights_after_all_steps": "the vector of all weights after three steps",
        "events": "the order of forward passes, backward passes and optimizer steps",
    },
)
