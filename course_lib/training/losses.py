"""The default loss of `fit`."""

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
