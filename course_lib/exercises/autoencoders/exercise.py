"""What several exercises of unit 01 share: cases and observers, beside the learner's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Values, drawing, seeded
from course_lib.exercises.observing import manual_seed


def mode_of(model: nn.Module) -> str:
    return "train" if model.training else "eval"


def corrupt_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, noise: float) -> Case:
        return Case(name, {"images": images, "noise": noise, "seed": seed + len(name)})

    return [
        case("gray", 0.45 + 0.1 * draw(8, 1, 24, 20), 0.05),
        case("same_image", (0.4 + 0.2 * draw(1, 3, 16, 12)).repeat(6, 1, 1, 1), 0.05),
        case("dark_and_bright", draw(6, 1, 16, 12).round(), 0.4),
        case("no_noise", draw(3, 1, 6, 5), 0.0),
        case("one", 0.4 + 0.2 * draw(1, 1, 28, 28), 0.04),
        case("transposed", (0.4 + 0.2 * draw(4, 1, 20, 14)).transpose(2, 3), 0.05),
        case("float64", (0.4 + 0.2 * draw(4, 1, 18, 14)).double(), 0.05),
    ]


def observe_corrupt(fn: Callable[..., Any], case: Case) -> Values:
    images, noise, seed = case.inputs["images"], case.inputs["noise"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = fn(images, noise, generator=generator)
    first = first.clone() if isinstance(first, Tensor) else first  # it may be the input itself
    global_after = torch.get_rng_state()
    images_after = images.clone()
    second = fn(before.clone(), noise, generator=generator)
    manual_seed(seed + 1)
    again = fn(before.clone(), noise, generator=seeded(seed))
    return {
        "corrupted": first,
        "next_call": second,
        "same_seed": again,
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


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

    def forward(self, x: Tensor) -> Tensor:
        self.batch_sizes.append(len(x))
        self.modes.append(mode_of(self.norm))
        x = self.dropout(self.norm(self.conv(x)))
        return x.relu().mean(dim=(2, 3)) if self.pool else x.sigmoid()

    def state(self) -> dict[str, Any]:
        """Where it stands after a call: raw values."""
        return {
            "mode_after": mode_of(self),
            "modes": list(self.modes),
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
