"""References of unit 09 that its judges share, and whether what was drawn can be drawn again."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import global_state_kept
from course_lib.exercises.contract import Values


def reference_masked_lm_loss(logits: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
    """By the logarithms of the probabilities, over all words, with weights 1 and 0."""
    log_probability = logits.log_softmax(dim=-1).gather(-1, ids[..., None]).squeeze(-1)  # (N, T)
    return -torch.where(chosen, log_probability, 0.0).sum() / chosen.sum().clamp(min=1)


def repeatable(seen: Values, drawn: str) -> bool:
    """Whether what was drawn comes again with the same seed, and nothing came from torch's global generator."""
    same = isinstance(seen[drawn], Tensor) and torch.equal(seen[drawn], seen[f"{drawn}_of_same_seed"])
    return same and global_state_kept(seen)
