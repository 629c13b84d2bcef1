"""Builds the tests' released notebook and submissions of it."""

from __future__ import annotations

import copy
import json
from typing import Any

UNIT = "97_measures"
RIGHT_DOUBLE = "def double(x):\n    return 2 * x\n"
RIGHT_SCALE = "def scale(images):\n    return images.float() / 255\n"
STUB = "def {0}(x):\n    raise NotImplementedError('Exercise 97: {0}')\n"
SETUP = "import torch\nfrom course_lib.exercises import checks_for\ncheck = checks_for('97_measures')\n"


def code(source: str, cell_id: str, *, tags: list[str] | None = None, nbgrader: dict | None = None) -> dict[str, Any]:
    """A code cell."""
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    if nbgrader:
        metadata["nbgrader"] = nbgrader
    return {
        "cell_type": "code", "id": cell_id, "metadata": metadata, "source": source, "outputs": [],
        "execution_count": None,
    }  # fmt: skip


def _nbgrader(grade_id: str, *, grade: bool, solution: bool, points: float | None = None) -> dict[str, Any]:
    given = {"grade_id": grade_id, "grade": grade, "solution": solution, "locked": grade and not solution}
    given |= {"schema_version": 3, "task": False, "cell_type": "code"}
    return given if points is None else {**given, "points": points}


def released() -> dict[str, Any]:
    """The notebook as students get it."""
    written = {
        "cell_type": "markdown", "id": "why", "source": "Your answer",
        "metadata": {"nbgrader": _nbgrader("why", grade=True, solution=True, points=3)},
    }  # fmt: skip
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            code(SETUP, "cell-000", tags=["setup"]),
            code("raise SystemExit('a demo cell is never run')", "cell-001", tags=["demo"]),
            code(STUB.format("double"), "double", nbgrader=_nbgrader("double", grade=False, solution=True)),
            code("check.double(double)", "check_double",
                 nbgrader=_nbgrader("check_double", grade=True, solution=False, points=3)),
            code(STUB.format("scale"), "scale", nbgrader=_nbgrader("scale", grade=False, solution=True)),
            code("check.scale(scale)", "check_scale",
                 nbgrader=_nbgrader("check_scale", grade=True, solution=False, points=2)),
            written,
            code("while True: 'a train cell is never run'", "cell-007", tags=["train"]),
        ],
    }  # fmt: skip


def cell_of(notebook: dict[str, Any], cell_id: str) -> dict[str, Any]:
    """The cell with an id."""
    return next(cell for cell in notebook["cells"] if cell["id"] == cell_id)


def answered(
    double: str = RIGHT_DOUBLE, scale: str = RIGHT_SCALE, *, extra: str | None = None, after: str | None = None
) -> dict[str, Any]:
    """A submission with these answers; `extra` is a cell the student added before them, `after` one behind them."""
    notebook = copy.deepcopy(released())
    cell_of(notebook, "double")["source"] = double
    cell_of(notebook, "scale")["source"] = scale
    if extra is not None:
        notebook["cells"].insert(2, code(extra, "3f2a1b"))
    if after is not None:
        notebook["cells"].insert(-2, code(after, "9c8d7e"))
    return notebook


def as_bytes(notebook: Any) -> bytes:
    """The notebook as a file."""
    return json.dumps(notebook).encode()
