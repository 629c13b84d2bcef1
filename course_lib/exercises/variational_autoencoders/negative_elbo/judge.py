"""`negative_elbo`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Criterion, Judge


def reference(logits, images, kl, *, beta=1.0):
    pixels = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    log_likelihood = pixels.log_prob(images).flatten(1).sum(dim=1)
    return -(log_likelihood - beta * kl.sum(dim=1)).mean()


_KL = ("perfect", "plain", "twice_the_batch", "one", "gray")
_BETA = ("beta_zero", "beta_small", "beta_large", "as_many_latents_as_images")
_FLOWING = ("plain", "twice_the_batch", "one", "color", "transposed", "float64")
_right_loss, _right_gradients = as_expected("loss"), as_expected("logits_gradient", "kl_gradient")

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
        Criterion("kl", 1, "the KL is summed over latents, averaged over images, and added", _right_loss, _KL),
        Criterion("beta", 1, "`beta` multiplies the KL, and nothing else", _right_loss, _BETA),
        Criterion("stable", 1, "very large logits give the right number too", _right_loss, ("confident",)),
        Criterion("gradient", 1, "gradients reach `logits` and `kl`", _right_gradients, _FLOWING),
    ),
    predicates={"squashed_first": everywhere(lambda t: _right_loss(*t[:3]) == (t.case.name != "confident"))},
)
