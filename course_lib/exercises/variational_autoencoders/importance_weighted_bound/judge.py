"""`importance_weighted_bound`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import torch

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Criterion, Judge, close


def reference(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


_ORDINARY = ("plain", "one_sample", "as_many_samples_as_images", "one_image", "transposed", "float64")
_EXTREME = ("unlikely", "dense", "mixed")
_right_bound = as_expected("bound")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "weights",
            1,
            "with one sample it is $\\log p(x|z) + \\log p(z) - \\log q(z|x)$, one number per image",
            _right_bound,
            ("one_sample",),
        ),
        Criterion("bound", 1, "it is the logarithm of the mean weight of an image's samples", _right_bound, _ORDINARY),
        Criterion(
            "stable", 1, "it is right for weights that are too small or too large for a number", _right_bound, _EXTREME
        ),
        Criterion("gradient", 1, "gradients reach all three terms", as_expected("gradients"), _ORDINARY),
    ),
    predicates={"bound_without_gradient": everywhere(lambda t: close(t.seen["bound"], t.expected["bound"]))},
)
