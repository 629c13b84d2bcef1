"""The one writer: result files into nbgrader's gradebook and class/autograded/, so that all of stock nbgrader goes on.

`record` may be run again and again: it writes what the results say and nothing else. Scores, extra credit and comments
that a person gave are never touched; when the check's own score changes under a person's, the grade is marked for
another look. Rows and pages go together, a few dozen submissions at a time, so that an interruption leaves no half.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import tempfile
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgrader.utils import parse_utc

from course_lib.authoring import release
from course_lib.grading.outside import feedback, pages
from course_lib.grading.outside.pages import CHECK, Submission, nbgrader_of

BATCH = 40  # submissions a transaction: short enough for a person who saves a grade in formgrader meanwhile
NO_RESPONSE = "No response."  # nbgrader's own words


class GradebookError(Exception):
    """The gradebook cannot be written; the text says why, what stands, and what to do."""


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


@dataclass
class Report:
    """What `record` did.

    Attributes:
        recorded: submissions written.
        changes: scores that differ from those recorded before.
        refused: students whose name the gradebook cannot take, each with the reason; nothing of theirs is written.
        problems: what an instructor should know about what was written.
        awaiting: written answers that a person has to grade.
    """

    recorded: int = 0
    changes: list[Change] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    awaiting: int = 0


def paired(
    results: Iterable[Mapping[str, Any]], handed_in: Iterable[Any], *, place: Path | None = None
) -> list[Submission]:
    """Results with the notebooks they were computed from, as `record` takes them.

    Args:
        results: result records.
        handed_in: submissions as found: each with student, unit, notebook and data.
        place: the folder they were found in, for nbgrader's timestamp.txt beside a notebook; None when it is a zip.
    """
    data = {(one.student, one.unit, one.notebook): one.data for one in handed_in}
    return [
        Submission(
            result,
            data.get((str(result["student"]), str(result["unit"]), str(result["notebook"]))) or None,
            _timestamp(place, str(result["student"]), str(result["unit"])),
        )
        for result in results
    ]


def _timestamp(place: Path | None, student: str, unit: str) -> str | None:
    if place is None or refusal(student):
        return None
    path = place / student / unit / "timestamp.txt"
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 200:
            return None
        text = path.read_text(encoding="utf-8").strip()
        parse_utc(text)
    except (OSError, ValueError, OverflowError):  # a date that says nothing is no reason to keep a grade back
        return None
    return text or None


def record(
    submissions: Iterable[Submission],
    *,
    gradebook: Path | str,
    autograded: Path,
    released: Path,
    wait: float = 10.0,
) -> Report:
    """Writes results into nbgrader's gradebook, and the autograded notebooks beside it.

    Args:
        submissions: results with the notebooks they were computed from; any order, any number of units.
        gradebook: nbgrader's data base, a path or an SQLAlchemy address; made when it is not there.
        autograded: the folder of autograded notebooks, class/autograded.
        released: the folder of released notebooks, notebooks/.
        wait: seconds to wait for another writer before giving up.

    Raises:
        GradebookError: another grader is writing, or the gradebook or the folder cannot be written. What was written
            before is whole, and the results stay where they are: run again to write the rest.
        FileNotFoundError: a unit has no released notebook.
    """
    report = Report()
    accepted = []
    for submission in submissions:
        reason = refusal(submission.student)
        if reason:
            report.refused.append((submission.student, reason))
        else:
            accepted.append(submission)
    if not accepted:
        return report
    accepted.sort(key=lambda s: (s.unit, s.student, s.name))
    url = address(gradebook, wait=wait)
    with writer_lock(autograded.parent, wait=wait), explained(gradebook), release.tools_on_path():
        for unit, group in itertools.groupby(accepted, key=lambda s: s.unit):
            theirs = list(group)
            notebooks = _released_notebooks(released, unit, theirs)
            _prepare(url, unit, notebooks)
            by_student = [list(each) for _, each in itertools.groupby(theirs, key=lambda s: s.student)]
            with _connection(url) as connection:
                layout = _layout(connection, unit)
                for start in range(0, len(by_student), BATCH):
                    batch = by_student[start : start + BATCH]
                    _write_batch(connection, unit, layout, batch, notebooks, autograded, report)
    return report


def refusal(student: str) -> str:
    """Why a student's name can be neither a folder nor a row of the gradebook; "" when it can."""
    if not student or student != student.strip():
        return "a name must not be empty, nor begin or end with a space"
    if student.startswith("."):
        return "nbgrader does not see folders whose name begins with a dot"
    if "/" in student or "\\" in student:
        return "a name must not hold a slash"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in student):
        return "a name must not hold control characters"
    if len(student.encode()) > 128:
        return "a name must not be longer than 128 bytes"
    return ""


