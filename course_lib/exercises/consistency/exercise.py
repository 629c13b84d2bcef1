"""What several exercises of unit 07 share: observers, beside the learner's code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Values


def loss_and_backward(loss: Any) -> Values:
    """The loss, and whether it could go backward; if so, its gradients stand in the leaves afterwards."""
    seen: Values = {"loss": loss.clone() if isinstance(loss, Tensor) else loss, "went_backward": "no"}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
        seen["went_backward"] = "yes"
    return seen


class Everything(nn.Module):
    """A network with all that a state has: weights, a frozen weight, running statistics, a count, a constant.

    Its part "more" is a layer that shares its weight, or a buffer that is not in the `state_dict`.
    """

    def __init__(self, features: int, generator: torch.Generator, more: str) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(features, 3), nn.BatchNorm1d(3)
        self.scale = nn.Parameter(torch.empty(3), requires_grad=False)
        self.register_buffer("history", torch.empty(2, 3))
        if more == "shared weight":
            self.more = nn.Linear(features, 3, bias=False)
            self.more.weight = self.linear.weight
        elif more == "buffer":
            self.register_buffer("more", torch.rand(4, generator=generator), persistent=False)
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator)
        for name in ("norm.running_mean", "norm.running_var", "history"):
            self.get_buffer(name).uniform_(0.1, 1.1, generator=generator)
        self.norm.get_buffer("num_batches_tracked").random_(1, 1000, generator=generator)

    def values(self) -> dict[str, torch.Tensor]:
        """All tensors by name, as they are now: copies."""
        return {name: value.detach().clone() for name, value in [*self.named_parameters(), *self.named_buffers()]}
