"""`kl_warmup`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.asking import all_of, everywhere, failed_with, in_all, in_any, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(step, warmup_steps, *, beta=1.0):
    return beta * (min(step / warmup_steps, 1.0) if warmup_steps else 1.0)


def _weights(values: Values) -> Tensor:
    """The weights as numbers, whether they came as floats or as tensors."""
    return torch.tensor([float(weight) for weight in values["weights"]], dtype=torch.float64)


def _rises(case: Case, seen: Values, expected: Values) -> bool:
    during = torch.tensor(case.inputs["steps"]) < case.inputs["warmup_steps"]
    return close(_weights(seen)[during], _weights(expected)[during])


def _holds(case: Case, seen: Values, expected: Values) -> bool:
    after = torch.tensor(case.inputs["steps"]) >= case.inputs["warmup_steps"]
    return close(_weights(seen)[after], _weights(expected)[after])


def _is_plain(case: Case, seen: Values, expected: Values) -> bool:
    return all(isinstance(weight, (int, float)) for weight in seen["weights"])


def _as_tensors(trials: Sequence[Trial]) -> bool:
    """Whether the weights are right, and some are tensors."""
    right = in_all(trials, lambda t: close(_weights(t.seen), _weights(t.expected)))
    return right and in_any(trials, lambda t: any(isinstance(weight, Tensor) for weight in t.seen["weights"]))


_WARMUP = ("plain", "beta_large", "beta_small", "long", "one_step")
_NO_WARMUP = ("no_warmup", "no_warmup_beta")


def _shares(t: Trial) -> tuple[Tensor, Tensor]:
    """The weights as they are, and as they should be, as shares of beta."""
    return _weights(t.seen) / t.case.inputs["beta"], _weights(t.expected) / t.case.inputs["beta"]


def _stays_below(t: Trial) -> bool:
    share, _ = _shares(t)
    return bool((share >= 0).all() and (share < 1 - 1e-6).all() and (t.case.name == "one_step" or share[-1] > 0.5))


def _is_early(t: Trial) -> bool:
    """Whether the weight is where it should be a step later, in a warm-up of a step more."""
    steps = torch.tensor(t.case.inputs["steps"], dtype=torch.float64) + 1
    return close(_shares(t)[0], (steps / (t.case.inputs["warmup_steps"] + 1)).clamp(max=1))


def _climbs(t: Trial) -> bool:
    share, _ = _shares(t)
    return bool(share[0].abs() < 0.05 and (share[-1] - 1).abs() < 0.05 and (share.diff() >= 0).all())


def _leaves_the_line(t: Trial) -> bool:
    share, line = _shares(t)
    return bool((share[1] - line[1]).abs() > 0.3 * line[1])


def _bent(trials: Sequence[Trial]) -> bool:
    """Whether the weights climb from about 0 to about beta, and not in a straight line."""
    return in_all(named(trials, *_WARMUP[:-1]), _climbs) and in_any(named(trials, "long"), _leaves_the_line)


_below_beta = everywhere(_stays_below, *_WARMUP)
_not_finite = somewhere(lambda t: not _weights(t.seen).isfinite().all(), *_NO_WARMUP)

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("rises", 1, "during the warm-up the weight rises from 0 in a straight line", _rises, _WARMUP),
        Criterion(
            "holds",
            1,
            "from step `warmup_steps` on it is `beta`, a plain number, and stays there",
            all_of(_holds, _is_plain),
            _WARMUP,
        ),
        Criterion("no_warmup", 1, "with `warmup_steps=0` it is `beta` from the first step", _holds, _NO_WARMUP),
    ),
    predicates={
        "divides_by_zero": lambda trials: (
            failed_with([t for t in trials if t.case.name in _NO_WARMUP], "ZeroDivisionError") or _not_finite(trials)
        ),
        "never_reaches_beta": lambda trials: _below_beta(trials) and not _bent(trials),
        "one_step_early": everywhere(_is_early, *_WARMUP),
        "bent_line": _bent,
        "weight_as_a_tensor": _as_tensors,
    },
)
