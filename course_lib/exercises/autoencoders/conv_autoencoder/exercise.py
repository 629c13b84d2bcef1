"""`ConvAutoencoder`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.autoencoders.exercise import WORDS, gradients, squashed
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    n = torch.randint(0, 4, (7,), generator=generator).tolist()  # sizes are drawn too
    kinds = draw(6, 1, 4, 4).round().repeat_interleave(2, 2).repeat_interleave(2, 3)
    pictures = 0.1 + 0.8 * kinds.repeat(3, 1, 1, 1) + 0.1 * (draw(18, 1, 8, 8) - 0.5)

    def case(name: str, images: Tensor, feature_dim: int) -> Case:
        return Case(name, {"images": images, "feature_dim": feature_dim})

    return [
        case("gray", draw(4 + n[0], 1, 28, 28), 24 + 4 * n[1]),
        case("color_wide", draw(3 + n[2], 3, 8, 12 + 4 * n[3]), 12 + 4 * n[4]),
        case("one", draw(1, 1, 8 + 4 * n[5], 12), 4),
        case("transposed", draw(3, 2, 16, 8).transpose(2, 3), 8 + 4 * n[6]),
        case("learning", pictures, 16),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    images, feature_dim = case.inputs["images"], case.inputs["feature_dim"]
    model = make(tuple(images.shape[1:]), feature_dim)
    as_made = {id(parameter) for parameter in model.parameters()}
    if case.name == "color_wide":  # a second network of another shape must not change the first
        make((1, *images.shape[:1:-1]), feature_dim + 4)
    model.to(images.device).eval()
    with torch.no_grad():
        features = model.encoder(images)
        seen = {"features": features, "x_hat": model(images), "of_the_copy": copy.deepcopy(model.encoder)(images)}
        model.encoder(torch.zeros_like(images))  # a decoder that peeks at what the encoder saw last now shows
        seen["decoded"] = model.decoder(features)
        seen |= squashed(model, images, model.decoder, features, far=case.name == "color_wide")
    # The weights of a convolution have four dimensions.
    seen["kernels"] = [sum(p.ndim == 4 for p in half.parameters()) for half in (model.encoder, model.decoder)]
    seen["made_late"] = sum(id(p) not in as_made for p in model.parameters())
    seen |= gradients(model, images)
    if case.name == "learning":
        seen["errors"] = _learn(model, images)
    return {**seen, "images_after": images}


def _learn(model: nn.Module, images: Tensor) -> list[float]:
    """The error per picture at each step, in train mode."""
    on_cpu = images.device.type == "cpu"  # there, one kernel for all of Adam's arithmetic takes half the time
    optimizer, errors = torch.optim.Adam(model.parameters(), lr=5e-3, fused=on_cpu), []
    for _ in range(81):  # 80 steps, as the statement says, and a look at what they did
        error = (model(images) - images).pow(2).flatten(1).sum(dim=1).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.detach())
    return torch.stack(errors).tolist()


exercise = Exercise(
    name="ConvAutoencoder",
    title="A convolutional autoencoder whose encoder is used again",
    signature="ConvAutoencoder(image_shape, feature_dim)",
    minutes=25,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "Two modules that know nothing of each other. The encoder halves height and width twice, while the "
            "channels become more, and ends in a vector. The decoder makes a small map of it again, and doubles twice."
        ),
        api=(
            "`nn.Conv2d(a, b, 3, padding=1)`, `nn.BatchNorm2d`, `nn.ReLU`, `nn.MaxPool2d(2)`, `nn.Flatten`, "
            "`nn.AdaptiveAvgPool2d(2)`, `nn.Linear`, `nn.Unflatten(1, shape)`, `nn.Upsample(scale_factor=2)`"
        ),
        skeleton=(
            "self.encoder = nn.Sequential(block(c, 16), nn.MaxPool2d(2), ...,\n"
            "    block(32, feature_dim // 4), nn.AdaptiveAvgPool2d(2), nn.Flatten())  # (N, feature_dim)\n"
            "self.decoder = nn.Sequential(nn.Linear(feature_dim, 64 * (h // 4) * (w // 4)), nn.Unflatten(1, ...),\n"
            "    nn.Upsample(scale_factor=2), block(64, 32), ..., nn.Conv2d(..., c, 3, padding=1), nn.Sigmoid())"
        ),
    ),
    takeaway="The encoder is a module of its own, so what it has learned without labels goes on into a classifier.",
    cases=cases,
    observe=observe,
    words={
        **WORDS,
        "features": "the result of `encoder`",
        "of_the_copy": "the result of a copy of `encoder`",
        "decoded": "the result of `decoder`",
        "kernels": "the list of the numbers of convolutions in `encoder` and `decoder`",
        "errors": "the list of the errors during some training",
    },
    inputs_shown=("images",),
)
