"""`check` for tests that judge many answers of one exercise: what the judge's functions do is observed once per case.

A wrong answer is compared with every known mistake, so that checking m mistakes takes m * m observations otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from course_lib.exercises import checking, judge_of
from course_lib.exercises.contract import Case, Exercise, with_a_repeat
from course_lib.exercises.judging import Result, judge_observations
from course_lib.exercises.observing import Observation, observe_all


class Known:
    """One exercise on the cases of one seed."""

    def __init__(self, exercise: Exercise, seed: int) -> None:
        self.exercise = exercise
        self.cases = with_a_repeat(exercise.cases(seed))
        self._seen: dict[tuple[Any, int], Observation] = {}

    def observe(self, exercise: Exercise, fn: Any, cases: Sequence[Case], **_: Any) -> list[Observation]:
        """As `observe_all`, for functions of the judge."""
        for case in cases:
            if (fn, id(case)) not in self._seen:
                self._seen[fn, id(case)] = observe_all(exercise, fn, [case], guard=False)[0]
        return [self._seen[fn, id(case)] for case in cases]


_known: dict[int, Known] = {}  # of one exercise at a time, by seed: what is observed can be large


def check(exercise: Exercise, fn: Any, *, seed: int = 0, guard: bool = True) -> Result:
    """What `checking.check` says; `guard=False` lets the library's own version be the answer."""
    if not callable(fn) or (exercise.on_gpu and torch.cuda.is_available()):
        return checking.check(exercise, fn, seed=seed)
    if any(known.exercise != exercise for known in _known.values()):
        _known.clear()
    if seed not in _known:
        _known[seed] = Known(exercise, seed)
    known = _known[seed]
    observations = observe_all(exercise, fn, known.cases, guard=guard)
    return judge_observations(exercise, judge_of(exercise), observations, observe=known.observe)
