"""`denoising_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import gradient_of, mode_of


class _SmallModel(nn.Module):
    """Images to images of the same shape, and a record of what it was given and in which mode."""

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        generator = seeded(seed)
        self.weight = nn.Parameter(torch.randn(channels, channels, generator=generator) * 0.5)
        self.bias = nn.Parameter(torch.randn(channels, generator=generator) * 0.1)
        self.part = nn.Identity()
        self.inputs: list[Tensor] = []
        self.modes: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.inputs.append(x.detach().clone())
        self.modes.append(f"{mode_of(self)}, its part {mode_of(self.part)}")
        mixed = torch.einsum("nchw,dc->ndhw", x, self.weight.to(x)) + self.bias.to(x)[:, None, None]
        return 3 * mixed  # also outside [0, 1]


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform
    images = {
        "plain": draw(4, 1, 6, 5),
        "color": draw(3, 3, 5, 7),
        "one": draw(1, 1, 7, 4),
        "transposed": draw(5, 1, 4, 8).transpose(2, 3),
        "float64": draw(2, 2, 5, 5).double(),
    }
    modes = {"color": ("eval", "eval"), "transposed": ("train", "eval"), "float64": ("eval", "train")}
    return [
        Case(name, {"images": images[name], "seed": seed + number, "modes_before": modes.get(name, ("train", "train"))})
        for number, name in enumerate(images)
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    model = _SmallModel(images.shape[1], case.inputs["seed"]).to(images.device)
    for module, mode in zip((model, model.part), case.inputs["modes_before"]):
        module.training = mode == "train"
    generator = seeded(case.inputs["seed"])
    corrupted: list[Tensor] = []
    compared: list[list[Tensor]] = []

    def corrupt(x: Tensor) -> Tensor:
        noisy = (x + 0.3 * torch.randn(x.shape, generator=generator).to(x)).clamp(0, 1)
        corrupted.append(noisy.detach().clone())
        return noisy

    def loss_fn(x_hat: Tensor, target: Tensor) -> Tensor:
        compared.append([x_hat.detach().clone(), target.detach().clone()])
        # Not symmetric on purpose: swapped arguments show.
        return ((1 + target) * (x_hat - target) ** 2).flatten(1).sum(1).mean()

    loss = fn(model, images, corrupt, loss_fn)
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return {
        "loss": loss,
        "model_inputs": model.inputs,
        "modes": model.modes,
        "gradient": gradient_of(model.weight),
        "corrupted": corrupted,
        "compared": compared,
        "mode_after": mode_of(model),
        "images_after": images,
    }


exercise = Exercise(
    name="denoising_loss",
    title="Reconstruct the clean image from the corrupted one",
    signature="denoising_loss(model, images, corrupt, loss_fn)",
    minutes=8,
    difficulty=2,
    points=3,
    hints=Hints(
        concept=(
            "Two versions of each image play a part: one goes into the model, the other is what its output is compared "
            "with. Which is which?"
        ),
        api="`corrupt(images)`, `model(...)`, `loss_fn(x_hat, target)`: all three are given to you",
        skeleton="noisy = corrupt(...)\nx_hat = model(...)\nreturn loss_fn(..., ...)",
    ),
    takeaway="Corrupted in, clean as the target: copying no longer pays; the model must learn what images look like.",
    cases=cases,
    observe=observe,
    words={
        "model_inputs": "the list of what the model is given",
        "corrupted": "the list of what `corrupt` returned",
        "compared": "the list of what `loss_fn` is given",
        "gradient": "the gradient of the model's weight",
    },
)
