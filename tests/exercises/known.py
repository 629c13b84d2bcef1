"""`check` for tests that judge many answers: what the judge's own functions do is observed once per case and process.

A wrong answer is compared with every known mistake, so that checking m mistakes takes m * m observations otherwise.
"""

from __future__ import annotations

import functools
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

    def keep(self, fn: Any, observations: Sequence[Observation]) -> None:
        """Remembers what a test has observed of a function, unless the library refused: `observe` lets it run."""
        if not any(seen.error and seen.error.library_name for seen in observations):
            self._seen |= {(fn, id(seen.case)): seen for seen in observations}


@functools.cache
def known(exercise: Exercise, seed: int) -> Known:
    """What is known about an exercise on the cases of a seed: all of one seed together hold about 60 MB."""
    return Known(exercise, seed)


def check(exercise: Exercise, fn: Any, *, seed: int = 0, guard: bool = True) -> Result:
    """What `checking.check` says; `guard=False` lets the library's own version be the answer."""
    if not callable(fn) or (exercise.on_gpu and torch.cuda.is_available()):
        return checking.check(exercise, fn, seed=seed)
    remembered, judge = known(exercise, seed), judge_of(exercise)
    observations = observe_all(exercise, fn, remembered.cases, guard=guard)
    if any(fn is mistake.fn for mistake in judge.mistakes):
        remembered.keep(fn, observations)
    return judge_observations(exercise, judge, observations, observe=remembered.observe)
