"""Batches of any shape, and the random generators that a step may draw from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib.training.options import describe


def moved(batch: Any, device: torch.device) -> Any:
    """A tensor, or a tuple, list or dict of such, on the device; anything else as it is."""
    if isinstance(batch, Tensor):
        return batch if batch.device == device else batch.to(device, non_blocking=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(item, device) for item in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(moved(item, device) for item in batch)
    if isinstance(batch, dict):
        return {key: moved(item, device) for key, item in batch.items()}
    return batch


def batch_size(batch: Any) -> int:
    """The length of the first tensor in a batch."""
    while not isinstance(batch, Tensor):
        items = list(batch.values()) if isinstance(batch, dict) else batch if isinstance(batch, (tuple, list)) else ()
        if not items:
            return 1
        batch = items[0]
    return len(batch) if batch.ndim else 1


def generators_of(batches: Any, further: Sequence[torch.Generator], device: torch.device) -> list[torch.Generator]:
    """Every generator that a step may draw from, each once.

    They are torch's own (dropout uses them), that of the batches, and the further ones.

    Raises:
        TypeError: something among them is not a generator.
    """
    found = [torch.default_generator, getattr(batches, "generator", None), *further]
    if device.type == "cuda":
        found.append(torch.cuda.default_generators[device.index or torch.cuda.current_device()])
    unique: list[torch.Generator] = []
    for generator in found:
        if generator is None:
            continue
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generators holds a {describe(generator)}; torch.Generator objects are expected.")
        if not any(generator is other for other in unique):
            unique.append(generator)
    return unique


def set_states(generators: list[torch.Generator], states: list[Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state.cpu())
