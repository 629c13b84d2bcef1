"""`kl_warmup`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import failed_with, ran
from course_lib.exercises.variational_autoencoders.judge import finite


def reference(step, warmup_steps, *, beta=1.0):
    return beta * (min(step / warmup_steps, 1.0) if warmup_steps else 1.0)


def _numbers(values: Sequence) -> Tensor:
    """The weights as numbers, whether they came as floats or as tensors."""
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def _warmed(case: Case, seen: Values, expected: Values, *, after: bool) -> bool:
    steps = torch.tensor(case.inputs["steps"])
    which = steps >= case.inputs["warmup_steps"] if after else steps < case.inputs["warmup_steps"]
    return close(_numbers(seen["weights"])[which], _numbers(expected["weights"])[which])


_WARM = ("plain", "beta_large", "beta_small", "long", "one_step")


def _on_warm(trials: Sequence[Trial], predicate: Callable[[Trial, Tensor, Tensor, float], bool]) -> bool:
    """Whether it holds for (trial, weights, steps as a share of the warm-up, beta) wherever there is a warm-up."""
    found = [t for t in ran(trials) if t.case.name in _WARM]
    return bool(found) and all(
        predicate(
            t,
            _numbers(t.seen["weights"]),
            torch.tensor(t.case.inputs["steps"], dtype=torch.float64) / t.case.inputs["warmup_steps"],
            t.case.inputs["beta"],
        )
        for t in found
    )


def _rises_in_a_curve(trials: Sequence[Trial]) -> bool:
    """Whether the weight climbs from nearly 0 to nearly beta, with a step in the middle that is off the line."""

    def climbs(t: Trial, w: Tensor, s: Tensor, b: float) -> bool:
        ends = abs(float(w[0])) < 0.05 * b and abs(float(w[-1]) - b) < 0.05 * b
        return t.case.name == "one_step" or (ends and bool((w.diff() >= 0).all()))

    def bent(t: Trial) -> bool:
        w, steps = _numbers(t.seen["weights"]), torch.tensor(t.case.inputs["steps"], dtype=torch.float64)
        share = steps[1] / t.case.inputs["warmup_steps"]
        return abs(float(w[1]) - t.case.inputs["beta"] * float(share)) > 0.3 * t.case.inputs["beta"] * float(share)

    found = [t for t in ran(trials) if t.case.name == "long"]
    return bool(found) and all(map(bent, found)) and _on_warm(trials, climbs)


def _no_warmup_values(trials: Sequence[Trial]) -> list[Tensor]:
    return [_numbers(t.seen["weights"]) for t in ran(trials) if t.case.inputs["warmup_steps"] == 0]


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "rises",
            1,
            "during the warm-up the weight rises from 0 in a straight line",
            lambda c, s, e: _warmed(c, s, e, after=False),
            _WARM,
        ),
        Criterion(
            "holds",
            1,
            "from step `warmup_steps` on it is `beta`, and stays there",
            lambda c, s, e: _warmed(c, s, e, after=True),
            _WARM,
        ),
        Criterion(
            "no_warmup",
            1,
            "with `warmup_steps=0` it is `beta` from the first step",
            lambda c, s, e: close(_numbers(s["weights"]), _numbers(e["weights"])),
            ("no_warmup", "no_warmup_beta"),
        ),
    ),
    predicates={
        "divides_by_zero": lambda trials: (
            failed_with(trials, "division by zero")
            or failed_with(trials, "float division")
            or failed_with(trials, "modulo by zero")
            or any(not finite(values) for values in _no_warmup_values(trials))
        ),
        "never_reaches_beta": lambda trials: (
            _on_warm(
                trials,
                lambda t, w, s, b: (
                    bool((w >= 0).all())
                    and bool((w < b * (1 - 1e-6)).all())
                    and (t.case.inputs["warmup_steps"] < 2 or float(w[-1]) > 0.5 * b)
                ),
            )
            and not _rises_in_a_curve(trials)
        ),
        "one_step_early": lambda trials: _on_warm(
            trials,
            lambda t, w, s, b: any(
                close(w, b * ((s * n + 1) / (n + more)).clamp(max=1))
                for n in (t.case.inputs["warmup_steps"],)
                for more in (0, 1)
            ),
        ),
        "bent_line": _rises_in_a_curve,
    },
)
