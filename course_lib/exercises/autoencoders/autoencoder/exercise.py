"""`Autoencoder`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing

_AMPLIFY = 10.0  # factor on all weights, which shows outputs that only happen to lie in [0, 1]
_LEARNING_STEPS = 10


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform
    pictures = draw(8, 1, 4, 4).round().repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return [
        Case("gray", {"images": draw(5, 1, 28, 28), "code_dim": 8}),
        Case("color_wide", {"images": draw(4, 3, 12, 20), "code_dim": 5}),
        Case("one", {"images": draw(1, 1, 8, 12), "code_dim": 3}),
        Case("transposed", {"images": draw(3, 2, 16, 8).transpose(2, 3), "code_dim": 4}),
        Case("learning", {"images": pictures, "code_dim": 6}),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    images, code_dim = case.inputs["images"], case.inputs["code_dim"]
    model = make(tuple(images.shape[1:]), code_dim)
    model.to(images.device).eval()
    with torch.no_grad():
        codes = model.encode(images)
        seen = {"x_hat": model(images), "codes": codes}
        model.encode(torch.zeros_like(images))  # a decoder that peeks at what the encoder saw last now shows
        seen["decoded"] = model.decode(codes)
        parameters = list(model.parameters())
        as_made = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            parameter.mul_(_AMPLIFY)
        seen["x_hat_of_large_weights"] = model(images)
        for parameter, before in zip(parameters, as_made):
            parameter.copy_(before)
    seen["parameter_count"] = sum(p.numel() for p in parameters)
    seen["gradient_sums"] = []
    if len(images) > 1:
        model.train()
        (model(images) - images).pow(2).sum().backward()
        seen["gradient_sums"] = [-1.0 if p.grad is None else float(p.grad.abs().sum()) for p in parameters]
    if case.name == "learning":
        seen["errors"] = _learn(model, images)
    return seen


def _learn(model: nn.Module, images: Tensor) -> list[float]:
    """Mean squared error on a few pictures before and after some steps, small ones for networks of any size."""
    on_cpu = images.device.type == "cpu"  # there, one kernel for all of Adam's arithmetic takes half the time
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=on_cpu)
    errors = []
    for _ in range(_LEARNING_STEPS + 1):
        error = (model(images) - images).pow(2).mean()
        errors.append(float(error.detach()))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return [errors[0], errors[-1]]


exercise = Exercise(
    name="Autoencoder",
    title="An encoder, a narrow code, a decoder",
    signature="Autoencoder(image_shape, code_dim)",
    minutes=15,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Everything that the decoder learns about an image must pass through `code_dim` numbers. The encoder "
            "flattens and narrows, the decoder widens again; a last squashing function keeps pixels between 0 and 1."
        ),
        api="`nn.Sequential`, `nn.Flatten`, `nn.Linear`, `nn.ReLU`, `nn.Sigmoid`, `nn.Unflatten`, `math.prod`",
        skeleton=(
            "num_pixels = math.prod(image_shape)\n"
            "self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_pixels, 256), ..., nn.Linear(..., code_dim))\n"
            "self.decoder = nn.Sequential(nn.Linear(code_dim, ...), ..., nn.Linear(..., ...), ..., "
            "nn.Unflatten(1, ...))\n# encode: the encoder's output; decode: the decoder's; forward: one after the other"
        ),
    ),
    takeaway="The narrow code is the whole idea: a network that could copy its input would have nothing to learn.",
    cases=cases,
    observe=observe,
    words={
        "x_hat": "the result of `forward`",
        "codes": "the result of `encode`",
        "decoded": "the result of `decode`",
        "x_hat_of_large_weights": "the result of `forward` with large weights",
        "parameter_count": "the number of parameters",
        "gradient_sums": "the list of the gradients that reach the parameters",
        "errors": "the list of the errors before and after some training",
    },
    inputs_shown=("images",),
)
