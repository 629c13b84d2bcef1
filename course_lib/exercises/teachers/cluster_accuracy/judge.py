"""`cluster_accuracy`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import itertools
from collections import Counter

from course_lib.exercises.asking import as_expected, everywhere, in_any
from course_lib.exercises.contract import Criterion, Judge


def reference(clusters, labels):
    """Every matching is tried: there are at most five clusters or classes in the cases."""
    pairs = Counter(zip(clusters.tolist(), labels.tolist(), strict=True))
    rows, columns = (sorted({pair[i] for pair in pairs}) for i in range(2))
    if len(rows) > len(columns):
        rows, columns, pairs = columns, rows, Counter({(b, a): n for (a, b), n in pairs.items()})
    choices = itertools.permutations(columns, len(rows))
    return max(sum(pairs[pair] for pair in zip(rows, chosen, strict=True)) for chosen in choices) / len(labels)


_right = as_expected("accuracy")
_HARD, _UNEQUAL = ("rows_compete", "all_rows_want_one"), ("more_clusters", "fewer_clusters")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "matched", 1, "the share of images in matched pairs, whatever the numbers of the clusters are", _right,
            ("plain", "numbers_with_gaps", "one_image", "strided"),
        ),
        Criterion("best", 1, "the matching is the best one, and no class is given twice", _right, _HARD),
        Criterion("unequal", 1, "there may be more clusters than classes, or fewer", _right, _UNEQUAL),
        Criterion(
            "number", 1, "the result is a Python float between 0 and 1",
            lambda c, s, e: _right(c, s, e) and s["kind"] == "float",
        ),
    ),
    predicates={
        "not_matched": everywhere(
            lambda t: isinstance(t.seen["accuracy"], float)
            and any(abs(t.seen["accuracy"] - share) < 1e-6 for share in unmatched(t))
        ),
        "as_a_tensor": everywhere(lambda t: _right(*t[:3]) and t.seen["kind"] != "float"),
        "in_percent": everywhere(
            lambda t: isinstance(t.seen["accuracy"], float)
            and abs(t.seen["accuracy"] - 100 * t.expected["accuracy"]) < 0.01
        ),
        "majority": lambda trials: in_any(
            [t for t in trials if t.case.name in ("all_rows_want_one", "more_clusters")],
            lambda t: isinstance(t.seen["accuracy"], float) and abs(t.seen["accuracy"] - purity(t)) < 1e-6,
        ),
    },
)  # fmt: skip


def unmatched(trial) -> tuple[float, float]:
    """The shares of images whose cluster and class have the same number, and the same place among the sorted ones."""
    given = [trial.case.inputs[key] for key in ("clusters", "labels")]
    places = [numbers.unique(return_inverse=True)[1] for numbers in given]
    return float((given[0] == given[1]).double().mean()), float((places[0] == places[1]).double().mean())


def purity(trial) -> float:
    """The share of images that have the class which is the most frequent in their cluster."""
    pairs = Counter(zip(*(trial.case.inputs[key].tolist() for key in ("clusters", "labels")), strict=True))
    best = Counter[int]()
    for (row, _), count in pairs.items():
        best[row] = max(best[row], count)
    return best.total() / len(trial.case.inputs["labels"])
