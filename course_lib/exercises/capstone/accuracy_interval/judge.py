"""`accuracy_interval`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import numpy as np

from course_lib.exercises.asking import as_expected, as_number, in_all, in_any
from course_lib.exercises.contract import Case, Criterion, Judge, Values


def reference(right: int, total: int, *, z: float = 1.96) -> tuple[float, float]:
    """The two accuracies p with |right / total - p| = z * sqrt(p (1 - p) / total), roots of a quadratic equation."""
    seen = right / total
    a, b, c = 1 + z**2 / total, -(2 * seen + z**2 / total), seen**2
    low, high = sorted(np.roots([a, b, c]).real.tolist())
    return low, high


def _ends_swapped(case: Case, seen: Values, expected: Values) -> bool:
    return (
        abs(as_number(seen["low"]) - expected["high"]) < 1e-5 and abs(as_number(seen["high"]) - expected["low"]) < 1e-5
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("ends", 2, "both ends of the interval are Wilson's", as_expected("low", "high")),
        Criterion("edges", 1, "the interval is right where none or all are right, and for one image",
                  as_expected("low", "high"), ("none_right", "all_right", "one_image")),
        Criterion("z", 1, "`z` sets how wide the interval is, and its default is 1.96", as_expected("low", "high"),
                  ("plain", "z_for_90_percent", "z_for_99_percent", "z_is_zero")),
    ),
    predicates={
        "ends_swapped": lambda trials: in_all(trials, lambda t: _ends_swapped(*t[:3])),
        "outside": lambda trials: (
            in_all(trials, lambda t: as_number(t.seen["low"]) > -1 and as_number(t.seen["high"]) < 2)
            and in_any(trials, lambda t: as_number(t.seen["low"]) < -1e-6 or as_number(t.seen["high"]) > 1 + 1e-6)
        ),
    },
)  # fmt: skip
