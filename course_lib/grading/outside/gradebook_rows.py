"""The rows of nbgrader's gradebook that a result becomes: units, students, notebooks, grades and comments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nbgrader.utils import parse_utc

from course_lib.grading.outside import feedback, pages
from course_lib.grading.outside.gradebook_access import GradebookError
from course_lib.grading.outside.pages import GradedNotebook
from course_lib.grading.outside.results import Verdict
from course_lib.notebooks import CHECK, COURSE_ID, nbgrader_of

NO_RESPONSE = "No response."  # nbgrader's own words


@dataclass(frozen=True)
class Change:
    """A score of the check that is not what it was; `by_person` is the score that a person gave and that stands."""

    student: str
    unit: str
    exercise: str
    before: float
    after: float
    by_person: float | None = None

    def __str__(self) -> str:
        stands = "" if self.by_person is None else f" (a person gave {self.by_person:g}, which stands: have a look)"
        return f"{self.student}, {self.unit}, {self.exercise}: {self.before:g} -> {self.after:g}{stands}"


# --- the unit ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A notebook of the unit as the gradebook knows it: ids of its rows, and of its grade and solution cells."""

    row: str
    grades: Mapping[str, str]
    points: Mapping[str, float]
    solutions: Mapping[str, str]


def prepare(url: str, unit: str, notebooks: Mapping[str, pages.Notebook]) -> None:
    """Sees to it that the gradebook knows the unit as released: nbgrader's own step, when anything differs."""
    import nbformat
    from nbgrader.api import Gradebook, MissingEntry
    from nbgrader.preprocessors import SaveCells

    path = url.partition(":///")[2].partition("?")[0]
    if url.startswith("sqlite") and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    stale = []
    with Gradebook(url, COURSE_ID) as book:
        try:
            book.find_assignment(unit)
        except MissingEntry:
            book.add_assignment(unit, course_id=COURSE_ID)
        for name, notebook in notebooks.items():
            try:
                row = book.find_notebook(name, unit)
            except MissingEntry:
                stale.append(name)
                continue
            known = {cell.name: float(cell.max_score) for cell in row.grade_cells}
            if (known, {cell.name for cell in row.solution_cells}) != _asked_for(notebook):
                stale.append(name)
    for name in stale:
        try:
            SaveCells().preprocess(
                nbformat.from_dict(notebooks[name]),
                {"nbgrader": {"notebook": name, "assignment": unit, "db_url": url}},
            )
        except RuntimeError as error:
            raise GradebookError(
                f"The gradebook holds submissions of {unit}, and cells were added to {name} or taken from it since. "
                "Nothing was changed. Finish grading with the release that they were written for, then move class/ "
                "away and release again."
            ) from error


def _asked_for(notebook: pages.Notebook) -> tuple[dict[str, float], set[str]]:
    """The points of each graded cell, and the cells that hold answers."""
    about = [nbgrader_of(cell) for cell in notebook["cells"]]
    return (
        {str(a["grade_id"]): float(a["points"]) for a in about if a.get("grade")},
        {str(a["grade_id"]) for a in about if a.get("solution")},
    )


def sheets_of(connection: Any, unit: str) -> dict[str, Sheet]:
    """The notebooks of a unit, by name."""
    from nbgrader import api
    from sqlalchemy import select

    base, grade_cell = api.BaseCell.__table__, api.GradeCell.__table__
    solution_cell, notebook = api.SolutionCell.__table__, api.Notebook.__table__
    assignment = api.Assignment.__table__
    found = connection.execute(
        select(notebook.c.id, notebook.c.name)
        .join(assignment, assignment.c.id == notebook.c.assignment_id)
        .where(assignment.c.name == unit)
    ).all()
    sheets = {}
    for row, name in found:
        graded = connection.execute(
            select(base.c.name, base.c.id, grade_cell.c.max_score)
            .join(grade_cell, grade_cell.c.id == base.c.id)
            .where(base.c.notebook_id == row)
        ).all()
        solved = connection.execute(
            select(base.c.name, base.c.id)
            .join(solution_cell, solution_cell.c.id == base.c.id)
            .where(base.c.notebook_id == row)
        ).all()
        sheets[name] = Sheet(
            row,
            {cell: cell_id for cell, cell_id, _ in graded},
            {cell: float(points) for cell, _, points in graded},
            dict(tuple(each) for each in solved),
        )
    connection.rollback()
    return sheets


# --- the students -----------------------------------------------------------------------------------------------------


