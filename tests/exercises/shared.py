"""What several tests of exercises are made of: tests of a list of answers, a small exercise, and an unusual answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from course_lib.exercises.contract import Exercise, Hints
from tests.exercises.known import check

UNNAMED = "wrong, and told in values"  # in place of a mistake's name

_SEEDS = (0, 7, 20261121)


def answers_tested(
    right: Mapping[str, Sequence[Any]], wrong: Mapping[str, Mapping[Any, str | None]]
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Two tests of a unit: right answers have full points; wrong ones lose some and are told why. On three seeds.

    Args:
        right: answers by exercise.
        wrong: answers by exercise, each with the mistake whose sentence it is told; None where only values are shown.
    """

    @pytest.mark.parametrize(("name", "answer"), [(name, fn) for name, answers in right.items() for fn in answers])
    @pytest.mark.parametrize("seed", _SEEDS)
    def test_right(name, answer, seed):
        exercise = exercise_named(name)
        result = check(exercise, answer, seed=seed)
        assert (result.state, result.score) == ("right", exercise.points), result.as_json()

    @pytest.mark.parametrize(
        ("name", "answer", "told"),
        [(name, fn, told) for name, answers in wrong.items() for fn, told in answers.items()],
    )
    @pytest.mark.parametrize("seed", _SEEDS)
    def test_wrong(name, answer, told, seed):
        exercise = exercise_named(name)
        result = check(exercise, answer, seed=seed)
        assert result.score < exercise.points
        assert result.mistake == told, result.message.render()

    return test_right, test_wrong


def variants_tested(cases: Sequence[tuple[str, Any, str | None]], seeds: Sequence[int] = (1,)) -> Callable[..., None]:
    """A test of a unit: each answer is told the mistake that it is listed with, and None is listed with a right one.

    Args:
        cases: exercise, answer, and the mistake's name or `UNNAMED`.
    """

    @pytest.mark.parametrize("seed", seeds)
    @pytest.mark.parametrize(("name", "answer", "mistake"), cases, ids=lambda v: getattr(v, "__name__", v) or "right")
    def test_variant(name, answer, mistake, seed):
        result = check(exercise_named(name), answer, seed=seed)
        assert result.mistake == (None if mistake == UNNAMED else mistake), result.message.render()
        assert (result.state == "right") == (mistake is None), result.as_json()
        assert mistake != UNNAMED or result.state == "wrong", result.as_json()

    return test_variant


def small_exercise(name, cases, observe, *, signature="", **options):
    """An exercise worth one point, with words that no test looks at."""
    texts = {"title": "Anything", "hints": Hints("Think.", "`*`", "return ..."), "takeaway": "That is it."}
    usual = {"minutes": 1, "difficulty": 1, "points": 1, **texts}
    return Exercise(name=name, signature=signature or f"{name}(x)", cases=cases, observe=observe, **usual | options)


def step_that_clears(last):
    """A `train_step` that clears the gradients as its last step but one, or as its last one."""

    def train_step(model, images, labels, optimizer):
        model.train()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        for call in (optimizer.step, model.zero_grad) if last else (model.zero_grad, optimizer.step):
            call()
        return loss.item()

    return train_step
