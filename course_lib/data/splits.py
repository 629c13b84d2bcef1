"""Few-label splits: labeled, validation and unlabeled positions, stratified and disjoint."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.data.errors import FewerLabels


class FewLabelSplit(NamedTuple):
    """Three disjoint sets of positions, int64 each: `labeled`, `validation`, and the rest, `unlabeled`."""

    labeled: Tensor
    validation: Tensor
    unlabeled: Tensor


def split_labels(
    labels: Tensor, *, per_class: int, validation_per_class: int = 20, generator: torch.Generator
) -> FewLabelSplit:
    """Draws `per_class` labeled and `validation_per_class` validation images of each class; the rest is unlabeled.

    The three sets are disjoint and together hold every position once. Validation is drawn first, so that for one seed
    it is the same at every label budget, and the labeled set of a smaller budget lies inside that of a larger one. Of
    a class that has too few images for both, at most a third is for validation, and labels are drawn from the rest.

    Args:
        labels: int64, (N,).
        generator: a CPU generator; the same seed gives the same split on every device.

    Returns:
        Positions on the device of `labels`, in random order within each set.

    Warns:
        FewerLabels: a class has too few images. The sentence says how many were taken.

    Raises:
        ValueError: the labels are not int64 of shape (N,), or a number is too small.
    """
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64 of shape (N,); got {labels.dtype} of {tuple(labels.shape)}.")
    if per_class < 1 or validation_per_class < 0:
        raise ValueError(
            "per_class must be at least 1 and validation_per_class at least 0; "
            f"got per_class={per_class}, validation_per_class={validation_per_class}."
        )
    on_cpu = labels.cpu()
    labeled, validation, unlabeled = [], [], []
    for label in on_cpu.unique():
        positions = torch.nonzero(on_cpu == label).squeeze(1)
        count, held_out = _shares(len(positions), per_class, validation_per_class)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        # Labels come from behind the validation images asked for, and only then from those that validation gives up.
        order = torch.cat([positions[validation_per_class:], positions[:validation_per_class].flip(0)])
        validation.append(positions[:held_out])
        labeled.append(order[:count])
        unlabeled.append(order[count : len(order) - held_out])
    _warn_of_fewer(labeled, validation, on_cpu, per_class, validation_per_class)

    def mixed(parts: list[Tensor]) -> Tensor:
        joined = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
        return joined[torch.randperm(len(joined), generator=generator)].to(labels.device)

    return FewLabelSplit(mixed(labeled), mixed(validation), mixed(unlabeled))


def _shares(size: int, per_class: int, validation_per_class: int) -> tuple[int, int]:
    """How many labeled and validation images come from a class of a size.

    >>> _shares(100, 10, 20), _shares(24, 10, 20), _shares(2, 10, 20)
    ((10, 20), (10, 8), (1, 0))
    """
    if size >= per_class + validation_per_class:
        return per_class, validation_per_class
    return min(per_class, max(size - validation_per_class, size // 2, 1)), min(validation_per_class, size // 3)


def _warn_of_fewer(
    labeled: list[Tensor], validation: list[Tensor], labels: Tensor, per_class: int, validation_per_class: int
) -> None:
    fewer = [
        (len(some), len(held_out), int(labels[some[0]]))
        for some, held_out in zip(labeled, validation, strict=True)
        if len(some) < per_class or len(held_out) < validation_per_class
    ]
    if fewer:
        count, held_out, label = min(fewer)
        warnings.warn(
            f"{per_class} labeled and {validation_per_class} validation images of each class were asked for, and "
            f"{len(fewer)} of {len(labeled)} classes have too few. They give what they have, in the smallest case "
            f"(class {label}) {count} labeled and {held_out} validation images.",
            FewerLabels,
            stacklevel=3,
        )
