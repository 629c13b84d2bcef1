"""What a demo class of three hands in: the solutions, a mix of right, half-right and blank answers, nothing at all."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from course_lib.desk.errors import DemoError
from course_lib.notebooks import CellKind, kind_of

STUB = """def {exercise.name}(*args, **kwargs):
    raise NotImplementedError("Exercise {exercise.number}: {exercise.name}")
"""
STUDENTS = ("reference", "half-right", "blank")
WRITTEN = "It fails because the two goals differ: what helps the one does not have to help the other."
PREAMBLE = "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Recorded:
    """What a grader recorded for an exercise: the points (None: no grade), and the state that its card shows."""

    points: float | None = None
    state: str = ""


@dataclass
class Line:
    """One exercise of one student: what the judge says, and what each grader recorded, by the grader's name."""

    student: str
    unit: str
    exercise: str
    points: float
    plan: str
    expected: float
    state: str
    written: bool = False
    recorded: dict[str, Recorded] = field(default_factory=dict)


@dataclass
class Plan:
    """What one student answers in one notebook: the source of each answer cell, and what it must earn."""

    answers: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


def plan_for(student: str, unit: str, solved: Any, exercises: Mapping[str, Any], *, first_turn: int = 0) -> Plan:
    """What a student answers in a notebook. The half-right one takes turns: right, a known mistake, blank.

    Args:
        student: one of `STUDENTS`.
        unit: the unit's id.
        solved: the solution notebook.
        exercises: the unit's exercises by name.
        first_turn: where the turns begin, so that a unit of two notebooks goes on with them.
    """
    plan, turn = Plan(), first_turn
    company = Company(solved)
    for cell in solved.cells:
        kind = kind_of(cell)
        if kind not in (CellKind.ANSWER, CellKind.WRITTEN):
            continue
        grade_id = cell.metadata.nbgrader.grade_id
        if kind == CellKind.WRITTEN:
            points = float(cell.metadata.nbgrader.points)
            if student != "blank":
                plan.answers[grade_id] = cell.source if student == "reference" else WRITTEN
            plan.lines.append(Line(student, unit, grade_id, points, "written", 0.0, "", written=True))
            continue
        exercise = exercises[grade_id]
        what = {"reference": "right", "blank": "blank"}.get(student) or ("right", "mistake", "blank")[turn % 3]
        turn += 1
        expected, state, told = 0.0, "not_attempted", what
        if what == "right":
            plan.answers[grade_id] = cell.source
            expected, state = company.verdict_on(exercise, cell.source)
        elif what == "mistake":
            name, source, expected = partly_right(exercise)
            plan.answers[grade_id], told, state = source, f"mistake {name}", "wrong"
            company.add_wrong(grade_id, source)
        else:
            company.add_wrong(grade_id, STUB.format(exercise=exercise))
        plan.lines.append(Line(student, unit, grade_id, float(exercise.points), told, expected, state))
    return plan


class Company:
    """The answers of one notebook: a right one may call a wrong or blank one above it, and then earns less than all.

    Args:
        solved: the solution notebook; answers may rely on what its setup cells import.
    """

    def __init__(self, solved: Any) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._wrong: list[str] = []
        exec(PREAMBLE, self._names)
        for cell in solved.cells:
            if kind_of(cell) == CellKind.SETUP:
                exec("\n".join(imports_of(cell.source)), self._names)

    def add_wrong(self, exercise: str, source: str) -> None:
        """Takes a wrong answer, or the stub of one that is not written."""
        self._wrong.append(exercise)
        exec(source, self._names)

    def verdict_on(self, exercise: Any, source: str) -> tuple[float, str]:
        """Takes a right answer: what it earns here, and the state that its card shows."""
        from course_lib.exercises import checking

        exec(source, self._names)
        if not any(re.search(rf"\b{name}\b", source) for name in self._wrong):
            return float(exercise.points), "right"
        result = checking.check(exercise, self._names[exercise.name])
        return float(result.score), str(result.state)


def imports_of(source: str) -> list[str]:
    """The import statements of a notebook's cell, each on one line; IPython's own lines are left out."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return [ast.unparse(node) for node in ast.parse("\n".join(lines)).body if isinstance(node, _IMPORTS)]


def partly_right(exercise: Any) -> tuple[str, str, float]:
    """A known mistake that earns at least half of the points, else the one that earns most.

    Returns:
        Its name, the source of an answer cell, and its score.
    """
    from course_lib.exercises import checking, judge_of

    found: list[tuple[str, str, float]] = []
    for mistake in judge_of(exercise).mistakes:
        source = as_answer(mistake.fn, exercise.name)
        namespace: dict[str, Any] = {"__name__": "__main__"}
        try:
            exec(compile(source, f"<{mistake.name}>", "exec"), namespace)
            answer = namespace[exercise.name]
        except Exception:  # a mistake that leans on its module cannot be pasted into a notebook
            continue
        result = checking.check(exercise, answer)
        if result.state == "wrong":
            found.append((mistake.name, source, float(result.score)))
            if result.score >= exercise.points / 2:
                break
    if not found:
        raise DemoError(f"No known mistake of {exercise.name} can be pasted into a notebook and is judged wrong.")
    return max(found, key=lambda each: each[2])


def as_answer(fn: Callable[..., Any], name: str) -> str:
    """A function's or class's source under another name, with the imports that answers may rely on."""
    source = textwrap.dedent(inspect.getsource(fn)).rstrip()
    renamed = re.sub(rf"(?<![\w.]){re.escape(fn.__name__)}\b", name, source)
    return f"{PREAMBLE}{renamed}\n"