Rows = dict[tuple[str, str], str]  # the row of each student's notebook, by (student, notebook)


def make_rows(
    connection: Any, unit: str, sheets: Mapping[str, Sheet], by_student: Sequence[Sequence[GradedNotebook]]
) -> Rows:
    """The rows of these students' notebooks, made with their grades and comments where they are not there yet."""
    names = [theirs[0].student for theirs in by_student]
    _make_students(connection, names)
    assignments = _assignment_rows(connection, unit, names)
    _note_timestamps(connection, assignments, by_student)
    rows = _notebook_rows(connection, assignments, sheets)
    _make_cell_rows(connection, rows, sheets)
    return rows


def _make_students(connection: Any, names: Sequence[str]) -> None:
    from nbgrader import api
    from sqlalchemy import insert, select

    student = api.Student.__table__
    known = set(connection.execute(select(student.c.id).where(student.c.id.in_(names))).scalars())
    new = [{"id": name} for name in names if name not in known]
    if new:
        connection.execute(insert(student), new)


def _assignment_rows(connection: Any, unit: str, names: Sequence[str]) -> dict[str, str]:
    """The row of the unit of each student, made where there is none."""
    from nbgrader import api
    from sqlalchemy import insert, select

    assignment, handed_in = api.Assignment.__table__, api.SubmittedAssignment.__table__
    unit_row = connection.execute(select(assignment.c.id).where(assignment.c.name == unit)).scalar_one()
    query = select(handed_in.c.student_id, handed_in.c.id).where(
        handed_in.c.assignment_id == unit_row, handed_in.c.student_id.in_(names)
    )
    present = dict(tuple(row) for row in connection.execute(query))
    new = [{"assignment_id": unit_row, "student_id": name} for name in names if name not in present]
    if new:
        connection.execute(insert(handed_in), new)
        present = dict(tuple(row) for row in connection.execute(query))
    return {name: present[name] for name in names}


def _note_timestamps(
    connection: Any, assignments: Mapping[str, str], by_student: Sequence[Sequence[GradedNotebook]]
) -> None:
    from nbgrader import api
    from sqlalchemy import update

    handed_in = api.SubmittedAssignment.__table__
    for theirs in by_student:
        stamp = next((s.timestamp for s in theirs if s.timestamp), None)
        if stamp:
            row = assignments[theirs[0].student]
            connection.execute(update(handed_in).where(handed_in.c.id == row).values(timestamp=parse_utc(stamp)))


def _notebook_rows(connection: Any, assignments: Mapping[str, str], sheets: Mapping[str, Sheet]) -> Rows:
    """The row of each student's notebooks, made where there is none."""
    from nbgrader import api
    from sqlalchemy import insert, select

    table = api.SubmittedNotebook.__table__
    student_of = {row: name for name, row in assignments.items()}
    name_of = {sheet.row: name for name, sheet in sheets.items()}
    found = connection.execute(
        select(table.c.id, table.c.assignment_id, table.c.notebook_id).where(table.c.assignment_id.in_(student_of))
    )
    rows = {(student_of[theirs], name_of[which]): row for row, theirs, which in found if which in name_of}
    missing = [(student, name) for student in assignments for name in sheets if (student, name) not in rows]
    rows |= {which: str(api.new_uuid()) for which in missing}
    if missing:
        new = [
            {"id": rows[student, name], "assignment_id": assignments[student], "notebook_id": sheets[name].row}
            for student, name in missing
        ]
        connection.execute(insert(table), new)
    return rows


def _make_cell_rows(connection: Any, rows: Rows, sheets: Mapping[str, Sheet]) -> None:
    """Grades and comments that are not there yet, such as those of cells that a later release of the unit added."""
    from nbgrader import api
    from sqlalchemy import insert, select

    tables: list[tuple[Any, Callable[[Sheet], Mapping[str, str]]]] = [
        (api.Grade.__table__, lambda sheet: sheet.grades),
        (api.Comment.__table__, lambda sheet: sheet.solutions),
    ]
    for table, cells_of in tables:
        query = select(table.c.notebook_id, table.c.cell_id).where(table.c.notebook_id.in_(list(rows.values())))
        present = {tuple(row) for row in connection.execute(query)}
        new = [
            {"notebook_id": row, "cell_id": cell}
            for (_, name), row in rows.items()
            for cell in cells_of(sheets[name]).values()
            if (row, cell) not in present
        ]
        if new:
            connection.execute(insert(table), new)


# --- the grades of one notebook ---------------------------------------------------------------------------------------


