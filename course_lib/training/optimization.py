"""Learning rates over a run, and the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.training.options import Options, describe


def learning_rate_factor(
    schedule: str | Callable[[int, int], float], *, total: int, warmup: int = 0
) -> Callable[[int], float]:
    """The factor that multiplies the learning rate in each step, as a function of the step, which counts from 0.

    >>> factor = learning_rate_factor("cosine", total=4)
    >>> [round(factor(step), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]

    Raises:
        ValueError: an unknown schedule, or a warmup that is negative or as long as the run.
    """
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0 or (warmup and warmup >= total):
        raise ValueError(
            f"warmup is {warmup!r}; a whole number of steps from 0 to less than the run's {total} is expected."
        )
    if callable(schedule):
        shape = schedule
    elif schedule == "cosine":
        shape = _cosine
    elif schedule == "constant":
        shape = _constant
    else:
        raise ValueError(
            f"schedule is {schedule!r}; 'cosine', 'constant' or a function factor(step, total) is expected."
        )

    def factor(step: int) -> float:
        return (step + 1) / (warmup + 1) if step < warmup else shape(step - warmup, total - warmup)

    return factor


def _cosine(step: int, total: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * step / total))


def _constant(step: int, total: int) -> float:
    return 1.0


def optimizer_of(model: nn.Module, options: Options, *, lr: float, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of a run: AdamW, the one given, or one made of the model's trainable parameters.

    Raises:
        TypeError, ValueError: nothing to train, a learning rate that is not above 0, or an optimizer that does not fit.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(
            "the model has no parameter that requires a gradient; everything is frozen, so there is nothing to train."
        )
    given: Any = options.optimizer
    if given is None:
        if not lr > 0:
            raise ValueError(f"lr is {lr!r}; a number above 0 is expected.")
        # Fused: the same arithmetic in one pass over the weights; on a CPU up to a third less time for a small network.
        fused = device.type in ("cpu", "cuda") and all(p.is_floating_point() for p in trainable)
        return torch.optim.AdamW(trainable, lr=lr, weight_decay=options.weight_decay, fused=fused)
    made = given if isinstance(given, torch.optim.Optimizer) else given(trainable)
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {describe(made)}; a torch optimizer, or a function from parameters to one, is expected."
        )
    held = {id(p) for group in made.param_groups for p in group["params"]}
    if not any(id(p) in held for p in trainable):
        raise ValueError(
            "the optimizer holds none of the model's trainable parameters, so nothing would be learned; make it from "
            "this model's parameters, after the model was built."
        )
    return made
