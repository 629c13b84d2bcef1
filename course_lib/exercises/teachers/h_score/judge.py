"""`h_score`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import torch

from course_lib.exercises.asking import everywhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values


def reference(features, labels, *, shrinkage=0.1):
    """By the eigenvectors of the covariance and by one row per class, weighted by its number of images."""
    f = features.double() - features.double().mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov(f.T, correction=0).reshape(f.shape[1], -1))
    scale = ((1 - shrinkage) * values + shrinkage * values.mean()).clamp(min=1e-12) ** -0.5
    white = f @ vectors * scale
    classes, counts = labels.unique(return_counts=True)
    means = torch.stack([white[labels == k].mean(dim=0) for k in classes])
    return float((counts[:, None] * means**2).sum() / len(f))


_PLAIN = ("plain", "mixed_scales", "float64", "transposed", "labels_with_gaps")
_UNEVEN = ("uneven_classes", "one_image_per_class")
_SHRUNK = ("no_shrinkage", "all_shrinkage", "half", "fewer_rows_than_columns", "dead_feature")


def _right(case: Case, seen: Values, expected: Values) -> bool:
    value = seen["score"]
    near = isinstance(value, float) and math.isfinite(value)
    return near and abs(value - expected["score"]) < 2e-3 * abs(expected["score"]) + 1e-4


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("score", 2, "the trace of the inverse covariance times the covariance of the class means", _right,
                  _PLAIN),
        Criterion("uneven", 1, "each class counts with its number of images", _right, _UNEVEN),
        Criterion("shrunk", 1, "the covariance is mixed with the identity, scaled to the mean variance", _right,
                  _SHRUNK),
        Criterion("number", 1, "the result is a Python float",
                  lambda c, s, e: _right(c, s, e) and s["kind"] == "float"),
    ),
    predicates={"as_a_tensor": everywhere(lambda t: _right(*t[:3]) and t.seen["kind"] != "float")},
)  # fmt: skip
