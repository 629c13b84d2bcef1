"""The weights of a network: first ones from a generator, the mode that it is used in, and how many there are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def seeded(generator: torch.Generator | None = None) -> Iterator[None]:
    """Inside this block, new modules draw their weights from `generator` (seed 0 if None).

    PyTorch's layers draw from the global generator. Inside the block it is seeded by one draw from yours; afterwards it
    has the state that it had before.

    >>> with seeded(torch.Generator().manual_seed(3)):
    ...     first = nn.Linear(4, 2)
    >>> with seeded(torch.Generator().manual_seed(3)):
    ...     second = nn.Linear(4, 2)
    >>> torch.equal(first.weight, second.weight)
    True

    Raises:
        TypeError: `generator` is not a torch.Generator.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator is a {type(generator).__name__}; pass a torch.Generator, such as "
            "torch.Generator().manual_seed(0)."
        )
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def seed_parameters(model: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
    """Draws all weights of `model` again from `generator` (seed 0 if None), each layer by its own rule.

    Returns `model`. Use it to start a network that was built without a generator from a known seed, or to begin again.

    Raises:
        TypeError: a module has weights of its own but no `reset_parameters`; build it inside `with
        seeded(generator):` instead.
    """
    for name, module in model.named_modules():
        own = next(module.parameters(recurse=False), None)
        if own is not None and _reset_function(module) is None:
            raise TypeError(
                f"module {name or 'itself'!r} ({type(module).__name__}) has weights but no reset_parameters(), so they "
                "cannot be drawn again; build the model inside `with seeded(generator):` instead."
            )
    with seeded(generator):
        for module in model.modules():
            reset = _reset_function(module)
            if reset is not None:
                reset()
    return model


def _reset_function(module: nn.Module):
    return getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Inside this block `model` is in eval mode; afterwards every submodule has the mode that it had before.

    Setting the modes back one by one matters: `model.train()` would also reach layers that you had set to eval mode.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield model
    finally:
        for module, training in modes:
            module.training = training


def count_parameters(model: nn.Module, *, trainable: bool = False) -> int:
    """The number of weights in `model`; with `trainable=True` only those that have `requires_grad`.

    >>> count_parameters(nn.Linear(10, 3))
    33
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)