def address(gradebook: Path | str, *, wait: float = 10.0) -> str:
    """The SQLAlchemy address of a gradebook; for SQLite with the seconds to wait for a lock in it."""
    if isinstance(gradebook, str) and "://" in gradebook:
        return gradebook
    return f"sqlite:///{Path(gradebook).absolute()}?timeout={wait:g}"


# --- one writer at a time, and errors in words ----------------------------------------------------------------------


@contextlib.contextmanager
def writer_lock(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Holds the right to write grades under `folder`; a second writer waits, then is refused by name.

    Raises:
        GradebookError: another process holds it, or the folder cannot be written.
    """
    import fcntl

    path = folder / ".grading.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - closed below, after the lock is let go
    except OSError as error:
        raise GradebookError(f"{path} cannot be written: {error.strerror}. No grade was changed.") from error
    with handle:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    handle.seek(0)
                    holder = handle.read(200).strip() or "another process"
                    raise GradebookError(
                        f"Grades under {folder} are being written by {holder}. Nothing was changed and the results are "
                        "kept: run the same command again when it is done."
                    ) from error
                time.sleep(0.1)
        holder = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%H:%M:%S')}"
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same, and only the name is missing
            os.ftruncate(handle.fileno(), 0)
            os.write(handle.fileno(), holder.encode())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle.fileno(), 0)
            fcntl.flock(handle, fcntl.LOCK_UN)


@contextlib.contextmanager
def explained(gradebook: Path | str) -> Iterator[None]:
    """Turns what a data base or a disk says into a sentence that says what to do."""
    from nbgrader.api import InvalidEntry, app_log
    from sqlalchemy.exc import DBAPIError

    silent, app_log.disabled = app_log.disabled, True  # nbgrader prints pages of traceback before it raises
    kept = "What was written before is whole and the results are kept: run the same command again afterwards."
    try:
        yield
    except (DBAPIError, InvalidEntry) as error:  # nbgrader wraps some of what its data base says
        said = (str(getattr(error, "orig", error)).splitlines() or [type(error).__name__])[0]
        if "locked" in said:
            advice = "another program is writing to it; is a grade being saved in formgrader, or nbgrader running?"
        elif "no such column" in said or "no such table" in said:
            advice = "it was made by another version of nbgrader; back it up, then run `nbgrader db upgrade`."
        elif "not a database" in said or "malformed" in said:
            advice = "it is damaged or no gradebook at all; put a copy of it back, or move it away to start a new one."
        elif "full" in said:
            advice = "there is no room left on its disk; make some."
        else:
            advice = "is its folder there, and may you write to it?"
        raise GradebookError(f"The gradebook {gradebook} cannot be written ({said}): {advice} {kept}") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not error.filename:
            raise  # a released notebook that is missing: already a sentence
        where = error.filename or gradebook
        raise GradebookError(f"{where} cannot be written: {error.strerror or error}. {kept}") from error
    finally:
        app_log.disabled = silent


@contextlib.contextmanager
def _connection(url: str) -> Iterator[Any]:
    """A connection for plain statements: nbgrader's objects count every score on every look, which a class feels."""
    from sqlalchemy import create_engine

    engine = create_engine(url, future=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


# --- the unit in the gradebook --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sheet:
    """A notebook of the unit as the gradebook knows it: ids of its rows, and of its grade and solution cells."""

    row: str
    grades: Mapping[str, str]
    points: Mapping[str, float]
    solutions: Mapping[str, str]


def _released_notebooks(folder: Path, unit: str, submissions: Sequence[Submission]) -> dict[str, pages.Notebook]:
    names = {path.stem for path in (folder / unit).glob("*.ipynb")} | {s.name for s in submissions}
    return {name: pages.read_released(folder, unit, name) for name in sorted(names)}


def _prepare(url: str, unit: str, notebooks: Mapping[str, pages.Notebook]) -> None:
    """Sees to it that the gradebook knows the unit as released: nbgrader's own step, when anything differs."""
    import nbformat
    from nbgrader.api import Gradebook, MissingEntry
    from nbgrader.preprocessors import SaveCells

    path = url.partition(":///")[2].partition("?")[0]
    if url.startswith("sqlite") and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    stale = []
    with Gradebook(url, release.COURSE_ID) as book:
        try:
            book.find_assignment(unit)
        except MissingEntry:
            book.add_assignment(unit, course_id=release.COURSE_ID)
        for name, notebook in notebooks.items():
            try:
                row = book.find_notebook(name, unit)
            except MissingEntry:
                stale.append(name)
                continue
            wanted_points, wanted_solutions = _asked_for(notebook)
            known = {cell.name: float(cell.max_score) for cell in row.grade_cells}
            if known != wanted_points or {cell.name for cell in row.solution_cells} != wanted_solutions:
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
    about = [nbgrader_of(cell) for cell in notebook["cells"]]
    return (
        {str(a["grade_id"]): float(a["points"]) for a in about if a.get("grade")},
        {str(a["grade_id"]) for a in about if a.get("solution")},
    )


def _layout(connection: Any, unit: str) -> dict[str, _Sheet]:
    from nbgrader import api
    from sqlalchemy import select

    base, grade_cell = api.BaseCell.__table__, api.GradeCell.__table__
    solution_cell = api.SolutionCell.__table__
    found = connection.execute(
        select(api.Notebook.__table__.c.id, api.Notebook.__table__.c.name)
        .join(api.Assignment.__table__, api.Assignment.__table__.c.id == api.Notebook.__table__.c.assignment_id)
        .where(api.Assignment.__table__.c.name == unit)
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
        sheets[name] = _Sheet(
            row,
            {cell: cell_id for cell, cell_id, _ in graded},
            {cell: float(points) for cell, _, points in graded},
            dict(tuple(each) for each in solved),
        )
    connection.rollback()
    return sheets


# --- one batch of students ------------------------------------------------------------------------------------------


def _write_batch(
    connection: Any,
    unit: str,
    layout: Mapping[str, _Sheet],
    batch: Sequence[Sequence[Submission]],
    notebooks: Mapping[str, pages.Notebook],
    autograded: Path,
    report: Report,
) -> None:
    """Rows and pages of some students. Pages are written aside before the commit and put in place after it."""
    done, staged = Report(), []
    try:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # what is read below stays true until the commit
        rows = _submission_rows(connection, unit, layout, batch)
        for submission in itertools.chain.from_iterable(batch):
            released = notebooks[submission.name]
            folder = autograded / submission.student / unit
            path = folder / f"{submission.name}.ipynb"
            before = pages.written_answers(path.read_bytes()) if path.is_file() else {}
            page = pages.page_of(submission, released)
            _write_grades(
                connection, submission, layout[submission.name], rows[submission.student, submission.name],
                page=page, before=before, released=released, report=done,
            )  # fmt: skip
            content = pages.page_text(page)
            if not path.is_file() or path.read_bytes() != content:
                staged.append((_written_aside(path, content), path))
            if submission.timestamp:
                path, content = folder / "timestamp.txt", f"{submission.timestamp.strip()}\n".encode()
                staged.append((_written_aside(path, content), path))
            done.recorded += 1
        connection.commit()
        for aside, path in staged:
            os.replace(aside, path)
    except BaseException:
        connection.rollback()
        for aside, _ in staged:
            aside.unlink(missing_ok=True)
        raise
    report.recorded += done.recorded
    report.changes += done.changes
    report.problems += done.problems
    report.awaiting += done.awaiting


def _written_aside(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chmod(name, 0o644)
    return Path(name)


def _submission_rows(
    connection: Any, unit: str, layout: Mapping[str, _Sheet], batch: Sequence[Sequence[Submission]]
) -> dict[tuple[str, str], str]:
    """The row of each student's notebooks, made with its grades and comments where it is not there yet."""
    from nbgrader import api
    from sqlalchemy import insert, select, update

    student, assignment = api.Student.__table__, api.Assignment.__table__
    handed_in, sheet = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
    grade, comment = api.Grade.__table__, api.Comment.__table__
    names = [theirs[0].student for theirs in batch]
    known = set(connection.execute(select(student.c.id).where(student.c.id.in_(names))).scalars())
    new = [{"id": name} for name in names if name not in known]
    if new:
        connection.execute(insert(student), new)
    unit_row = connection.execute(select(assignment.c.id).where(assignment.c.name == unit)).scalar_one()

    def all_of() -> dict[str, str]:
        found = connection.execute(
            select(handed_in.c.student_id, handed_in.c.id).where(
                handed_in.c.assignment_id == unit_row, handed_in.c.student_id.in_(names)
            )
        )
        return dict(tuple(row) for row in found)

    present = all_of()
    new = [{"assignment_id": unit_row, "student_id": name} for name in names if name not in present]
    if new:
        connection.execute(insert(handed_in), new)
        present = all_of()
    for theirs in batch:
        stamp = next((s.timestamp for s in theirs if s.timestamp), None)
        if stamp:
            row = present[theirs[0].student]
            connection.execute(update(handed_in).where(handed_in.c.id == row).values(timestamp=parse_utc(stamp)))
    student_of = {row: name for name, row in present.items()}
    notebook_of = {each.row: name for name, each in layout.items()}
    found = connection.execute(
        select(sheet.c.id, sheet.c.assignment_id, sheet.c.notebook_id).where(sheet.c.assignment_id.in_(student_of))
    )
    rows = {(student_of[theirs], notebook_of[which]): row for row, theirs, which in found if which in notebook_of}
    missing = [(who, name) for who in names for name in layout if (who, name) not in rows]
    for who, name in missing:
        rows[who, name] = api.new_uuid()
    if missing:
        connection.execute(
            insert(sheet),
            [
                {"id": rows[who, name], "assignment_id": present[who], "notebook_id": layout[name].row}
                for who, name in missing
            ],
        )
    # rows of single cells: those that nbgrader made, and those that a later release of the unit added
    for table, cells_of in ((grade, lambda s: s.grades), (comment, lambda s: s.solutions)):
        have = {
            tuple(row)
            for row in connection.execute(
                select(table.c.notebook_id, table.c.cell_id).where(table.c.notebook_id.in_(list(rows.values())))
            )
        }
        fresh = [
            {"notebook_id": row, "cell_id": cell}
            for (_, name), row in rows.items()
            for cell in cells_of(layout[name]).values()
            if (row, cell) not in have
        ]
        if fresh:
            connection.execute(insert(table), fresh)
    return rows


def _write_grades(
    connection: Any,
    submission: Submission,
    sheet: _Sheet,
    row: str,
    *,
    page: pages.Notebook,
    before: Mapping[str, str],
    released: pages.Notebook,
    report: Report,
) -> None:
    """The check's own scores and whether a person must look; never the columns that hold what a person gave."""
    from nbgrader import api
    from sqlalchemy import bindparam, select, update

    grade, comment = api.Grade.__table__, api.Comment.__table__
    name_of = {cell: name for name, cell in sheet.grades.items()}
    standing = {
        name_of[each.cell_id]: each
        for each in connection.execute(select(grade).where(grade.c.notebook_id == row))
        if each.cell_id in name_of
    }
    entries = {str(entry.get("exercise")): entry for entry in submission.result.get("exercises") or ()}
    answers, stubs = pages.written_answers(page), pages.written_answers(released)
    unreadable = bool(submission.notebook) and submission.result.get("verdict") == "malformed"
    about = {str(a["grade_id"]): a for a in map(nbgrader_of, released["cells"]) if a}
    changed = []
    for name, old in standing.items():
        if about.get(name, {}).get("solution"):
            answered = unreadable or answers.get(name, "").strip() != stubs.get(name, "").strip()
            auto = None if answered else 0.0
            again = old.manual_score is not None and name in before and before[name] != answers.get(name)
            look = answered if old.manual_score is None else (bool(old.needs_manual_grade) or again)
            report.awaiting += look
        else:
            exercise = name.removeprefix(CHECK)
            entry = entries.get(exercise)
            if entry is None and submission.result.get("verdict") != "malformed":
                report.problems.append(f"{submission.student}, {submission.unit}: no result for {exercise}; 0 points")
            auto = feedback.bounded((entry or {}).get("score"), sheet.points[name])
            look = old.manual_score is not None and bool(old.needs_manual_grade)
        if old.auto_score is not None and auto is not None and abs(old.auto_score - auto) > 0.005:
            look = look or old.manual_score is not None
            by_person = None if old.manual_score is None else float(old.manual_score)
            exercise = name.removeprefix(CHECK)
            report.changes.append(
                Change(submission.student, submission.unit, exercise, float(old.auto_score), auto, by_person)
            )
        if old.auto_score != auto or bool(old.needs_manual_grade) != look:
            changed.append({"row": old.id, "auto": auto, "look": look})
    if changed:
        connection.execute(
            update(grade)
            .where(grade.c.id == bindparam("row"))
            .values(auto_score=bindparam("auto"), needs_manual_grade=bindparam("look")),
            changed,
        )
    remarks = [
        {"cell": cell, "remark": NO_RESPONSE if answers.get(name) == stubs.get(name) and not unreadable else None}
        for name, cell in sheet.solutions.items()
    ]
    if remarks:
        connection.execute(
            update(comment)
            .where(comment.c.notebook_id == row, comment.c.cell_id == bindparam("cell"))
            .values(auto_comment=bindparam("remark")),
            remarks,
        )


# --- reading it back ------------------------------------------------------------------------------------------------


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
    base, grade_cell, solution = api.BaseCell.__table__, api.GradeCell.__table__, api.SolutionCell.__table__
    grade, comment = api.Grade.__table__, api.Comment.__table__
    handed_in, sheet = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
    assignment, notebook = api.Assignment.__table__, api.Notebook.__table__
    query = (
        select(
            handed_in.c.student_id, assignment.c.name, notebook.c.name, base.c.name, grade_cell.c.max_score,
            grade.c.auto_score, grade.c.manual_score, grade.c.extra_credit, grade.c.needs_manual_grade,
        )
        .select_from(grade)
        .join(sheet, sheet.c.id == grade.c.notebook_id)
        .join(handed_in, handed_in.c.id == sheet.c.assignment_id)
        .join(assignment, assignment.c.id == handed_in.c.assignment_id)
        .join(notebook, notebook.c.id == sheet.c.notebook_id)
        .join(base, base.c.id == grade.c.cell_id)
        .join(grade_cell, grade_cell.c.id == base.c.id)
        .order_by(handed_in.c.student_id, assignment.c.name, notebook.c.name)
    )  # fmt: skip
    remarks = (
        select(handed_in.c.student_id, assignment.c.name, notebook.c.name, base.c.name, comment.c.manual_comment)
        .select_from(comment)
        .join(sheet, sheet.c.id == comment.c.notebook_id)
        .join(handed_in, handed_in.c.id == sheet.c.assignment_id)
        .join(assignment, assignment.c.id == handed_in.c.assignment_id)
        .join(notebook, notebook.c.id == sheet.c.notebook_id)
        .join(base, base.c.id == comment.c.cell_id)
    )
    written = select(assignment.c.name, notebook.c.name, base.c.name).select_from(
        solution.join(base, base.c.id == solution.c.id)
        .join(notebook, notebook.c.id == base.c.notebook_id)
        .join(assignment, assignment.c.id == notebook.c.assignment_id)
    )
    if unit:
        query, remarks = query.where(assignment.c.name == unit), remarks.where(assignment.c.name == unit)
    if student:
        query = query.where(handed_in.c.student_id == student)
        remarks = remarks.where(handed_in.c.student_id == student)
    with explained(gradebook), _connection(address(gradebook)) as connection:
        said = {tuple(row[:4]): row[4] for row in connection.execute(remarks)}
        by_hand = {tuple(row) for row in connection.execute(written)}
        found = []
        for who, which, sheet_name, cell, points, auto, manual, extra, look in connection.execute(query):
            # what is said about an answer stands at its own cell, the points at the check below it
            comments = (said.get((who, which, sheet_name, name)) for name in (cell, cell.removeprefix(CHECK)))
            is_written = (which, sheet_name, cell) in by_hand
            remark = next((text for text in comments if text), None)
            found.append(
                Standing(
                    who, which, sheet_name, cell, float(points), auto, manual, extra, bool(look), is_written, remark
                )
            )
        return found


def as_lines(report: Report) -> list[str]:
    """A report in lines for a terminal."""
    lines = [f"Recorded {report.recorded} submissions; {report.awaiting} written answers await a person."]
    lines += [f"Changed: {change}" for change in report.changes]
    lines += [f"Not recorded: student {json.dumps(student)}: {reason}." for student, reason in report.refused]
    lines += [f"Note: {problem}." for problem in report.problems]
    return lines
