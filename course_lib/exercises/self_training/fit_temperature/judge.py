"""`fit_temperature`: reference and criteria."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.exercises.asking import as_number, everywhere, in_all, ran
from course_lib.exercises.contract import Case, Criterion, Judge, Predicate, Trial, Values, close


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


# --- mistakes: each search stops at another place near the same minimum, so values alone do not show them ------------

_CANDIDATES = torch.logspace(math.log10(0.05), math.log10(20), 300, dtype=torch.float64)


def _found(trial: Trial) -> float:
    return as_number(trial.seen["temperature"])


def _given(trial: Trial) -> tuple[Tensor, Tensor]:
    """The logits, and which class is the right one, as 0 and 1 (n, K)."""
    logits = trial.case.inputs["logits"].double()
    return logits, F.one_hot(trial.case.inputs["labels"], logits.shape[1])


def _is(value: Callable[[float], float]) -> Predicate:
    """Whether this function of the best temperature came back."""
    return everywhere(lambda t: close(_found(t), value(t.expected["temperature"]), rtol=0.03, atol=0.02))


def _lowest(loss: Callable[[Tensor, float, Tensor], Tensor]) -> Predicate:
    """Whether the temperature is where another loss, `loss(logits, T, right)`, is lowest."""

    def lowest(trial: Trial) -> bool:
        logits, right = _given(trial)
        losses = torch.stack([loss(logits, t, right) for t in _CANDIDATES.tolist()])
        return close(_found(trial), _CANDIDATES[losses.argmin()].item(), rtol=0.05)

    return everywhere(lowest)


def _of_a_softmax(logits: Tensor, t: float, right: Tensor) -> Tensor:
    return -((logits.softmax(dim=1) / t).log_softmax(dim=1) * right).sum()


def _squared(logits: Tensor, t: float, right: Tensor) -> Tensor:
    return ((logits / t).softmax(dim=1) - right).pow(2).sum()


def _gap(logits: Tensor, t: float, right: Tensor) -> Tensor:
    """Between the mean confidence and the accuracy."""
    accuracy = (logits.argmax(dim=1) == right.argmax(dim=1)).double().mean()
    return ((logits / t).softmax(dim=1).amax(dim=1).mean() - accuracy).abs()


def _calibration_error(logits: Tensor, t: float, right: Tensor) -> float:
    confidences, predicted = (logits / t).softmax(dim=1).max(dim=1)
    gaps = torch.zeros(10, dtype=torch.float64)
    bins = (confidences * 10).ceil().long().clamp(1, 10) - 1
    return float(gaps.index_add(0, bins, (predicted == right.argmax(dim=1)).double() - confidences).abs().sum())


def _better_calibrated(trial: Trial) -> bool:
    own, best = (_calibration_error(logits, t, right) for logits, right in [_given(trial)]
                 for t in (_found(trial), trial.expected["temperature"]))  # fmt: skip
    return own <= best


def _search_ends(trials: Sequence[Trial]) -> bool:
    """Whether the best temperature comes back, but never one beyond two ends."""
    low, high = min(map(_found, ran(trials))), max(map(_found, ran(trials)))

    def cut(trial: Trial) -> bool:
        return close(_found(trial), min(max(trial.expected["temperature"], low), high), rtol=0.05)

    return high > 1.5 * low and in_all(trials, cut)


def _on_the_way(trial: Trial) -> bool:
    """Whether the temperature is between 1 and the best one."""
    found, best = math.log(_found(trial)), math.log(trial.expected["temperature"])
    return abs(found) < 0.1 if abs(best) < 0.2 else -0.02 < found / best < 1.02


_EXTREME = ("very_overconfident", "very_underconfident")
_ORDINARY = ("overconfident", "underconfident", "calibrated", "float64", "transposed", "many_classes")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("temperature", 2, "the temperature has the lowest mean cross-entropy", _near, _ORDINARY),
        Criterion("extreme", 1, "it is also found where it is far above or below 1", _near, _EXTREME),
        Criterion("number", 1, "it is a Python float above 0", _number, form=True),
    ),
    predicates={
        "multiplied": _is(lambda best: 1 / best),
        "log_of_the_temperature": _is(math.log),
        "softmax_first": _lowest(_of_a_softmax),
        "own_predictions_as_labels": everywhere(lambda t: 0 < _found(t) < 0.08),
        "by_calibration_error": everywhere(_better_calibrated),
        "mean_confidence_to_accuracy": _lowest(_gap),
        "squared_error": _lowest(_squared),
        "not_below_one": _search_ends,
        "few_candidates": everywhere(lambda t: abs(math.log(_found(t) / t.expected["temperature"])) < 0.3),
        "stops_too_early": everywhere(_on_the_way),
        "a_tensor": everywhere(
            lambda t: isinstance(t.seen["temperature"], Tensor) and _near(t.case, t.seen, t.expected)
        ),
        "scaled_logits": everywhere(lambda t: t.seen["temperature"].shape == t.case.inputs["logits"].shape),
    },
    exact=False,
)
