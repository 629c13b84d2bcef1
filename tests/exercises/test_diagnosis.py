"""Which known mistake an answer is told: by values on several cases, or by a predicate; one case is not evidence."""

from __future__ import annotations

import pytest

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake
from course_lib.exercises.judging import judge_observations
from course_lib.exercises.observing import observe_all
from tests.exercises.shared import small_exercise

EXERCISE = small_exercise(
    "double",
    cases=lambda seed: [Case(str(x), {"x": x}) for x in range(1, 7)],
    observe=lambda fn, case: {"value": fn(case.inputs["x"])},
)


def forgets_even_ones(x):
    return x if x % 2 == 0 else 2 * x


def triples(x):
    return 3 * x


def negative(trials):
    return any(t.seen["value"] < 0 for t in trials)


def named(answer, **predicates) -> str | None:
    fns = {"forgets_even_ones": forgets_even_ones, "triples": triples, "negates": lambda x: -2 * x}
    judge = Judge(
        reference=lambda x: 2 * x,
        criteria=(Criterion("value", 1, "it is twice the number", lambda c, s, e: s["value"] == e["value"]),),
        mistakes=tuple(Mistake(name, fn, name, predicates.get(name)) for name, fn in fns.items()),
    )
    observations = observe_all(EXERCISE, answer, EXERCISE.cases(0))
    return judge_observations(EXERCISE, judge, observations).mistake


def differing(**values):
    """Twice a number, but for some."""
    return lambda x: values.get(f"at_{x}", 2 * x)


@pytest.mark.parametrize(
    ("answer", "mistake"),
    [
        (forgets_even_ones, "forgets_even_ones"),
        (triples, "triples"),
        (differing(at_2=2, at_4=4), "forgets_even_ones"),
        (differing(at_2=2, at_4=4, at_6=0), "forgets_even_ones"),
        (differing(at_2=2), None),
        (differing(at_2=2, at_6=0), None),
        (lambda x: 3 * x if x < 6 else 2 * x, None),
        (differing(at_1=0, at_2=0), None),
    ],
    ids=[
        "the mistake itself",
        "a mistake that is never right",
        "the same on two of its three wrong cases, right elsewhere",
        "the same on two, something else on a third",
        "one case in common",
        "one case in common, something else on another",
        "never right together",
        "nothing in common",
    ],
)
def test_a_name_by_values_rests_on_two_wrong_cases_and_a_right_one(answer, mistake):
    assert named(answer) == mistake


def test_a_predicate_decides_before_a_part_of_the_values_does():
    answer = differing(at_2=2, at_4=4, at_6=-1)
    assert named(answer) == "forgets_even_ones"
    assert named(answer, negates=negative) == "negates"
    assert named(forgets_even_ones, negates=lambda trials: True) == "forgets_even_ones"


def test_a_predicate_that_cannot_read_the_values_does_not_count():
    assert named(lambda x: "two", negates=negative) is None
