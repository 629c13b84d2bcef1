"""`expected_calibration_error`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from course_lib.exercises.asking import as_number, in_all
from course_lib.exercises.contract import Case, Criterion, Judge, Values


def reference(logits, labels, *, num_bins=10):
    """By numpy, so that it shares no line with what a learner writes."""
    probabilities = logits.double().softmax(dim=1).numpy()
    confidences = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels.numpy()).astype(float)
    edges = np.linspace(0, 1, num_bins + 1)
    place = np.digitize(confidences, edges, right=True)  # an edge belongs to the bin below it
    return float(np.abs(np.bincount(place, weights=right - confidences)).sum() / len(labels))


def _right(case: Case, seen: Values, expected: Values) -> bool:
    return math.isclose(as_number(seen["error"]), expected["error"], rel_tol=1e-3, abs_tol=1e-4)


def _share(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["error"], float) and 0 <= seen["error"] <= 1


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "the gaps between confidence and accuracy, without sign, each with its bin's share of images",
            _right,
            ("plain", "modest_when_right", "fifteen_bins", "one_bin", "float64", "many_classes"),
        ),
        Criterion(
            "empty_bins", 1, "bins that no image fell into count nothing", _right, ("more_bins_than_images", "one")
        ),
        Criterion(
            "certain",
            1,
            "a confidence on an edge belongs to the bin below it, and one of exactly 1 to the last bin",
            _right,
            ("certain", "on_the_edges"),
        ),
        Criterion("number", 1, "a plain number, from 0 to 1", _share, form=True),
    ),
    predicates={"error_as_a_tensor": lambda trials: in_all(trials, lambda t: isinstance(t.seen["error"], Tensor))},
)
