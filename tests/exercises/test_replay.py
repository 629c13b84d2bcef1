"""Values that do not come from the inputs of a check earn next to nothing: not those of another seed, not constants.

The grader draws a check's inputs from a secret seed. What an attacker has is the public seed, and the shapes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from course_lib.exercises import exercises, judge_of
from course_lib.exercises.judging import Observation, judge_observations
from tests.exercises.known import known
from tests.exercises.verdicts import SEEDS

EXERCISES = list(exercises().values())
MOST = 0.2  # of an exercise's points
SECRET = SEEDS[1:]  # what the known mistakes give there is at hand


def reference_on(exercise: Any, seed: int) -> list[Observation]:
    there = known(exercise, seed)
    return there.observe(exercise, judge_of(exercise).reference, there.cases)


def earned(exercise: Any, shown: list[Observation], seed: int) -> float:
    """The share of the points that these values earn on the cases of a seed."""
    there = known(exercise, seed)
    observations = [dataclasses.replace(seen, case=case) for case, seen in zip(there.cases, shown)]
    result = judge_observations(exercise, judge_of(exercise), observations, observe=there.observe)
    return result.score / exercise.points


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_what_is_right_for_the_public_seed_is_worth_little_on_another(exercise):
    public = reference_on(exercise, 0)
    assert earned(exercise, public, 0) == 1.0  # the replay itself works
    for seed in SECRET:
        assert earned(exercise, public, seed) <= MOST


def constant(value: Any, number: float) -> Any:
    """A value of the same kind and shape in which every number is the same one, and every text is empty."""
    if isinstance(value, Tensor):
        return torch.full_like(value, number if value.is_floating_point() else int(number))
    if isinstance(value, (bool, int, float)):
        return type(value)(number)
    if isinstance(value, str):  # such as the name of a parameter: what is right about it has to be found out
        return ""
    if isinstance(value, dict):  # inside, keys are such names too
        return {str(n): constant(part, number) for n, part in enumerate(value.values())}
    if isinstance(value, (list, tuple)):
        return type(value)(constant(part, number) for part in value)
    return value


@pytest.mark.parametrize("number", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_constants_of_the_right_shape_are_worth_little(exercise, number):
    for seed in SECRET:
        right = reference_on(exercise, seed)
        shown = [
            dataclasses.replace(seen, values={key: constant(value, number) for key, value in seen.values.items()})
            for seen in right
        ]
        assert earned(exercise, shown, seed) <= MOST
