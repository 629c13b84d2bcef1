"""`info_nce_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import (
    as_expected,
    loss_as_a_number,
    loss_negated,
    loss_right_but,
    loss_with_a_shape,
    off_the_graph,
)
from course_lib.exercises.contract import Criterion, Judge


def reference(predicted: Tensor, true: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Recording by recording, by the logarithm of a sum of exponentials."""
    losses = []
    for p, z in zip(predicted, true, strict=True):
        cosine = (p @ z.T) / (p.norm(dim=1)[:, None] * z.norm(dim=1))
        scores = cosine / temperature
        losses.append(scores.logsumexp(dim=1) - scores.diagonal())
    return torch.stack(losses).mean()


_USUAL = ("plain", "square", "warm", "one_recording", "float64", "strided")
_right_loss = as_expected("loss")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 2, "the cross-entropy of finding the own true code in the recording", _right_loss, _USUAL),
        Criterion(
            "one", 1, "with a single frame there is nothing to confuse, and the loss is 0", _right_loss, ("one_frame",)
        ),
        Criterion("cold", 1, "the loss is exact for a very small temperature too", _right_loss, ("cold",)),
        Criterion(
            "gradient",
            1,
            "the gradient reaches the predicted codes and the true ones",
            as_expected("predicted_gradient", "true_gradient"),
            _USUAL,
        ),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_of_each_frame": loss_with_a_shape,
        "negated": loss_negated,
        "off_the_graph": off_the_graph("predicted_gradient", "true_gradient", on=_USUAL),
        "by_exponentials": loss_right_but(_USUAL, not_on=("cold",)),
    },
)
