"""`ramp_up`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.judging import named
from course_lib.exercises.pseudo_labels_2.judge import all_named


def reference(step, ramp_steps, *, maximum=1.0):
    if ramp_steps == 0:
        return float(maximum)
    if step == 0:
        return 0.0
    return maximum * math.exp(-5.0 * (1.0 - min(step / ramp_steps, 1.0)) ** 2)


def _weight(trial: Trial) -> float:
    """The weight as a number, a tensor with a single one included; NaN for anything else."""
    value = trial.seen.get("weight")
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _weighs(trial: Trial, value: float) -> bool:
    return math.isclose(_weight(trial), value, rel_tol=1e-4, abs_tol=1e-6)


def _ramp_right(case: Case, seen: Values, expected: Values) -> bool:
    value = seen["weight"]
    return isinstance(value, (int, float)) and math.isclose(value, expected["weight"], rel_tol=1e-5, abs_tol=1e-7)


_ON_THE_WAY = ("first_step", "early", "half_way", "late")


def _on_the_way(trials: Sequence[Trial], curve: Callable[[float], float]) -> bool:
    """Whether the weights during the ramp follow `curve` of the share t, up to the maximum's factor."""
    return all_named(
        trials,
        lambda t: _weighs(t, t.case.inputs["maximum"] * curve(t.case.inputs["step"] / t.case.inputs["ramp_steps"])),
        *_ON_THE_WAY,
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("begins_at_zero", 1, "the weight is exactly 0 in step 0", _ramp_right, ("begins",)),
        Criterion("curve", 1, "on the way it follows the curve, times the maximum", _ramp_right, _ON_THE_WAY),
        Criterion(
            "stays",
            1,
            "at the end of the ramp it is the maximum, and stays there",
            _ramp_right,
            ("ends", "a_little_after", "long_after"),
        ),
        Criterion(
            "no_ramp",
            1,
            "without a ramp it is the maximum from step 0",
            _ramp_right,
            ("no_ramp", "no_ramp_begins"),
        ),
    ),
    predicates={
        "not_clipped": lambda trials: (
            _on_the_way(trials, lambda t: math.exp(-5 * (1 - t) ** 2))
            and all_named(trials, lambda t: not _ramp_right(t.case, t.seen, t.expected), "long_after")
        ),
        "ramps_down": lambda trials: (
            all_named(trials, lambda t: _weighs(t, t.case.inputs["maximum"]), "begins")
            and all_named(trials, lambda t: _weight(t) < 0.5 * t.case.inputs["maximum"], "ends", "late")
        ),
        "straight_line": lambda trials: _on_the_way(trials, lambda t: t),
        "maximum_left_out": lambda trials: (
            all_named(
                trials, lambda t: _weighs(t, t.expected["weight"] / t.case.inputs["maximum"]), "ends", "late", "early"
            )
            and any(t.case.inputs["maximum"] != 1.0 for t in trials)
        ),
        "divided_by_no_steps": lambda trials: any(
            t.error and t.error.type == "ZeroDivisionError" for t in trials if t.case.name.startswith("no_ramp")
        ),
        "another_curve": lambda trials: (
            all_named(trials, lambda t: _ramp_right(t.case, t.seen, t.expected), "begins", "ends", "long_after")
            and not any(_ramp_right(t.case, t.seen, t.expected) for t in named(trials, *_ON_THE_WAY))
        ),
    },
)
