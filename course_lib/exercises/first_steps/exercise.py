"""What several exercises of unit 00 share: cases and observers, beside the learner's code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary


def number_of(value: Any) -> Any:
    """A subclass of float (numpy.float64) as the float that it is; anything else as it came."""
    return float.__pos__(value) if isinstance(value, float) else value


def draw_labels(count: int, num_classes: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, num_classes, (count,), generator=generator)


class Watched(nn.Module):
    """A linear classifier, with batch normalization in front if wanted, that notes how it was called."""

    def __init__(self, weight: Tensor, bias: Tensor, *, normalized: bool) -> None:
        super().__init__()
        num_classes, num_pixels = weight.shape
        self.norm: nn.Module = nn.BatchNorm1d(num_pixels) if normalized else nn.Identity()
        self.head = nn.Linear(num_pixels, num_classes)
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)
            if isinstance(self.norm, nn.BatchNorm1d):  # as if it had learned these statistics before
                self.norm.running_mean = 0.5 + weight.mean(dim=0)
                self.norm.running_var = 1.0 + weight.abs().mean(dim=0)
        self.to(weight.dtype).to(weight.device)
        self.modes: list[str] = Diary()
        self.gradients: list[str] = Diary()
        self.events: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.norm.training else "eval")
        self.gradients.append("on" if torch.is_grad_enabled() else "off")
        self.events.append("forward")
        return self.head(self.norm(x.flatten(1)))

    def parameter_vector(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters()])


def watched_case(
    name: str,
    generator: torch.Generator,
    *,
    shape: tuple[int, int, int],
    count: int,
    num_classes: int,
    dtype: torch.dtype = torch.float32,
    transposed: bool = False,
    **inputs: Any,
) -> Case:
    channels, height, width = shape
    if transposed:
        images = torch.rand(count, channels, width, height, generator=generator, dtype=dtype).transpose(2, 3)
    else:
        images = torch.rand(count, channels, height, width, generator=generator, dtype=dtype)
    weight = torch.randn(num_classes, channels * height * width, generator=generator, dtype=dtype)
    values = {
        "images": images,
        "labels": draw_labels(count, num_classes, generator),
        "weight": 2 * weight / weight.shape[1] ** 0.5,
        "bias": torch.randn(num_classes, generator=generator, dtype=dtype),
    }
    return Case(name, values | inputs)


def watched(case: Case) -> Watched:
    model = Watched(case.inputs["weight"], case.inputs["bias"], normalized=case.inputs["normalized"] == "yes")
    return model.train(case.inputs["mode_before"] == "train")
