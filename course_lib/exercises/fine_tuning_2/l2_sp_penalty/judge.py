"""`l2_sp_penalty`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import as_number, named


def _near(seen: object, expected: float) -> bool:
    return math.isclose(as_number(seen), expected, rel_tol=1e-4, abs_tol=1e-5)


def reference(model):
    start = [weight.detach().clone() for weight in model.encoder.parameters()]

    def penalty():
        pairs = zip(model.encoder.parameters(), start, strict=True)
        return sum((weight - origin).pow(2).sum() for weight, origin in pairs)

    return penalty


_EVERYTHING = ("everything_moved", "convolutions", "float64")
_MOVED = (*_EVERYTHING, "encoder_moved")


def _zero(value: object) -> bool:
    return _near(value, 0.0)


def _right_value(case: Case, seen: Values, expected: Values) -> bool:
    value = seen["penalty"]
    return isinstance(value, Tensor) and value.numel() == 1 and _near(value, float(expected["penalty"]))


def _encoder_only(trials: Sequence[Trial]) -> list[Trial]:
    """Where nothing but the encoder's parameters moved."""
    return named(trials, "encoder_moved")


def _value_is(trials: Sequence[Trial], factor: Callable[[float], float]) -> bool:
    found = _encoder_only(trials)
    return bool(found) and all(_near(t.seen["penalty"], factor(float(t.expected["penalty"]))) for t in found)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "distance",
            1,
            "the sum of squared differences between the encoder's weights and their start",
            _right_value,
            ("encoder_moved", "frozen_at_the_start"),
        ),
        Criterion(
            "encoder_only",
            1,
            "neither the head nor running statistics count",
            _right_value,
            (*_EVERYTHING, "head_moved", "buffers_moved"),
        ),
        Criterion(
            "gradient",
            1,
            "its gradient draws every weight of the encoder back to its start, and nothing else",
            lambda c, s, e: (
                close(s["encoder_gradient"], e["encoder_gradient"]) and close(s["head_gradient"], e["head_gradient"])
            ),
            _MOVED,
        ),
        Criterion(
            "start_stays",
            1,
            "the start stays the start: a second look gives the same, and the model is left alone",
            lambda c, s, e: (
                _near(s["called_again"], float(e["called_again"]))
                and _near(s["after_another_move"], float(e["after_another_move"]))
                and close(s["model_after"], s["model_moved"])
            ),
            ("encoder_moved",),
        ),
    ),
    predicates={
        "measured_without_gradient": lambda trials: (
            all(_right_value(t.case, t.seen, t.expected) and not t.seen["on_the_graph"] for t in _encoder_only(trials))
            and bool(_encoder_only(trials))
        ),
        "towards_zero": lambda trials: (
            bool(named(trials, "head_moved", "buffers_moved"))
            and all(
                not _zero(t.seen["penalty"]) and bool((t.seen["encoder_gradient"] != 0).any())
                for t in named(trials, "head_moved", "buffers_moved")
            )
        ),
        "norm_not_squared": lambda trials: _value_is(trials, math.sqrt),
    },
)
