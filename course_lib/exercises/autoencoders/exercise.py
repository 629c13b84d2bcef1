"""What several exercises of unit 01 share, beside the learner's code: a network that notes how it is used, and how an
autoencoder of the learner's is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Values, seeded
from course_lib.exercises.observing import gradient_of, mode_of

# What cards call the values of `squashed` and `gradients`, and what else two exercises observe.
WORDS = {
    "x_hat": "the result of `forward`",
    "x_hat_of_large_weights": "the result of `forward` with large weights",
    "gradient_sums": "the list of the gradients that reach the parameters",
    "made_late": "the number of parameters that come with the first images",
    "image_gradient": "the gradient that reaches the images",
    "images_after": "your argument `images` after the call",
    "extremes": "the darkest and the brightest pixel of each image, of codes farther and farther from 0",
}
_AMPLIFY = 8.0  # factor on all weights, which shows outputs that only happen to lie in [0, 1]


def squashed(
    model: nn.Module, images: Tensor, decode: Callable[[Tensor], Tensor], codes: Tensor, *, far: bool
) -> Values:
    """How pixels are squashed: `forward` with large weights, and, with `far`, images of codes farther and farther away.

    Of these images the darkest and the brightest pixel of each.
    """
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.mul_(_AMPLIFY)
    seen = {"x_hat_of_large_weights": model(images)}
    for parameter in parameters:
        parameter.div_(_AMPLIFY)  # as it was: a power of two is exact
    if far:
        near = torch.rand_like(codes) - 0.5
        decoded = [decode(near * 2.0**k).flatten(1) for k in range(-5, 12)]
        seen["extremes"] = torch.stack([torch.stack([x.amin(dim=1), x.amax(dim=1)]) for x in decoded])
    return seen


def gradients(model: nn.Module, images: Tensor) -> Values:
    """What a backward pass in train mode brings to each parameter, -1 for none, and to the images."""
    if len(images) == 1:  # too few for batch normalization in train mode
        return {}
    model.train()
    x = images.clone().requires_grad_()
    (model(x) - images).pow(2).sum().backward()
    sums = [-1.0 if p.grad is None else float(p.grad.abs().sum()) for p in model.parameters()]
    return {"gradient_sums": sums, "image_gradient": gradient_of(x)}


class Stateful(nn.Module):
    """Batch normalization and dropout, which behave differently in train mode, and a record of every call."""

    def __init__(self, channels: int, out_channels: int, seed: int, *, pool: bool) -> None:
        super().__init__()
        generator = seeded(seed)
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(0.3)
        self.pool = pool
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
            self.norm.get_buffer("running_mean").copy_(torch.randn(out_channels, generator=generator) * 0.2)
            self.norm.get_buffer("running_var").copy_(torch.rand(out_channels, generator=generator) + 0.5)
        self.batch_sizes: list[int] = Diary()
        self.modes: list[str] = Diary()
        self.recording: list[str] = Diary()

    def forward(self, x: Tensor) -> Tensor:
        self.batch_sizes.append(len(x))
        self.modes.append(mode_of(self.norm))
        self.recording.append("on" if torch.is_grad_enabled() else "off")
        x = self.dropout(self.norm(self.conv(x)))
        return x.relu().mean(dim=(2, 3)) if self.pool else x.sigmoid()

    def state(self) -> dict[str, Any]:
        """Where it stands after a call: raw values."""
        return {
            "mode_after": mode_of(self),
            "modes": list(self.modes),
            "gradients_during": "+".join(sorted(set(self.recording))),
            "batch_sizes": list(self.batch_sizes),
            "running_mean_after": self.norm.get_buffer("running_mean").clone(),
            "weights_require_grad_after": [int(p.requires_grad) for p in self.parameters()],
            "gradients_after": [int(p.grad is not None) for p in self.parameters()],
            "grad_mode_after": int(torch.is_grad_enabled()),
        }


def stateful(case: Case, channels: int, *, pool: bool) -> Stateful:
    images = case.inputs["images"]
    out_channels = case.inputs.get("feature_dim", channels)
    model = Stateful(channels, out_channels, case.inputs["seed"], pool=pool).to(images.device, images.dtype)
    model.train(case.inputs["mode_before"] == "train")
    return model
