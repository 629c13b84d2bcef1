"""Few-label splits: labeled, validation and unlabeled positions, stratified and disjoint."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class FewLabelSplit(NamedTuple):
    """Three disjoint sets of positions, int64 each: `labeled`, `validation`, and the rest, `unlabeled`."""

    labeled: Tensor
    validation: Tensor
    unlabeled: Tensor


def few_label_split(
    labels: Tensor, *, per_class: int, validation_per_class: int = 20, generator: torch.Generator
) -> FewLabelSplit:
    """Draws `per_class` labeled and `validation_per_class` validation images of each class; the rest is unlabeled.

    The three sets are disjoint and together hold every position once. Validation is drawn first, so that for one seed
    it is the same at every label budget, and the labeled set of a smaller budget lies inside that of a larger one.

    Args:
        labels: int64, (N,).
        generator: a CPU generator; the same seed gives the same split on every device.

    Returns:
        Positions on the device of `labels`, in random order within each set.

    Raises:
        ValueError: the labels are not int64 of shape (N,), or a class has too few images.
    """
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64 of shape (N,); got {labels.dtype} of {tuple(labels.shape)}.")
    if per_class < 1 or validation_per_class < 0:
        raise ValueError(
            "per_class must be at least 1 and validation_per_class at least 0; "
            f"got per_class={per_class}, validation_per_class={validation_per_class}."
        )
    on_cpu = labels.cpu()
    needed = per_class + validation_per_class
    labeled, validation, unlabeled = [], [], []
    for label in on_cpu.unique():
        positions = torch.nonzero(on_cpu == label).squeeze(1)
        if len(positions) < needed:
            raise ValueError(
                f"class {int(label)} has {len(positions)} images, but {per_class} labeled and {validation_per_class} "
                f"for validation were asked for ({needed} in all). Ask for fewer, or load more images."
            )
        positions = positions[torch.randperm(len(positions), generator=generator)]
        validation.append(positions[:validation_per_class])
        labeled.append(positions[validation_per_class:needed])
        unlabeled.append(positions[needed:])

    def mixed(parts: list[Tensor]) -> Tensor:
        joined = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
        return joined[torch.randperm(len(joined), generator=generator)].to(labels.device)

    return FewLabelSplit(mixed(labeled), mixed(validation), mixed(unlabeled))
