"""`check` for tests that judge many answers of one exercise: what the judge's functions do is observed once per case.

A wrong answer is compared with every known mistake, so that checking m mistakes takes m * m observations otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from course_lib.exercises import checking, judge_of
from course_lib.exercises.contract import Case, Exercise, with_a_repeat
from course_lib.exercises.judging import Known, Result, judge_observations
from course_lib.exercises.observing import observe_all


class _OneSeed(NamedTuple):
    """The cases of one seed, and what is known of them."""

    cases: list[Case]
    observe: Known


_exercise: Exercise | None = None  # of one exercise at a time: what is observed can be large
_known: dict[int, _OneSeed] = {}


def check(exercise: Exercise, fn: Any, *, seed: int = 0, guard: bool = True) -> Result:
    """What `checking.check` says; `guard=False` lets the library's own version be the answer."""
    if not callable(fn) or (exercise.on_gpu and torch.cuda.is_available()):
        return checking.check(exercise, fn, seed=seed)
    global _exercise
    if exercise != _exercise:
        _exercise = exercise
        _known.clear()
    if seed not in _known:
        _known[seed] = _OneSeed(with_a_repeat(exercise.cases(seed)), Known())
    cases, observe = _known[seed]
    observations = observe_all(exercise, fn, cases, guard=guard)
    return judge_observations(exercise, judge_of(exercise), observations, observe=observe)
