"""`select_confident`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.pseudo_labels_1.judge import reference_select

_NO_LIMIT = ("plain", "exactly_the_threshold", "nobody_is_sure")
_NOBODY = ("nobody_is_sure", "nobody_is_sure_with_a_limit")


def _as_asked(case: Case, seen: Values, expected: Values) -> bool:
    return seen["dtype"] == "torch.int64" and close(seen["positions"], expected["positions"])


def _sorted_as_asked(case: Case, seen: Values, expected: Values) -> bool:
    """The right images, whatever their order."""
    return close(seen["positions"].long().sort().values, expected["positions"])


judge = Judge(
    reference=reference_select,
    criteria=(
        Criterion(
            "threshold", 1, "without a limit: all whose confidence is at least tau", _sorted_as_asked, _NO_LIMIT[:2]
        ),
        Criterion(
            "limit",
            1,
            "with a limit: of each class the most confident of those, and no more than per_class",
            _sorted_as_asked,
            ("limit", "most_say_one_class", "limit_of_one", "limit_not_reached", "float64", "limit_of_zero"),
        ),
        Criterion(
            "nobody",
            1,
            "where nobody is sure, there is an empty tensor of positions",
            lambda c, s, e: _as_asked(c, s, e) and bool(s["labels_after"].shape),
            _NOBODY,
        ),
        Criterion(
            "in_order",
            1,
            "positions, int64, one dimension, ascending; what was given stays as it was",
            lambda c, s, e: (
                _as_asked(c, s, e)
                and close(s["labels_after"], c.inputs["labels"])
                and close(s["confidences_after"], c.inputs["confidences"])
            ),
            ("plain", "limit", "most_say_one_class", "float64", "one_is_sure"),
        ),
    ),
)
