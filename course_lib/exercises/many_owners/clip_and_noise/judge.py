"""`clip_and_noise`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.asking import (
    as_expected,
    everywhere,
    global_state_kept,
    in_all,
    is_independent,
    is_standard_normal,
    named,
    somewhere,
)
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close
from course_lib.exercises.many_owners.judge import clipped_update, in_one_vector


def reference(update, max_norm, noise, *, generator):
    numbers = torch.cat([value.flatten() for value in update.values()])
    short = numbers * (max_norm / numbers.norm().clamp(min=max_norm))
    noisy = short + noise * max_norm * torch.randn(numbers.shape, generator=generator, dtype=numbers.dtype)
    parts = noisy.split([value.numel() for value in update.values()])
    return {name: part.view_as(value) for (name, value), part in zip(update.items(), parts)}


def _same_form(case: Case, sent: Any) -> bool:
    update = case.inputs["update"]
    tensors = isinstance(sent, dict) and all(isinstance(value, Tensor) for value in sent.values())
    return tensors and {name: v.shape for name, v in sent.items()} == {name: v.shape for name, v in update.items()}


def _added_noise(case: Case, sent: Any, deviation: float | None = None) -> Tensor:
    """What was added to the clipped update, in standard deviations."""
    given = case.inputs
    return (in_one_vector(sent) - clipped_update(case)) / (deviation or given["noise"] * given["max_norm"])


def _noisy(case: Case, seen: Values, expected: Values) -> bool:
    if not _same_form(case, seen["sent"]):
        return False
    found = _added_noise(case, seen["sent"])
    parts = found.split([value.numel() for value in case.inputs["update"].values()])
    weight = parts[0].reshape(40, 60)
    apart = not any(close(parts[0][: len(part)], part, rtol=1e-2, atol=1e-2) for part in parts[1:])
    return is_standard_normal(found) and is_independent(weight) and is_independent(parts[1]) and apart


def _generator(case: Case, seen: Values, expected: Values) -> bool:
    again = close(seen["sent_again"], seen["sent"]) and not close(seen["sent_with_another_seed"], seen["sent"])
    return again and _same_form(case, seen["sent"]) and global_state_kept(seen)


_EXACT = ("too_long", "short_enough", "on_the_edge", "zero", "float64")
_NOISY = ("noisy", "noisy_and_short", "little_noise")


def _spread(deviation: Callable[[Case], float]) -> Callable[[Sequence[Trial]], bool]:
    """Whether what was added to the clipped update is normal with this deviation, and not with the right one."""

    def fits(t: Trial) -> bool:
        return _same_form(t.case, t.seen["sent"]) and is_standard_normal(
            _added_noise(t.case, t.seen["sent"], deviation(t.case))
        )

    def predicate(trials: Sequence[Trial]) -> bool:
        noisy = named(trials, *_NOISY)
        return in_all(noisy, fits) and not in_all(noisy, lambda t: _noisy(*t[:3]))

    return predicate


def _norm(case: Case) -> float:
    return float(in_one_vector(case.inputs["update"]).norm())


_exactly: Passes = as_expected("sent")


def _left_alone(t: Trial) -> bool:
    return close(t.seen["update_after"], t.case.inputs["update"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "clipped",
            1,
            "a long update is shortened to `max_norm`, all tensors by one factor",
            _exactly,
            ("too_long", "float64"),
        ),
        Criterion(
            "short_kept",
            1,
            "an update that is short enough, or all zeros, comes back as it is, in its dtype",
            as_expected("sent", "dtypes"),
            ("short_enough", "on_the_edge", "zero"),
        ),
        Criterion(
            "noise",
            2,
            "every number gets its own normal noise, of standard deviation `noise * max_norm`",
            _noisy,
            _NOISY,
        ),
        Criterion(
            "generator", 1, "the noise comes from the generator, and nothing else is drawn from", _generator, _NOISY
        ),
    ),
    predicates={
        "noise_before_clipping": somewhere(
            lambda t: close(float(in_one_vector(t.seen["sent"]).norm()), float(t.case.inputs["max_norm"]), rtol=1e-3),
            "noisy",
        ),
        "noise_of_the_norm_forgotten": _spread(lambda case: case.inputs["noise"]),
        "noise_of_its_own_length": _spread(lambda case: case.inputs["noise"] * _norm(case)),
        "dtype_lost": lambda trials: (
            in_all(named(trials, *_EXACT), lambda t: _exactly(*t[:3]))
            and somewhere(lambda t: t.seen["dtypes"] != t.expected["dtypes"])(trials)
        ),
        "written_into_the_update": lambda trials: not in_all(trials, _left_alone),
        "noise_missing": everywhere(lambda t: close(in_one_vector(t.seen["sent"]), clipped_update(t.case)), *_NOISY),
        "global_generator": everywhere(
            lambda t: _noisy(*t[:3]) and _left_alone(t) and not close(t.seen["sent"], t.seen["sent_again"]), *_NOISY
        ),
    },
    exact=False,
)
