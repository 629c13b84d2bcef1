"""`clip_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import as_expected, loss_as_a_number, loss_negated, loss_with_a_shape
from course_lib.exercises.asking import off_the_graph as nothing_arrives
from course_lib.exercises.contract import Criterion, Judge


def reference(image_features: Tensor, text_features: Tensor, log_scale: Tensor, *, largest: float = 100.0) -> Tensor:
    """By the logarithms of sums of exponentials."""
    cosines = torch.cosine_similarity(image_features[:, None], text_features[None], dim=2)
    scores = cosines * torch.minimum(log_scale.exp(), log_scale.new_tensor(largest))
    both = scores.logsumexp(dim=1) + scores.logsumexp(dim=0)
    return (both / 2 - scores.diagonal()).mean()


_USUAL = ("plain", "square", "warm", "float64", "strided")
_CLAMPED = ("beyond_the_largest", "another_largest")
_loss = as_expected("loss", atol=1e-4)

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 3, "the mean of the cross-entropies of images and of captions", _loss, _USUAL),
        Criterion("one", 1, "with a single pair there is nothing to confuse, and the loss is 0", _loss, ("one_pair",)),
        Criterion("largest", 1, "the scale is at most `largest`", _loss, _CLAMPED),
        Criterion(
            "gradient",
            1,
            "the gradient reaches the images, the captions and the scale",
            as_expected("image_features_gradient", "text_features_gradient", "log_scale_gradient", atol=1e-4),
            _USUAL,
        ),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_per_pair": loss_with_a_shape,
        "negated": loss_negated,
        "scale_not_learned": nothing_arrives("log_scale_gradient"),
        "one_side_detached": nothing_arrives("image_features_gradient", "text_features_gradient"),
    },
)
