"""Every exercise of the course, graded in the sandbox, comes out as the same answer does in a notebook."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from class_notebooks import code

from course_lib import exercises as registry
from course_lib import settings
from course_lib.authoring import release
from course_lib.desk.demo_answers import as_answer, plan_for
from course_lib.exercises import checking
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside import grade, results
from course_lib.grading.outside.cells import read_cells
from course_lib.grading.outside.submission import Released, Submission, read_release
from course_lib.notebooks import CellKind, grade_id_of, kind_of
from tests.benchmarks.charged_twice import solutions

SETUP = "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n"
PAIR = ("rotate_batch", "rotation_pretext")
UNITS = [unit for unit in registry.units() if not unit.startswith("9")]


def _notebook(answers: dict[str, str]) -> bytes:
    cells = [code(SETUP, "cell-000", tags=["setup"])]
    for name, source in answers.items():
        nbgrader = {"grade_id": name, "grade": False, "solution": True, "locked": False}
        cells.append(code(source, name, nbgrader=nbgrader))
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def _variants(unit: str):
    """Notebooks that together hold, for every exercise of a unit, a right answer and known mistakes."""
    columns = []
    for exercise in registry.exercises_of(unit):
        judge = registry.judge_of(exercise)
        fns = [judge.alternatives[0].fn, *(mistake.fn for mistake in judge.mistakes)]
        columns.append([(exercise, fn) for fn in fns])
    return list(itertools.zip_longest(*columns))


def test_a_mistake_that_another_answer_calls_costs_points_once(zygote, options, monkeypatch) -> None:
    monkeypatch.setattr(zygote, "options", dataclasses.replace(options, limits=Limits()))
    unit, sources = "04_pretext_tasks", solutions()
    exercise = registry.exercise_named("rotate_batch")
    clockwise = next(m for m in registry.judge_of(exercise).mistakes if m.name == "clockwise")
    wrong = as_answer(clockwise.fn, "rotate_batch")
    stubs = {name: f"def {name}(*a, **k):\n    raise NotImplementedError('Exercise')" for name in PAIR}
    released = Released(unit, unit, tuple(read_cells(_notebook(stubs))), digest=unit)

    def scores(later: str) -> dict[str, tuple[str, float]]:
        data = _notebook({"rotate_batch": wrong, "rotation_pretext": later})
        result = grade.grade_submission(zygote, released, Submission("ada", unit, unit, data), key="k")
        return {graded["exercise"]: (graded["verdict"], graded["score"]) for graded in result["exercises"]}

    right = scores(sources["rotation_pretext"])
    assert right["rotation_pretext"] == ("right", 4.0) and right["rotate_batch"][0] == "wrong"
    inline = scores(sources["rotation_pretext"].replace("rotate_batch(images, k)", "torch.rot90(images, -k, (2, 3))"))
    assert inline["rotation_pretext"][0] == "wrong"


@pytest.mark.parametrize(("unit", "variant"), [(u, v) for u in UNITS for v in range(2)])
def test_the_sandbox_and_the_notebook_agree(zygote, options, monkeypatch, unit: str, variant: int) -> None:
    monkeypatch.setattr(zygote, "options", dataclasses.replace(options, limits=Limits()))
    answers = [pair for pair in _variants(unit)[variant] if pair]
    stubs = {e.name: f"def {e.name}(*a, **k):\n    raise NotImplementedError('Exercise')" for e, _ in answers}
    released = Released(unit, unit, tuple(read_cells(_notebook(stubs))), digest=unit)
    data = _notebook({exercise.name: as_answer(fn, exercise.name) for exercise, fn in answers})
    result = grade.grade_submission(zygote, released, Submission("ada", unit, unit, data), key="k")
    for (exercise, fn), graded in zip(answers, result["exercises"], strict=True):
        local = checking.check(exercise, fn, seed=results.seed_for(options.secret, exercise.name))
        said = (graded["verdict"], graded["score"], graded["mistake"], graded["message"]["id"])
        assert said == (local.state, local.score, local.mistake, local.message.id), (exercise.name, fn, graded)
        assert "judge_failed" not in graded


@pytest.mark.parametrize("unit", UNITS)
def test_a_half_right_notebook_gets_what_the_demo_expects(zygote, options, monkeypatch, unit: str) -> None:
    """Right answers, known mistakes and blank cells by turns, so that right ones call wrong and unwritten ones."""
    monkeypatch.setattr(zygote, "options", dataclasses.replace(options, limits=Limits()))
    exercises, turn = release.exercises_by_name(unit), 0
    for released in read_release(settings.root() / "notebooks", unit):
        solved = release.solution_notebooks(unit)[released.notebook]
        plan = plan_for("half-right", unit, solved, exercises, first_turn=turn)
        turn += sum(kind_of(cell) == CellKind.ANSWER for cell in solved.cells)
        blank = json.loads((settings.root() / "notebooks" / unit / f"{released.notebook}.ipynb").read_text("utf-8"))
        for cell in blank["cells"]:
            cell["source"] = plan.answers.get(grade_id_of(cell), cell["source"])
        submitted = Submission("ada", unit, released.notebook, json.dumps(blank).encode())
        result = grade.grade_submission(zygote, released, submitted, key="k")
        found = {graded["exercise"]: (graded["score"], graded["verdict"]) for graded in result["exercises"]}
        assert found == {line.exercise: (line.expected, line.state) for line in plan.lines if not line.written}
