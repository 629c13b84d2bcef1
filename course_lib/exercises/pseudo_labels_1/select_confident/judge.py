"""`select_confident`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.answers import known_answers
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, ran
from course_lib.exercises.pseudo_labels_1.judge import reference_select, vectors

answer = known_answers(__file__, "select_confident")


_NO_LIMIT = ("plain", "exactly_the_threshold", "nobody_is_sure")
_NOBODY = ("nobody_is_sure", "nobody_is_sure_with_a_limit")


def _positions(trial: Trial) -> list[int]:
    """The positions seen, as numbers; empty where there is no vector of them."""
    seen = trial.seen["positions"]
    if isinstance(seen, Tensor):
        return [int(i) for i in seen.flatten().tolist()] if seen.dtype not in (torch.bool,) else []
    return [int(i) for i in seen] if isinstance(seen, list) else []


def _as_asked(case: Case, seen: Values, expected: Values) -> bool:
    return seen["dtype"] == "torch.int64" and close(seen["positions"], expected["positions"])


def _sorted_as_asked(case: Case, seen: Values, expected: Values) -> bool:
    """The right images, whatever their order."""
    return close(seen["positions"].long().sort().values, expected["positions"])


def _chooses_as(trials: Sequence[Trial], fn: Callable[..., Tensor]) -> bool:
    """Whether every case comes out as `fn` would choose, order aside."""

    def same(t: Trial) -> bool:
        try:
            theirs = fn(*(t.case.inputs[key] for key in ("labels", "confidences", "tau")),
                        per_class=t.case.inputs["per_class"])  # fmt: skip
        except Exception:
            return False
        return sorted(_positions(t)) == sorted(theirs.tolist())

    return in_all(trials, lambda t: isinstance(t.seen["positions"], (Tensor, list)) and same(t)) and in_any(
        trials, lambda t: sorted(_positions(t)) != t.expected["positions"].tolist()
    )


def _chosen_right(trials: Sequence[Trial]) -> bool:
    return in_all(trials, lambda t: sorted(_positions(t)) == t.expected["positions"].tolist())


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
    predicates={
        "a_mask": lambda trials: in_all(trials, lambda t: t.seen["dtype"] == "torch.bool"),
        "positions_in_a_column": lambda trials: in_all(
            trials, lambda t: isinstance(t.seen["positions"], Tensor) and t.seen["positions"].ndim == 2
        ),
        "the_chosen_labels": lambda trials: in_all(
            trials,
            lambda t: (
                vectors(t.seen["positions"])
                and close(t.seen["positions"], t.case.inputs["labels"][t.expected["positions"]])
            ),
        ),
        "positions_within_the_selection": lambda trials: _chooses_as(trials, answer("positions_within_the_selection")),
        "the_unsure_ones": lambda trials: _chooses_as(trials, answer("the_unsure_ones")),
        "strictly_above": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "exactly_the_threshold"
                and sorted(_positions(t)) == (t.case.inputs["confidences"] > 0.75).nonzero().squeeze(1).tolist()
            ),
        ),
        "everyone_when_nobody_is_sure": lambda trials: (
            in_any(trials, lambda t: t.case.name in _NOBODY and bool(_positions(t)))
            and not in_any(trials, lambda t: t.case.name not in _NOBODY and not _sorted_as_asked(*t[:3]))
        ),
        "limit_ignored": lambda trials: _chooses_as(trials, answer("limit_ignored")),
        "zero_for_no_limit": lambda trials: (
            {t.case.name for t in ran(trials) if sorted(_positions(t)) != t.expected["positions"].tolist()}
            == {"limit_of_zero"}
            and in_any(trials, lambda t: t.case.name == "limit_of_zero" and bool(_positions(t)))
        ),
        "a_number_for_a_single_one": lambda trials: in_any(
            trials, lambda t: isinstance(t.seen["positions"], Tensor) and t.seen["positions"].ndim == 0
        ),
        "limit_for_all_together": lambda trials: _chooses_as(trials, answer("limit_for_all_together")),
        "limit_over_all_classes": lambda trials: _chooses_as(trials, answer("limit_over_all_classes")),
        "threshold_dropped_with_a_limit": lambda trials: _chooses_as(trials, answer("threshold_dropped_with_a_limit")),
        "the_first_ones": lambda trials: _chooses_as(trials, answer("the_first_ones")),
        "the_least_sure_ones": lambda trials: _chooses_as(trials, answer("the_least_sure_ones")),
        "in_order_of_confidence": lambda trials: (
            _chosen_right(trials)
            and in_any(
                trials, lambda t: t.case.name == "plain" and not close(t.seen["positions"], t.expected["positions"])
            )
        ),
        "class_after_class": lambda trials: (
            _chosen_right(trials)
            and in_any(
                trials,
                lambda t: (
                    isinstance(t.seen["positions"], Tensor) and not close(t.seen["positions"], t.expected["positions"])
                ),
            )
        ),
        "fails_when_nobody_is_sure": lambda trials: (
            any(t.error and t.case.name in _NOBODY for t in trials)
            and not any(t.error for t in trials if t.case.name not in _NOBODY)
        ),
    },
)
