"""Checks that learners write, graded in the sandbox: points for behavior alone, and what leaves it is a vector."""

from __future__ import annotations

import dataclasses
import json
import textwrap

import pytest
from class_notebooks import code
from corpus.checks import ALL, Written

from course_lib import exercises as registry
from course_lib.exercises import checking
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside import feedback, grade, hidden_cases, results
from course_lib.grading.outside.cells import read_cells
from course_lib.grading.outside.submission import Released, Submission

UNIT, NAME = "00_first_steps", "accuracy_check"
SETUP = "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n"
ACCURACY = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).double().mean().item()\n"
STUB = "def accuracy_check(candidate):\n    raise NotImplementedError('Exercise 0.5: accuracy_check')\n"


def notebook(check: str) -> bytes:
    cells = [code(SETUP, "cell-000", tags=["setup"])]
    for name, source in {"accuracy": ACCURACY, NAME: check}.items():
        nbgrader = {"grade_id": name, "grade": False, "solution": True, "locked": False}
        cells.append(code(source, name, nbgrader=nbgrader))
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


@pytest.fixture
def graded(zygote, options, monkeypatch):
    limits = Limits()
    monkeypatch.setattr(zygote, "options", dataclasses.replace(options, limits=limits))
    released = Released(UNIT, UNIT, tuple(read_cells(notebook(STUB))), digest=UNIT)

    def graded(written: Written) -> dict:
        source = f"{written.before}def accuracy_check(candidate):\n{textwrap.indent(written.body, '    ')}\n"
        submission = Submission("ada", UNIT, UNIT, notebook(source))
        result = grade.grade_submission(zygote, released, submission, key="k")
        return next(each for each in result["exercises"] if each["exercise"] == NAME)

    return graded


@pytest.mark.parametrize("written", ALL, ids=lambda written: written.name)
def test_a_check_gets_what_it_deserves(graded, written) -> None:
    record = graded(written)
    assert (record["verdict"], record["score"]) == (written.verdict, written.score), record
    assert "judge_failed" not in record


def test_students_are_told_how_many_and_not_which(graded) -> None:
    record = graded(Written("a threshold", "assert candidate(torch.eye(4)[:3], torch.tensor([0, 1, 3])) > 0.5", "", 0))
    exercise = registry.exercise_named(NAME)
    assert 0 < record["score"] < 4 and record["message"]["id"] == "contract.check_lets_pass"
    said = feedback.public_message(exercise, record)
    assert "of the 12 wrong ones" in said
    assert not any(
        mistake.name in json.dumps(record)
        for mistake in registry.judge_of(registry.exercise_named("accuracy")).mistakes
    )


def test_what_is_sent_into_the_sandbox_names_no_answer(options) -> None:
    under_test = hidden_cases.under_test(NAME, options.secret)
    request = b"".join(under_test.request)
    known = under_test.cases[0].known
    assert len(known) == 15 and b'"code"' in request
    assert not any(answer.name.encode() in request for answer in known if "_" in answer.name)
    assert b"right" not in request and b"mistake" not in request
    public = [answer.name for answer in registry.exercise_named(NAME).cases(0)[0].known]
    assert [answer.name for answer in known] != public


def test_what_works_for_the_public_order_earns_nothing(options) -> None:
    """A check that counts its calls, and lets pass what is right in the notebook's order."""
    exercise = registry.exercise_named(NAME)
    places = [n for n, right in enumerate(exercise.cases(0)[0].right) if right]

    def counts():
        calls = []

        def check(candidate):
            calls.append(candidate)
            assert (len(calls) - 1) % 15 in places

        return check

    assert checking.check(exercise, counts()).score == 4.0
    assert checking.check(exercise, counts(), seed=results.seed_for(options.secret, NAME)).score == 0.0
