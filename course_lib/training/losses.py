"""The default loss of `fit`, and the loss of contrastive pretraining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.training.options import describe

LossFunction = Callable[[nn.Module, Any], Tensor]


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the model's logits and the labels of a batch `(x, y)`: the default loss of `fit`.

    x: float `(N, ...)`; y: int64 `(N,)` with classes from 0. Returns a scalar tensor, the mean over the batch.

    Raises:
        TypeError, ValueError: the batch is not such a pair, or logits and labels do not fit together.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(
            f"a batch is a {describe(batch)}; the default loss needs (images, labels). "
            "Give fit a loss_fn(model, batch) for anything else."
        )
    x, y = batch
    if not x.is_floating_point():
        raise TypeError(
            f"images are {x.dtype}; floats in [0, 1] are expected: course_lib.data.as_float(images) makes them."
        )
    if y.dtype != torch.int64 or y.ndim != 1 or len(y) != len(x):
        raise ValueError(
            f"labels are {y.dtype} of shape {tuple(y.shape)} for {len(x)} images; int64 of shape ({len(x)},) is "
            "expected."
        )
    logits = model(x)
    if logits.ndim != 2 or len(logits) != len(y):
        raise ValueError(f"logits have shape {tuple(logits.shape)}; ({len(y)}, number of classes) is expected.")
    return F.cross_entropy(logits, y)


def contrastive_loss(z: Tensor, *, temperature: float = 0.2) -> Tensor:
    """The cross-entropy of finding the other view of each image among all views of a batch (NT-Xent).

    Similarities are cosines, divided by the temperature; a view is not compared with itself.
    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, section 2.1.

    Args:
        z: float `(2N, d)`, the first view of all images, then the second of all, in the same order.
        temperature: above 0.

    Returns:
        A scalar tensor, the mean over the 2N views.

    >>> z = torch.eye(3).repeat(2, 1)  # both views the same, other images at right angles
    >>> round(float(contrastive_loss(z, temperature=0.1)), 4)
    0.0002

    Raises:
        ValueError: not an even number of rows, or a temperature that is not above 0.
    """
    if z.ndim != 2 or len(z) % 2 or len(z) == 0:
        raise ValueError(f"z has shape {tuple(z.shape)}; (2N, d) is expected, first views above second views.")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature!r}; a number above 0 is expected.")
    n = len(z) // 2
    unit = F.normalize(z.float(), dim=1)
    similarity = (unit @ unit.T / temperature).fill_diagonal_(float("-inf"))  # (2N, 2N)
    return F.cross_entropy(similarity, torch.arange(2 * n, device=z.device).roll(n))
