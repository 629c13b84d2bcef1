"""What several exercises of notebook 11b share: the network of a client, which notes on which images it is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Diary, seeded
from course_lib.exercises.fine_tuning.exercise import set_values


class Watched(nn.Module):
    """A small network with batch normalization that notes every batch, and what it held when the batch came.

    Args:
        pixels: of an image.
        classes: how many logits.
        seed: what all values are drawn with.
    """

    def __init__(self, pixels: int, classes: int, seed: int) -> None:
        super().__init__()
        # No bias before the normalization: its gradient would be rounding noise.
        self.body, self.norm = nn.Linear(pixels, 5, bias=False), nn.BatchNorm1d(5)
        self.head = nn.Linear(5, classes)
        set_values(self, seeded(seed), 0.7)
        self.diary: list[dict[str, Tensor]] = Diary()

    def forward(self, x: Tensor) -> Tensor:
        held = {name: value.detach().clone() for name, value in self.state_dict().items()}
        self.diary.append({"images": x.detach().clone(), **held})
        return self.head(torch.tanh(self.norm(self.body(x.flatten(1)))))


NORM = tuple(f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))


def as_state(value: Any) -> Any:
    """A state as a plain dict, since `state_dict()` gives an ordered one; anything else as it is."""
    return dict(value) if isinstance(value, dict) else value
