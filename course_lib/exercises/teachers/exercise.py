"""What several exercises of unit 08 share: a network that notes how it is used, beside the learner's code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Diary, Values, drawing
from course_lib.exercises.observing import mode_of


class Watched(nn.Module):
    """Images to vectors by one matrix, with batch normalization and dropout; it notes every call.

    Its running statistics are far from those of any batch, so that its mode shows in what it returns.
    """

    def __init__(self, weight: Tensor, seed: int) -> None:
        super().__init__()
        _, uniform, normal = drawing(seed)
        self.feature_dim = len(weight)
        self.linear, self.norm = nn.Linear(weight.shape[1], len(weight), bias=False), nn.BatchNorm1d(len(weight))
        self.dropout = nn.Dropout(0.5)
        self.linear.weight = nn.Parameter(weight.detach().clone())
        self.norm.running_mean, self.norm.running_var = normal(len(weight)), 0.3 + uniform(len(weight))
        self.to(weight.device)
        self.modes: list[str] = Diary()
        self.recording: list[str] = Diary()

    def forget(self) -> None:
        """Begins its notes anew."""
        del self.modes[:], self.recording[:]

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append("+".join(sorted({mode_of(part) for part in (self, self.norm, self.dropout)})))
        self.recording.append("on" if torch.is_grad_enabled() else "off")
        x = self.linear(images.flatten(1))
        if len(images) > 1 or not self.norm.training:
            x = self.norm(x)
        return self.dropout(x)

    def noted(self) -> Values:
        """How it has been used: the modes that it was in, and whether gradients were recorded."""
        return {"modes": "/".join(sorted(set(self.modes))), "recording": "/".join(sorted(set(self.recording)))}
