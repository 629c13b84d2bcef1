"""What several exercises of notebook 11a share: weights as if they had been learned, and what is seen of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import seeded


def with_drawn_weights(module: nn.Module, seed: int) -> nn.Module:
    """The module with weights as if they had been learned: none is left at the value that layers begin with."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator) + 0.1)
    return module


def requires_grad(module: nn.Module) -> dict[str, int]:
    """Parameter -> 1 if it requires a gradient, else 0."""
    return {name: int(parameter.requires_grad) for name, parameter in module.named_parameters()}


def named_parts(parameters: Any, model: nn.Module) -> list[str]:
    """The names of parameters of a model, as listed; "another Tensor" for what is none of the model's."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names.get(id(parameter), f"another {type(parameter).__name__}") for parameter in parameters]
