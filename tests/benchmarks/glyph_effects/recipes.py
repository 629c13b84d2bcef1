"""What the measured effects share: images, labels, training, and the network from scratch."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data import as_float, load, split_labels
from course_lib.data.augment import (
    random_shift,
)
from course_lib.models import Classifier, ConvEncoder

POOL, TEST = 8_000, 1_000
# Transfer: each class of the target has a relative in the source (tree and house, mushroom and umbrella, ...).
OLD = ("house", "boat", "cup", "umbrella", "star")
NEW = ("tree", "key", "mushroom", "fish", "lamp")
Figures = dict[str, float]


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@functools.lru_cache(maxsize=6)
def images(seed: int, split: str = "train", n: int = POOL, **options: object) -> tuple[Tensor, Tensor]:
    """Float images (n, 1, 28, 28) and labels of a stream of glyphs."""
    data = load("glyphs", split=split, n=n, seed=seed, **options)
    return as_float(data.images), data.labels


def few(seed: int, per_class: int, **options: object) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Labeled images and labels, unlabeled images (and their hidden labels, for the record), their positions."""
    x, y = images(seed, **options)
    split = split_labels(y, per_class=per_class, generator=rng(seed))
    return x[split.labeled], y[split.labeled], x[split.unlabeled], y[split.unlabeled], split.unlabeled


@functools.cache
def half_precision() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: then training takes half the time, with the same effects."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def descend(
    parameters: object, steps: int, loss: Callable[[int], Tensor], *, lr: float, constant: bool = False
) -> None:
    optimizer = torch.optim.Adam(parameters, lr=lr)  # type: ignore[arg-type]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=lr if constant else 0.0)
    for step in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            value = loss(step)
        value.float().backward()
        optimizer.step()
        schedule.step()


def draw(count: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, count, (min(size, count),), generator=generator)


def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(500)])


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return (logits_of(model, x).argmax(1) == y).float().mean().item()


def fit_labels(
    x: Tensor, y: Tensor, *, seed: int, encoder: ConvEncoder | None = None, classes: int = 10, steps: int = 300,
    lr: float = 3e-3, frozen: int = 0, frozen_mode: str = "eval", shift: int = 2, constant: bool = False,
    batch_size: int = 64, model: Classifier | None = None,
) -> Classifier:  # fmt: skip
    """Trains a classifier on labeled images, with small shifts; `encoder` is copied, its first `frozen` blocks stay.

    `shift=0, constant=True` is the plain recipe: no augmentation, a constant learning rate.
    """
    generator = rng(1000 + seed)
    if model is None:
        start = ConvEncoder(generator=generator) if encoder is None else copy.deepcopy(encoder)
        model = Classifier(start, classes, generator=generator)
    still = list(model.encoder.blocks[:frozen])
    for block in still:
        block.requires_grad_(False)

    def loss(step: int) -> Tensor:
        assert model is not None
        model.train()
        for block in still:
            block.train(frozen_mode == "train")
        chosen = draw(len(x), batch_size, generator)
        return F.cross_entropy(model(random_shift(x[chosen], max_shift=shift, generator=generator)), y[chosen])

    descend([p for p in model.parameters() if p.requires_grad], steps, loss, lr=lr, constant=constant)
    return model


def block_features(encoder: ConvEncoder, x: Tensor) -> list[Tensor]:
    encoder.eval()
    with torch.no_grad():
        parts = [encoder.block_features(part) for part in x.split(500)]
    return [torch.cat(block) for block in zip(*parts)]


@functools.lru_cache(maxsize=8)
def scratch(seed: int, per_class: int) -> Classifier:
    x, y, *_ = few(seed, per_class)
    return fit_labels(x, y, seed=seed)


def scratch_accuracy(seed: int, per_class: int) -> float:
    return accuracy(scratch(seed, per_class), *images(seed, "test", TEST))
