"""`ramp_up`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from course_lib.exercises.asking import as_number, failed_with, in_any, named, ran
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values


def reference(step, ramp_steps, *, maximum=1.0):
    if step >= ramp_steps:
        return float(maximum)
    return maximum * math.exp(-5.0 * ((ramp_steps - step) / ramp_steps) ** 2) if step else 0.0


def _right(case: Case, seen: Values, expected: Values) -> bool:
    value = seen["weight"]
    return isinstance(value, (int, float)) and math.isclose(value, expected["weight"], rel_tol=1e-5, abs_tol=1e-7)


def _wrong_cases(trials: Sequence[Trial]) -> set[str]:
    return {t.case.name for t in trials if t.error or not _right(*t[:3])}


def _shares(trials: Sequence[Trial]) -> dict[str, float]:
    """The weight as a share of the maximum, by case."""
    return {t.case.name: as_number(t.seen["weight"]) / (t.case.inputs["maximum"] or 1) for t in ran(trials)}


_ON_THE_WAY = ("first_step", "early", "half_way", "late")
_AFTER = ("ends", "a_little_after", "long_after", "maximum_of_zero")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("begins_at_zero", 1, "the weight is exactly 0 in step 0", _right, ("begins",), form=True),
        Criterion("curve", 1, "on the way it follows the curve, times the maximum", _right, _ON_THE_WAY),
        Criterion("stays", 1, "at the end of the ramp it is the maximum, and stays there", _right, _AFTER),
        Criterion("no_ramp", 1, "without a ramp it is the maximum from step 0", _right, ("no_ramp", "no_ramp_begins")),
    ),
    predicates={
        "not_clipped": lambda trials: (
            _wrong_cases(trials).isdisjoint(_ON_THE_WAY) and _shares(trials)["long_after"] < 0.5
        ),
        "ramps_down": lambda trials: _shares(trials)["begins"] > 0.99 and _shares(trials)["late"] < 0.5,
        "maximum_left_out": lambda trials: in_any(
            named(trials, "a_little_after"), lambda t: t.seen["weight"] == 1 and t.case.inputs["maximum"] != 1
        ),
        "not_zero_at_first": lambda trials: (
            math.isclose(_shares(trials)["begins"], math.exp(-5), rel_tol=1e-3)
            and {"weight": as_number(named(trials, "begins")[0].seen["weight"])}
        ),
        "divided_by_no_steps": lambda trials: failed_with(trials, "ZeroDivisionError"),
        "another_curve": lambda trials: _wrong_cases(trials) == set(_ON_THE_WAY),
    },
)
