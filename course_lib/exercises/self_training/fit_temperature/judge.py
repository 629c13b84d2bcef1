"""`fit_temperature`: reference and criteria."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.asking import as_number
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(logits: Tensor, labels: Tensor) -> float:
    """By bisection: in 1 / T the loss is convex, with the slope E[logit] - (logit of the right class)."""
    z = logits.double()
    own = z.gather(1, labels[:, None]).squeeze(1)
    low, high = 1e-3, 1e3  # of 1 / T
    for _ in range(60):
        middle = (low * high) ** 0.5
        slope = ((middle * z).softmax(dim=1) * z).sum(dim=1) - own
        low, high = (middle, high) if slope.mean() < 0 else (low, middle)
    return 1 / middle


TOLERANCE = 0.02  # of T: a grid of 500 temperatures is within 0.006


def _near(case: Case, seen: Values, expected: Values) -> bool:
    return close(as_number(seen["temperature"]), expected["temperature"], rtol=TOLERANCE)


def _number(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["temperature"], float) and seen["temperature"] > 0


_EXTREME = ("very_overconfident", "very_underconfident")
_ORDINARY = ("overconfident", "underconfident", "calibrated", "float64", "transposed", "many_classes")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("temperature", 2, "the temperature has the lowest mean cross-entropy", _near, _ORDINARY),
        Criterion("extreme", 1, "it is also found where it is far above or below 1", _near, _EXTREME),
        Criterion("number", 1, "it is a Python float above 0", _number, form=True),
    ),
    exact=False,
)
