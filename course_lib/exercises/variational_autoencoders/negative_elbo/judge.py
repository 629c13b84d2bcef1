"""`negative_elbo`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.judging import agrees, ran


def reference(logits, images, kl, *, beta=1.0):
    pixels = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    log_likelihood = pixels.log_prob(images).flatten(1).sum(dim=1)
    return -(log_likelihood - beta * kl.sum(dim=1)).mean()


def _wrong_only_where_confident(trials: Sequence[Trial]) -> bool:
    return {t.case.name for t in ran(trials) if not close(t.seen["loss"], t.expected["loss"])} == {"confident"}


_right_loss = agrees("loss")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "reconstruction",
            1,
            "cross-entropy, summed over the pixels of each image, averaged over the images",
            _right_loss,
            ("collapsed",),
        ),
        Criterion(
            "kl",
            1,
            "the KL is summed over latents, averaged over images, and added",
            _right_loss,
            ("perfect", "plain", "twice_the_batch", "one", "gray"),
        ),
        Criterion(
            "beta",
            1,
            "`beta` multiplies the KL, and nothing else",
            _right_loss,
            ("beta_small", "beta_large", "as_many_latents_as_images"),
        ),
        Criterion("stable", 1, "very large logits give the right number too", _right_loss, ("confident",)),
        Criterion(
            "gradient",
            1,
            "gradients reach `logits` and `kl`",
            agrees("logits_gradient", "kl_gradient"),
            ("plain", "twice_the_batch", "one", "color", "transposed", "float64"),
        ),
    ),
    predicates={"squashed_first": _wrong_only_where_confident},
)
