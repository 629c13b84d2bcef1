"""A judge computes with nothing that is far beyond what it expects."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from course_lib.exercises import exercises, judge_of
from course_lib.exercises.contract import Other
from course_lib.exercises.judging import judge_observations
from course_lib.exercises.reason import within_reason
from tests.exercises.known import known

EXPECTED = {"labels": torch.tensor([0, 3]), "loss": 0.5, "steps": 7, "names": ["a", "b"]}


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([0, 250_000_000]),
        torch.tensor([-(2**63)]),
        torch.tensor([2**63 - 1]),
        torch.empty(10**7, 0),
        torch.zeros(200_000),
        torch.zeros([1] * 9),
        10**400,
        -(10**9),
        [0] * 200_000,
        "x" * 200_000,
        {str(number): 0 for number in range(20_000)},
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_beyond_reason_is_put_aside_wherever_it_stands(value):
    seen = within_reason({"labels": value, "inside": [{"deeper": value}], "loss": 0.5}, EXPECTED)
    assert isinstance(seen["labels"], Other) and isinstance(seen["inside"][0]["deeper"], Other)
    assert seen["loss"] == 0.5


@pytest.mark.parametrize(
    "value",
    [torch.tensor([-1, 999]), torch.zeros(3, 0), torch.full((2,), float("inf")), 1e300, float("nan"), True, None, "ab"],
    ids=str,
)
def test_what_is_merely_wrong_is_kept(value):
    seen = within_reason({"labels": value}, EXPECTED)
    assert seen["labels"] is value


def absurd(value):
    """The same structure with every tensor empty and of ten million rows, every number and list huge."""
    if isinstance(value, torch.Tensor):
        labels = value.dtype == torch.int64 and value.numel()
        return torch.full_like(value, 250_000_000) if labels else torch.empty(10**7, 0)
    if isinstance(value, dict):
        return {key: absurd(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [0.0] * 10**6
    return 10**12 if isinstance(value, int) else 1e300


@pytest.mark.parametrize("exercise", exercises().values(), ids=lambda exercise: exercise.name)
def test_absurd_values_earn_nothing_and_reach_no_criterion(exercise):
    judge = judge_of(exercise)
    there = known(exercise, 0)
    right = there.observe(exercise, judge.reference, there.cases)
    shown = [dataclasses.replace(seen, values=absurd(seen.values)) for seen in right]
    sizes = []

    def watched(criterion):
        def watched_call(asked):
            def call(case, seen, expected):
                sizes.extend(largest(value) for value in seen.values())
                return asked(case, seen, expected)

            return call

        share = criterion.share and watched_call(criterion.share)
        return dataclasses.replace(criterion, passes=watched_call(criterion.passes), share=share)

    watching = dataclasses.replace(judge, criteria=tuple(watched(criterion) for criterion in judge.criteria))
    result = judge_observations(exercise, watching, shown, observe=there.observe)
    assert result.state == "wrong" and result.score < exercise.points
    assert max(sizes) <= 200_000


def largest(value):
    if isinstance(value, torch.Tensor):
        return max(0, *value.shape)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return max([len(inside), *map(largest, inside)])
