"""Every grade as it stands in the gradebook: what the check gave, and what a person gave and wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.grading.outside.gradebook_access import GradebookError, address, connected, explained
from course_lib.notebooks import CHECK


@dataclass(frozen=True)
class Standing:
    """One grade as it stands: what counts, what the check gave, what a person gave and wrote."""

    student: str
    unit: str
    notebook: str
    name: str
    points: float
    auto_score: float | None
    manual_score: float | None
    extra_credit: float | None
    awaiting: bool
    written: bool
    comment: str | None = None

    @property
    def score(self) -> float | None:
        """Points that count, as in nbgrader; None while a person has still to give them."""
        given = self.manual_score if self.manual_score is not None else self.auto_score
        return None if given is None else given + (self.extra_credit or 0.0)


def standings(gradebook: Path | str, *, unit: str | None = None, student: str | None = None) -> list[Standing]:
    """Every grade in the gradebook, by student, unit and cell.

    Raises:
        GradebookError: there is no gradebook, or it cannot be read.
    """
    from nbgrader import api
    from sqlalchemy import select

    if not (isinstance(gradebook, str) and "://" in gradebook) and not Path(gradebook).is_file():
        raise GradebookError(f"There is no gradebook {gradebook} yet; `course grade` makes it.")
    grade, comment, grade_cell = api.Grade.__table__, api.Comment.__table__, api.GradeCell.__table__
    handed_in, assignment = api.SubmittedAssignment.__table__, api.Assignment.__table__
    notebook = api.Notebook.__table__
    grades = _rows(
        grade, grade_cell.c.max_score,
        grade.c.auto_score, grade.c.manual_score, grade.c.extra_credit, grade.c.needs_manual_grade,
    ).join(grade_cell, grade_cell.c.id == grade.c.cell_id)  # fmt: skip
    grades = grades.order_by(handed_in.c.student_id, assignment.c.name, notebook.c.name)
    comments = _rows(comment, comment.c.manual_comment)
    if unit:
        grades, comments = (query.where(assignment.c.name == unit) for query in (grades, comments))
    if student:
        grades, comments = (query.where(handed_in.c.student_id == student) for query in (grades, comments))
    base, solution = api.BaseCell.__table__, api.SolutionCell.__table__
    written = select(assignment.c.name, notebook.c.name, base.c.name).select_from(
        solution.join(base, base.c.id == solution.c.id)
        .join(notebook, notebook.c.id == base.c.notebook_id)
        .join(assignment, assignment.c.id == notebook.c.assignment_id)
    )
    found = []
    with explained(gradebook), connected(address(gradebook)) as connection:
        remarks = {tuple(row[:4]): row[4] for row in connection.execute(comments)}
        by_hand = {tuple(row) for row in connection.execute(written)}
        for who, which, sheet, cell, points, auto, manual, extra, awaiting in connection.execute(grades):
            # A remark about an answer stands at its own cell, the points at the check below it.
            texts = (remarks.get((who, which, sheet, name)) for name in (cell, cell.removeprefix(CHECK)))
            remark = next((text for text in texts if text), None)
            is_written = (which, sheet, cell) in by_hand
            about = (who, which, sheet, cell, float(points), auto, manual, extra, bool(awaiting), is_written, remark)
            found.append(Standing(*about))
    return found


def _rows(table: Any, *columns: Any) -> Any:
    """A query of a table about single cells: student, unit, notebook and cell by their names, then these columns."""
    from nbgrader import api
    from sqlalchemy import select

    handed_in, sheet = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
    assignment, notebook, base = api.Assignment.__table__, api.Notebook.__table__, api.BaseCell.__table__
    return (
        select(handed_in.c.student_id, assignment.c.name, notebook.c.name, base.c.name, *columns)
        .select_from(table)
        .join(sheet, sheet.c.id == table.c.notebook_id)
        .join(handed_in, handed_in.c.id == sheet.c.assignment_id)
        .join(assignment, assignment.c.id == handed_in.c.assignment_id)
        .join(notebook, notebook.c.id == sheet.c.notebook_id)
        .join(base, base.c.id == table.c.cell_id)
    )
