"""The judge of `double`. THE_REFERENCE_OF_DOUBLE must never be found in a student's process."""

from __future__ import annotations

from course_lib.exercises.contract import Criterion, Judge, close


def reference_of_double(x):
    return 2 * x


def doubled(case, seen, expected):
    return close(seen["doubled"], expected["doubled"])


judge = Judge(
    reference=reference_of_double,
    criteria=(
        Criterion("value", 2, "values are doubled", doubled, ("plain", "transposed")),
        Criterion("one", 1, "a batch of one works", doubled, ("one",)),
    ),
)
