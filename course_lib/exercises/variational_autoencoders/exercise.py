"""What several exercises of unit 02 share, beside the learner's code: cases, and how a whole VAE is tried."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from course_lib.exercises.contract import Case, Values, seeded
from course_lib.exercises.observing import mode_of


def changed(case: Case, change: Callable[[Tensor], Tensor]) -> Case:
    """The case with a change made to each of its tensors."""
    return Case(case.name, {k: change(v) if isinstance(v, Tensor) else v for k, v in case.inputs.items()})


def backward(value: Any) -> None:
    """Sends gradients back from an answer's value, if it has any."""
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()


class Draws:
    """What `forward` is given as `draw`: it notes what it draws from, and returns these codes or new ones."""

    def __init__(self, codes: Tensor | None = None) -> None:
        self.given: list[list[Tensor]] = []
        self._codes = codes

    def __call__(self, mu: Tensor, logvar: Tensor) -> Tensor:
        self.given.append([mu, logvar])
        return Normal(mu, torch.exp(0.5 * logvar)).rsample() if self._codes is None else self._codes.clone()


@contextlib.contextmanager
def scaled(model: nn.Module, factor: float) -> Iterator[None]:
    """Inside this block all weights are so many times as large."""
    kept = [parameter.clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.mul_(factor)
    yield
    for parameter, before in zip(model.parameters(), kept):
        parameter.copy_(before)


def leaves(value: Tensor) -> set[int]:
    """The identities of all tensors that a value was computed from and that ask for a gradient."""
    found, seen, waiting = set(), set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
        if hasattr(node, "variable"):
            found.add(id(node.variable))
    return found


def sampled(model: Any, count: int, seed: int) -> Values:
    """Images that `sample` draws in train mode, then more, then those of the first seed again in eval mode."""
    generator = seeded(seed)
    model.train()
    seen: Values = {"sample": model.sample(count, generator=generator), "modes_after": [mode_of(model)]}
    seen["sample_requires_grad"] = int(seen["sample"].requires_grad)
    seen["next_sample"] = model.sample(count, generator=generator)
    model.eval()
    before = torch.get_rng_state()  # in train mode, dropout draws from torch's own generator
    seen["same_seed"] = model.sample(count, generator=seeded(seed))
    seen["modes_after"].append(mode_of(model))
    return {**seen, "global_state_before": before, "global_state_after": torch.get_rng_state()}


def in_train_mode(model: nn.Module, images: Tensor) -> Values:
    """What is seen of the weights and of `draw` in one step forward and back."""
    draw, parameters = Draws(), list(model.parameters())
    logits = model.train()(images, draw)[0]
    seen: Values = {"unknown_weights": len(leaves(logits) - {id(p) for p in parameters})}
    logits.pow(2).sum().backward()
    seen["gradient_sums"] = [-1.0 if p.grad is None else float(p.grad.abs().sum()) for p in parameters]
    return {**seen, "draws_in_train_mode": len(draw.given)}


def learned(model: nn.Module, images: Tensor) -> list[float]:
    """The bound on -log p(x) in nats per image at each of a hundred steps, in train mode."""
    on_cpu = images.device.type == "cpu"  # there, one kernel for all of Adam's arithmetic takes half the time
    optimizer, bounds = torch.optim.Adam(model.parameters(), lr=5e-3, fused=on_cpu), []
    for _ in range(100):
        logits, mu, logvar = model(images, Draws())
        pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        bound = (pixels + kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0)).sum()) / len(images)
        optimizer.zero_grad()
        bound.backward()
        optimizer.step()
        bounds.append(bound.detach())
    return torch.stack(bounds).tolist()