class _Given(NamedTuple):
    """What the check gives a cell: points, None where a person has to; and whether a person is needed."""

    score: float | None
    needs_person: bool


@dataclass
class Grades:
    """What the check gives the cells of one submission, to be written over what it gave before.

    Args:
        submission: the result and what was handed in.
        sheet: the notebook as the gradebook knows it.
        released: the released notebook.
        page: the autograded notebook as it will be.
        old_page: the bytes of the one that is there; None without one.

    Attributes:
        changes: scores that differ from those recorded before.
        problems: what an instructor should know.
        awaiting: written answers that a person has to grade.
    """

    submission: GradedNotebook
    sheet: Sheet
    released: pages.Notebook
    page: pages.Notebook
    old_page: bytes | None
    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    awaiting: int = 0

    def __post_init__(self) -> None:
        result = self.submission.result
        self._malformed = result.get("verdict") == Verdict.MALFORMED
        self._unreadable = bool(self.submission.data) and self._malformed
        self._entries = {str(entry.get("exercise")): entry for entry in result.get("exercises") or ()}
        self._stubs = pages.written_answers(self.released)
        self._before = pages.written_answers(self.old_page, self._stubs)
        self._answers = pages.written_answers(self.page, self._stubs)
        self._about = {str(a["grade_id"]): a for a in map(nbgrader_of, self.released["cells"]) if a}

    def write(self, connection: Any, row: str) -> None:
        """Writes scores, and whether a person is needed; never the columns that hold what a person gave."""
        from nbgrader import api
        from sqlalchemy import bindparam, select, update

        grade, comment = api.Grade.__table__, api.Comment.__table__
        name_of = {cell: name for name, cell in self.sheet.grades.items()}
        changed = []
        for old in connection.execute(select(grade).where(grade.c.notebook_id == row)).all():
            if old.cell_id in name_of:
                score, needs_person = self._given(name_of[old.cell_id], old)
                if old.auto_score != score or bool(old.needs_manual_grade) != needs_person:
                    changed.append({"row": old.id, "auto": score, "needs_person": needs_person})
        if changed:
            statement = update(grade).where(grade.c.id == bindparam("row"))
            values: dict[str, Any] = {"auto_score": bindparam("auto"), "needs_manual_grade": bindparam("needs_person")}
            connection.execute(statement.values(**values), changed)
        remarks = [{"cell": cell, "remark": self._remark(name)} for name, cell in self.sheet.solutions.items()]
        if remarks:
            statement = update(comment).where(comment.c.notebook_id == row, comment.c.cell_id == bindparam("cell"))
            connection.execute(statement.values(auto_comment=bindparam("remark")), remarks)

    def _given(self, name: str, old: Any) -> _Given:
        """What the check gives a cell, with what follows for a grade that stands already."""
        if self._about.get(name, {}).get("solution"):
            given = self._for_written_answer(name, old)
            self.awaiting += given.needs_person
        else:
            given = self._for_exercise(name, old)
        if old.auto_score is None or given.score is None or abs(old.auto_score - given.score) <= 0.005:
            return given
        by_person = None if old.manual_score is None else float(old.manual_score)
        student, unit, exercise = self.submission.student, self.submission.unit, name.removeprefix(CHECK)
        self.changes.append(Change(student, unit, exercise, float(old.auto_score), given.score, by_person))
        return given._replace(needs_person=given.needs_person or by_person is not None)

    def _for_written_answer(self, name: str, old: Any) -> _Given:
        answered = self._unreadable or self._answers.get(name, "").strip() != self._stubs.get(name, "").strip()
        if old.manual_score is None:
            return _Given(None if answered else 0.0, answered)
        edited = name in self._before and self._before[name] != self._answers.get(name)
        return _Given(None if answered else 0.0, bool(old.needs_manual_grade) or edited)

    def _for_exercise(self, name: str, old: Any) -> _Given:
        exercise = name.removeprefix(CHECK)
        entry = self._entries.get(exercise)
        if entry is None and not self._malformed:
            where = f"{self.submission.student}, {self.submission.unit}"
            self.problems.append(f"{where}: no result for {exercise}; 0 points")
        score = feedback.bounded((entry or {}).get("score"), self.sheet.points[name])
        return _Given(score, old.manual_score is not None and bool(old.needs_manual_grade))

    def _remark(self, name: str) -> str | None:
        unchanged = self._answers.get(name) == self._stubs.get(name)
        return NO_RESPONSE if unchanged and not self._unreadable else None
