"""What several exercises of unit 07 share: cases and observers, beside the learner's code."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def backward_of(loss: Any) -> str:
    """Goes backward when there is something to go backward from; says whether."""
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
        return "yes"
    return "no"
