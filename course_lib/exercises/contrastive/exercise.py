"""What exercises of unit 05 are made of: an augmentation that can be recognized, and small networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Diary, Values, drawing
from course_lib.exercises.observing import gradient_of


class Gains:
    """An augmentation that multiplies each image by a number of its own, drawn evenly between 0.5 and 1.5."""

    def __call__(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        drawn = 0.5 + torch.rand(len(x), generator=generator)
        return x * drawn.to(x)[:, None, None, None]


class Small(nn.Module):
    """Images or features to `width` numbers through batch normalization; it notes each call's batch and mode."""

    def __init__(self, inputs: int, width: int, seed: int) -> None:
        super().__init__()
        _, uniform, normal = drawing(seed)
        self.feature_dim, self.batches, self.modes = width, Diary(), Diary()
        self.linear, self.norm = nn.Linear(inputs, width), nn.BatchNorm1d(width)
        self.linear.weight = nn.Parameter(normal(width, inputs))
        self.linear.bias = nn.Parameter(normal(width))
        self.norm.running_mean, self.norm.running_var = normal(width), 0.3 + uniform(width)

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        self.modes.append("train" if self.norm.training else "eval")
        return self.norm(self.linear(x.flatten(1))).tanh()


def loss_and_gradients(loss: Any, **leaves: Tensor) -> Values:
    """A loss, and its gradient at these leaves, `<name>_gradient`; zeros where none arrives."""
    seen: Values = {"loss": loss.clone() if isinstance(loss, Tensor) else loss}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return seen | {f"{name}_gradient": gradient_of(leaf) for name, leaf in leaves.items()}
