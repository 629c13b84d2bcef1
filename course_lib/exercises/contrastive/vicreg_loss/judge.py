"""`vicreg_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import as_expected, loss_as_a_number, off_the_graph
from course_lib.exercises.contract import Criterion, Judge


def reference(
    z1: Tensor, z2: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """With torch's own covariance matrix, whose diagonal also gives the deviations."""
    n, d = z1.shape
    loss = invariance * (z1 - z2).pow(2).sum() / (n * d)
    for z in (z1, z2):
        c = torch.cov(z.T).reshape(d, d)
        squares = (c * c).sum() - (c.diagonal() * c.diagonal()).sum()
        loss = loss + variance * (1 - (c.diagonal() + 1e-4).sqrt()).clamp(min=0).sum() / d + covariance * squares / d
    return loss


_loss = as_expected("loss")
_gradients = as_expected("z1_gradient", "z2_gradient")
_ALL = ("plain", "square", "two_images", "float64", "strided")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("invariance", 1, "the mean squared difference of the views", _loss, ("invariance_alone",)),
        Criterion(
            "variance",
            1,
            "for each view, the mean over its columns of what the deviation lacks to 1",
            _loss,
            ("variance_alone",),
        ),
        Criterion(
            "covariance",
            1,
            "for each view, the squared covariances of different columns, divided by d",
            _loss,
            ("covariance_alone",),
        ),
        Criterion("together", 1, "the weighted sum of the three terms", _loss, (*_ALL, "constant_column")),
        Criterion("gradient", 1, "a finite gradient reaches both views", _gradients, (*_ALL, "constant_column")),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_off_the_graph": off_the_graph("z1_gradient", "z2_gradient"),
    },
)
