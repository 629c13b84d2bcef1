"""A small model, three batches and a `fit` without progress bar: what the tests of training share."""

from __future__ import annotations

import torch
from torch import nn

from course_lib.models import seeded
from course_lib.training import cross_entropy, fit


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_data(n: int = 22) -> tuple[torch.Tensor, torch.Tensor]:
    g = generator(1)
    return torch.rand(n, 1, 8, 8, generator=g), torch.randint(0, 3, (n,), generator=g)


def make_batches(size: int = 8, n: int = 22) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Three batches; the last one is ragged."""
    x, y = make_data(n)
    return list(zip(x.split(size), y.split(size), strict=True))


def make_model(dropout: float = 0.0) -> nn.Module:
    with seeded(generator(2)):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(4 * 64, 3),
        )


def quiet_fit(*args, **options):
    return fit(*args, **{"progress": False, "precision": "float32", **options})


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_same_weights(model: nn.Module, expected: dict[str, torch.Tensor]) -> None:
    state = model.state_dict()
    assert state.keys() == expected.keys()
    for key in state:
        assert torch.equal(state[key], expected[key]), key


class Interrupt:
    """A loss that is interrupted in one step, as by Ctrl-C."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def __call__(self, model, batch):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return cross_entropy(model, batch)


def scripted(values):
    """A validation that returns the given values one after another, and notes the weights that it saw."""
    seen = []
    remaining = iter(values)

    def validate(model):
        seen.append(weights(model))
        return next(remaining)

    return validate, seen
