"""Answers that no learner reads, kept as files like mistakes.md: more right ones, and wrong ones without a name.

A wrong one was a mistake of its own once. Its first line says which mistake's sentence it is told now.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from course_lib.exercises import exercise_named, exercises, judge_module
from course_lib.exercises.answers import MISTAKES, NAME, parse_answers
from tests.exercises.known import check

FOLDER = Path(__file__).parent / "more_answers"


def answers_of(path):
    """The name of an exercise and its answers here, whose diffs edit the right answers of its mistakes.md too."""
    name = next(e for e in exercises() if e == path.stem or e.lower() == path.stem.replace("_", ""))
    known = Path(judge_module(exercise_named(name)).__file__).with_name(NAME)
    shown = known.read_text(encoding="utf-8").partition(f"\n# {MISTAKES}\n")[0]
    found = parse_answers(f"{shown}\n{path.read_text(encoding='utf-8')}", known)
    shown_names = re.findall(r"(?m)^## (.*)$", shown)
    every = (*found.right, *found.mistakes)
    return [pytest.param(name, found, a, id=f"{name}-{a.name}") for a in every if a.name not in shown_names]


ANSWERS = [answer for path in sorted(FOLDER.glob("*.md")) for answer in answers_of(path)]


@pytest.mark.parametrize(("name", "answers", "answer"), ANSWERS)
def test_it_is_judged_as_it_was(name, answers, answer):
    exercise, fn = exercise_named(name), answers.function(answer, name)
    for seed in (0, 20261121):
        result = check(exercise, fn, seed=seed)
        if answer in answers.right:
            assert (result.state, result.score) == ("right", exercise.points), result.as_json()
            continue
        told = re.fullmatch(r"Told as `(\w+)`\.|Told in values\.", answer.text)
        assert result.score < exercise.points and told, result.as_json()
        assert result.mistake == told[1], result.message.render()
