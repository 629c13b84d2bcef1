"""`l2_sp_penalty`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning.exercise import Pretrained, flat, gradients_of, set_values


def _model(case: Case) -> Pretrained:
    """An encoder with batch normalization, and a linear head."""
    width = case.inputs["width"]
    encoder = nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3))
    if case.inputs["encoder"] == "convolutional":
        encoder = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.PReLU())
    return Pretrained(encoder, nn.Linear(3, 4)).to(getattr(torch, case.inputs["dtype"]))


def cases(seed: int) -> list[Case]:
    def case(name: str, moved: str, **changed: Any) -> Case:
        inputs = {"encoder": "dense", "moved": moved, "dtype": "float32", "width": 4, "encoder_came": "open", **changed}
        return Case(name, {**inputs, "seed": seed + 7 * len(name)})

    return [
        case("everything_moved", "everything"),
        case("encoder_moved", "encoder", width=6),
        case("head_moved", "head"),
        case("buffers_moved", "buffers"),
        case("convolutions", "everything", encoder="convolutional", width=3),
        case("float64", "everything", dtype="float64"),
        case("frozen_at_the_start", "encoder", encoder_came="frozen"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs, generator = case.inputs, seeded(case.inputs["seed"])
    model = _model(case)
    set_values(model, generator)
    model.encoder.requires_grad_(inputs["encoder_came"] == "open")
    penalty = fn(model)
    fn(_model(case))  # of another network: no matter of ours
    model.encoder.requires_grad_(True)
    with torch.no_grad():
        for part in ("encoder", "head"):
            if inputs["moved"] in (part, "everything"):
                for parameter in getattr(model, part).parameters():
                    parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator).to(parameter))
        if inputs["moved"] in ("buffers", "everything"):
            for buffer in model.encoder.buffers():
                buffer.add_(0.7 if buffer.is_floating_point() else 2)
    moved = flat(model.state_dict().values())
    value, again = penalty(), penalty()
    seen: Values = {"penalty": value.detach().clone() if isinstance(value, Tensor) else value, "called_again": again}
    seen |= {"model_moved": moved, "model_after": flat(model.state_dict().values())}
    if isinstance(value, Tensor) and value.requires_grad and value.numel() == 1:
        value.backward()
    seen["encoder_gradient"], seen["head_gradient"] = gradients_of(model.encoder), gradients_of(model.head)
    seen["on_the_graph"] = int(isinstance(value, Tensor) and value.requires_grad)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.25)
    seen["after_another_move"] = penalty()
    return seen


exercise = Exercise(
    name="l2_sp_penalty",
    title="How far has the encoder moved from its start?",
    signature="l2_sp_penalty(model)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Two moments matter. Now, before any training: remember the encoder's weights, as numbers of their own "
            "that no optimizer touches. Later, in every step: compare the weights as they are then with what you "
            "remembered."
        ),
        api="`model.encoder.parameters()`, `Tensor.detach()`, `Tensor.clone()`, `zip`, `Tensor.pow(2).sum()`",
        skeleton=(
            "start = [weight....clone() for weight in model.encoder.parameters()]\n"
            "\n"
            "def penalty():\n"
            "    pairs = zip(model.encoder.parameters(), ...)\n"
            "    return sum((... - ...).pow(2).sum() for weight, origin in pairs)\n"
            "\n"
            "return penalty"
        ),
    ),
    takeaway=(
        "Plain weight decay pulls towards zero, which for a pretrained network is a place it never was. This pulls "
        "towards what it knew."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "penalty": "the penalty after the model has moved",
        "called_again": "the penalty when it is computed a second time",
        "model_moved": "the state of the model before the penalty is computed",
        "model_after": "the state of the model after the penalty is computed",
        "encoder_gradient": "the gradient of the encoder",
        "head_gradient": "the gradient of the head",
        "on_the_graph": "a path for gradients back from the penalty (1 is yes)",
        "after_another_move": "the penalty after the model has moved once more",
    },
    inputs_shown=("moved",),
)
