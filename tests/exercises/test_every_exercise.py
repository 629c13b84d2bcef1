"""The contract's proof: every exercise against every mistake, alternative, reference and blank, with several seeds."""

from __future__ import annotations

import inspect

import pytest
import torch

from course_lib.exercises import exercises, judge_of
from course_lib.exercises.contract import Alternative
from course_lib.exercises.messages import template_of
from course_lib.exercises.observing import called, resolve
from tests.exercises.known import check

SEEDS = (0, 1, 20261121)
MISTAKE_SEEDS = (0, 20261121)  # the verdict of a mistake hangs on the seed less than that of a right answer
EXERCISES = list(exercises().values())
MISTAKES = [(e, m) for e in EXERCISES for m in judge_of(e).mistakes]
RIGHT = [
    (e, a) for e in EXERCISES for a in (Alternative("reference", judge_of(e).reference), *judge_of(e).alternatives)
]


def _name(value):
    return getattr(value, "name", None) or getattr(value, "__name__", None)


@pytest.mark.parametrize("seed", MISTAKE_SEEDS)
@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=_name)
def test_a_mistake_loses_points_and_is_named(exercise, mistake, seed):
    result = check(exercise, mistake.fn, seed=seed)
    assert result.score < exercise.points
    assert result.mistake == mistake.name, f"named {result.mistake}: {result.message.render()}"
    assert "{" not in result.message.render() or "{" in mistake.text.replace("{", "", 1), "a field was left unfilled"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("exercise", "right"), RIGHT, ids=_name)
def test_a_right_answer_scores_full(exercise, right, seed):
    result = check(exercise, right.fn, seed=seed, guard=False)  # a reference may be the library's own version
    assert (result.state, result.score) == ("right", exercise.points), result.as_json()


@pytest.mark.parametrize("exercise", EXERCISES, ids=_name)
def test_a_blank_answer_scores_zero(exercise):
    def stub(*args, **kwargs):
        raise NotImplementedError(f"Exercise {exercise.number}: {exercise.name}")

    result = check(exercise, stub)
    assert (result.state, result.score, result.mistake) == ("not_attempted", 0.0, None)
    assert len(result.criteria) == len(judge_of(exercise).criteria)


@pytest.mark.parametrize("exercise", EXERCISES, ids=_name)
@pytest.mark.parametrize(
    "junk", [lambda *a, **k: None, lambda *a, **k: 0, lambda *a, **k: torch.zeros(3)], ids=["None", "0", "zeros"]
)
def test_junk_never_scores_full_and_never_raises(exercise, junk):
    result = check(exercise, junk)
    assert result.state in ("wrong", "error")
    assert result.score < exercise.points
    assert "fault of the course" not in result.message.render()


@pytest.mark.parametrize("exercise", EXERCISES, ids=_name)
def test_an_exercise_is_complete(exercise):
    judge = judge_of(exercise)
    assert judge.points == exercise.points
    assert len(judge.mistakes) >= 3
    assert len(judge.alternatives) >= 1
    sentences = [m.text for m in judge.mistakes]
    assert len(set(sentences)) == len(sentences), "two mistakes share a sentence"
    assert len({m.name for m in judge.mistakes}) == len(sentences)
    assert len({c.name for c in judge.criteria}) == len(judge.criteria)
    assert exercise.signature.startswith(exercise.name)
    assert all(text.strip() for _, text in exercise.hints)
    assert exercise.takeaway
    for mistake in judge.mistakes:
        assert template_of(f"{exercise.name}.mistake.{mistake.name}") == mistake.text
    for name in exercise.library:
        assert callable(resolve(name))


@pytest.mark.parametrize("exercise", EXERCISES, ids=_name)
def test_wrong_answers_stand_alone(exercise):
    """A demo submission is made of their source, so they may use only what a notebook's setup cell imports."""
    judge = judge_of(exercise)
    for fn in (answer.fn for answer in (*judge.mistakes, *judge.alternatives)):
        namespace = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "math": __import__("math")}
        exec(inspect.getsource(fn), namespace)
        assert callable(namespace[fn.__name__])


@pytest.mark.parametrize("exercise", EXERCISES, ids=_name)
def test_cases_are_fresh_for_each_seed_and_the_same_for_one(exercise):
    def flat(seed):
        tensors = []
        for case in exercise.cases(seed):
            tensors += [v for v in case.inputs.values() if isinstance(v, torch.Tensor) and v.is_floating_point()]
        return tensors

    first, again, other = flat(0), flat(0), flat(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    if first:
        assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, other, strict=False))


@pytest.mark.parametrize("exercise", [e for e in EXERCISES if e.library], ids=_name)
def test_the_librarys_own_version_is_refused(exercise):
    for name in exercise.library:
        own = resolve(name)
        if isinstance(own, type):
            continue
        result = check(exercise, lambda *a, own=own, **k: own(*a, **k))
        assert result.state != "right"
        assert called(name) in result.message.render()
