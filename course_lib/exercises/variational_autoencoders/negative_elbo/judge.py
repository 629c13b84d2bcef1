"""`negative_elbo`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_any, ran


def reference(logits, images, kl, *, beta=1.0):
    pixels = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    log_likelihood = pixels.log_prob(images).flatten(1).sum(dim=1)
    return -(log_likelihood - beta * kl.sum(dim=1)).mean()


def _right_elsewhere(trials: Sequence[Trial]) -> bool:
    return all(close(t.seen["loss"], t.expected["loss"]) for t in ran(trials) if t.case.name != "confident")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "reconstruction",
            1,
            "cross-entropy, summed over the pixels of each image, averaged over the images",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("collapsed",),
        ),
        Criterion(
            "kl",
            1,
            "the KL is summed over latents, averaged over images, and added",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("perfect", "plain", "twice_the_batch", "one", "gray"),
        ),
        Criterion(
            "beta",
            1,
            "`beta` multiplies the KL, and nothing else",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("beta_small", "beta_large", "as_many_latents_as_images"),
        ),
        Criterion(
            "stable",
            1,
            "very large logits give the right number too",
            lambda c, s, e: close(s["loss"], e["loss"]),
            ("confident",),
        ),
        Criterion(
            "gradient",
            1,
            "gradients reach `logits` and `kl`",
            lambda c, s, e: (
                close(s["logits_gradient"], e["logits_gradient"]) and close(s["kl_gradient"], e["kl_gradient"])
            ),
            ("plain", "twice_the_batch", "one", "color", "transposed", "float64"),
        ),
    ),
    predicates={
        "squashed_first": lambda trials: (
            _right_elsewhere(trials)
            and in_any(trials, lambda t: t.case.name == "confident" and not close(t.seen["loss"], t.expected["loss"]))
        ),
    },
)
