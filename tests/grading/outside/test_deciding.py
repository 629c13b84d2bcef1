"""The cases on which an answer that is not right is looked at in another process: those that cost it points."""

from __future__ import annotations

import dataclasses

import pytest

from course_lib.exercises.observing import observe_all
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside.hidden_cases import under_test


def decided(fn, secret: bytes):
    double = under_test("double", secret)
    observed = observe_all(double.exercise, fn, list(double.cases))
    listed = [{**dataclasses.asdict(one), "changed": list(one.changed), "left": list(one.left)} for one in observed]
    record, deciding = double.judged([{"observations": listed}], Limits(), {})
    return double, record, deciding


def squares(x):
    return x * x


def in_place(x):
    return x.mul_(2)


def wrong_for_one(x):
    return x * (3 if len(x) == 1 else 2)


def stops(x):
    raise ValueError


@pytest.mark.parametrize("fn", [squares, stops])
def test_without_points_one_case_of_each_criterion(options, unit_known, fn) -> None:
    double, record, deciding = decided(fn, options.secret)
    assert record["score"] == 0 and deciding is not None and 1 <= len(deciding) <= len(double.judge.criteria)


def test_with_points_those_that_are_observed_twice_as_well(options, unit_known) -> None:
    double, record, deciding = decided(wrong_for_one, options.secret)
    (one,) = (number for number, case in enumerate(double.cases) if case.name == "one")
    assert 0 < record["score"] < record["points"]
    assert deciding == tuple(sorted({one, *double.twice}))


def test_all_where_it_is_what_an_answer_changes_that_costs_points(options, unit_known) -> None:
    _, record, deciding = decided(in_place, options.secret)
    assert 0 < record["score"] < record["points"] and deciding is None


def test_a_right_answer_has_none(options, unit_known) -> None:
    assert decided(lambda x: 2 * x, options.secret)[2] is None
