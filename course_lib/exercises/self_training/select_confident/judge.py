"""`select_confident`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import as_expected
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.self_training.judge import reference_select


def _right_images(case: Case, seen: Values, expected: Values) -> bool:
    """Whether the right images are chosen, whatever their order."""
    if case.name == "equal_ones":
        return close(seen["chosen"], expected["chosen"])
    return close(seen["positions"].long().sort().values, expected["positions"])


_LIMITED = (
    "limit",
    "most_say_one_class",
    "limit_of_one",
    "limit_not_reached",
    "float64",
    "limit_of_zero",
    "equal_ones",
)
_positions = as_expected("positions", "dtype")
_all_as_asked = as_expected("positions", "dtype", "labels_after", "confidences_after")

judge = Judge(
    reference=reference_select,
    criteria=(
        Criterion(
            "threshold",
            1,
            "without a limit: all whose confidence is at least tau",
            _right_images,
            ("plain", "exactly_the_threshold"),
        ),
        Criterion(
            "limit",
            1,
            "with a limit: of each class the most confident of those, and no more than per_class",
            _right_images,
            _LIMITED,
        ),
        Criterion(
            "nobody",
            1,
            "where no image is confident, there is an empty tensor of positions",
            _positions,
            ("nobody_is_sure", "nobody_is_sure_with_a_limit"),
            form=True,
        ),
        Criterion(
            "in_order",
            1,
            "positions, int64, one dimension, ascending; what was given stays as it was",
            _all_as_asked,
            ("plain", "limit", "most_say_one_class", "float64", "one_is_sure"),
        ),
    ),
)
