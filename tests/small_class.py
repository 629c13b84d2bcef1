"""A class on the tiny unit: notebooks as students hand them in, and results as a grader would write them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import tiny_course

from course_lib import files
from course_lib.authoring import release
from course_lib.exercises import checking, exercise_named
from course_lib.grading.outside.pages import GradedNotebook
from course_lib.notebooks import grade_id_of

UNIT = tiny_course.UNIT
SEED = 977  # the instructor's secret, as far as these tests go

DOUBLE = "def double(x):\n    return x + x\n"
TOTAL = "def total(x):\n    return float(x.sum())\n"
HALF_RIGHT = "def double(x):\n    x *= 2\n    return x\n"
WHY = "Because **one** is not enough."
BLANK = 'def double(x):\n    raise NotImplementedError("Exercise 90.1: double")\n'


def release_tiny(root: Path) -> Path:
    """Releases the tiny unit under root/notebooks; returns that folder. The unit must be installed."""
    tiny_course.write_unit(root)
    for name, content in release.build_unit(UNIT, root=root).items():
        files.replace(root / "notebooks" / UNIT / name, content)
    return root / "notebooks"


def notebook(released: Path, **answers: str) -> dict[str, Any]:
    """The released notebook with answers filled in by grade_id."""
    page = json.loads((released / UNIT / f"{UNIT}.ipynb").read_text())
    for cell in page["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = answers.get(grade_id, cell["source"])
    return page


def entry(name: str, source: str, *, seed: int = SEED) -> dict[str, Any]:
    """One exercise of a result file: an answer judged for real."""
    scope: dict[str, Any] = {}
    exec(source, scope)
    result = checking.check(exercise_named(name), scope[name], seed=seed)
    return {
        "exercise": name,
        "verdict": result.state,
        "score": result.score,
        "points": result.points,
        "mistake": result.mistake,
        "message": {"id": result.message.id, "fields": json.loads(json.dumps(result.message.fields, default=str))},
        "criteria": [{"name": c.name, "score": c.score, "points": c.points} for c in result.criteria],
        "printed": result.printed,
    }


def submission(
    student: str,
    page: dict[str, Any] | bytes | None,
    entries: list[dict[str, Any]],
    *,
    timestamp: str | None = None,
    **more: Any,
) -> GradedNotebook:
    """A graded submission with a result as the grader writes it."""
    result = {
        "schema": 1,
        "student": student,
        "unit": UNIT,
        "notebook": UNIT,
        "key": "k",
        "verdict": more.pop("verdict", "right" if all(e["verdict"] == "right" for e in entries) else "wrong"),
        "tampered": [],
        "isolation": "namespaces",
        "score": sum(e["score"] for e in entries if isinstance(e["score"], float)),
        "points": 5,
        "exercises": entries,
        "written": [{"grade_id": "why", "points": 3}],
        "cells": {},
        **more,
    }
    raw = page if isinstance(page, bytes) or page is None else json.dumps(copy.deepcopy(page)).encode()
    return GradedNotebook(result, raw, timestamp)


def right(released: Path, student: str = "ada", **answers: str) -> GradedNotebook:
    """All answers right, the written one given."""
    page = notebook(released, double=DOUBLE, total=TOTAL, why=WHY, **answers)
    return submission(student, page, [entry("double", DOUBLE), entry("total", TOTAL)])


def half(released: Path, student: str = "ada", **answers: str) -> GradedNotebook:
    """One answer half right, the written one given."""
    page = notebook(released, **{"double": HALF_RIGHT, "total": TOTAL, "why": WHY, **answers})
    return submission(student, page, [entry("double", HALF_RIGHT), entry("total", TOTAL)])


def cell_of(page: Any, grade_id: str) -> Any:
    """The cell of that name in an autograded notebook."""
    return next(c for c in page.cells if grade_id_of(c) == grade_id)


def card_in(page: Any, exercise: str) -> Any:
    """What the check of an exercise shows there."""
    (output,) = cell_of(page, f"check_{exercise}").outputs
    return output["data"]
