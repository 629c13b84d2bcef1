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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgrader.utils import parse_utc

from course_lib import files
from course_lib.grading.outside import gradebook_rows as rows
from course_lib.grading.outside import inert, pages
from course_lib.grading.outside.gradebook_access import GradebookError, address, connected, explained, writer_lock
from course_lib.grading.outside.gradebook_rows import Change
from course_lib.grading.outside.late import Late
from course_lib.grading.outside.pages import GradedNotebook
from course_lib.grading.outside.roster import refusal
from course_lib.notebooks import tools_on_path

__all__ = ["Change", "GradebookError", "Report", "as_lines", "paired", "record", "refusal", "writer_lock"]

MOST_NAMED = 10  # students in a line
TIMESTAMP, EXCHANGE_SECRET = "timestamp.txt", "submission_secret.txt"  # files of nbgrader's beside a notebook
BATCH = 40  # students per transaction: short enough for a person who saves a grade in formgrader meanwhile


@dataclass
class Report:
    """What `record` did.

    Attributes:
        recorded: submissions written.
        changes: scores that differ from those recorded before.
        refused: students whose name the gradebook cannot take, each with the reason; nothing of theirs is written.
        problems: what an instructor should know about what was written.
        awaiting: written answers that a person has to grade.
        absent: (student, unit) with grades from before that are not among the submissions any more.
        late: what was handed in late, and what it costs.
    """

    recorded: int = 0
    changes: list[Change] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    awaiting: int = 0
    absent: list[tuple[str, str]] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)


def record(
    submissions: Iterable[GradedNotebook],
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
        GradebookError: another grader is writing, or the gradebook or the folder cannot be written, or the converter
            of texts does not work. What was written before is whole, and the results stay where they are: run again
            to write the rest.
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
    fault = inert.converter_fault()
    if fault:
        raise GradebookError(
            f"Pages cannot be written: nbconvert cannot convert a plain text ({fault}). Its version and mistune's do "
            "not fit each other: `pip install --upgrade nbconvert mistune`. Nothing was changed and the results are "
            "kept: run the same command again then."
        )
    accepted.sort(key=lambda s: (s.unit, s.student, s.notebook))
    url = address(gradebook, wait=wait)
    with writer_lock(autograded.parent, wait=wait), explained(gradebook), tools_on_path():
        for unit, group in itertools.groupby(accepted, key=lambda s: s.unit):
            theirs = list(group)
            notebooks = _released_notebooks(released, unit, theirs)
            rows.prepare(url, unit, notebooks)
            by_student = [list(each) for _, each in itertools.groupby(theirs, key=lambda s: s.student)]
            with connected(url) as connection:
                writer = _Writer(connection, unit, notebooks, autograded)
                for start in range(0, len(by_student), BATCH):
                    writer.write(by_student[start : start + BATCH], report)
    return report


def paired(
    results: Iterable[Mapping[str, Any]], handed_in: Iterable[Any], *, folder: Path | None = None
) -> list[GradedNotebook]:
    """Results with the notebooks they were computed from, as `record` takes them.

    Args:
        results: result records.
        handed_in: submissions as found: each with student, unit, notebook and data.
        folder: where they were found, for what nbgrader puts beside a notebook: timestamp.txt and the secret of its
            exchange; None when it is a zip.
    """
    data = {(one.student, one.unit, one.notebook): one.data for one in handed_in}
    return [
        GradedNotebook(
            result,
            data.get((str(result["student"]), str(result["unit"]), str(result["notebook"]))) or None,
            _timestamp(folder, str(result["student"]), str(result["unit"])),
            _beside(folder, str(result["student"]), str(result["unit"]), EXCHANGE_SECRET),
        )
        for result in results
    ]


def as_lines(report: Report) -> list[str]:
    """A report in lines for a terminal."""
    lines = [f"Recorded {report.recorded} submissions; {report.awaiting} written answers await a person."]
    lines += [f"Changed: {change}" for change in report.changes]
    lines += [f"Not recorded: student {json.dumps(student[:60])}: {reason}." for student, reason in report.refused]
    lines += [f"Note: {problem}." for problem in report.problems]
    lines += [f"Late: {each}." for each in report.late]
    for unit, group in itertools.groupby(sorted(report.absent, key=lambda each: each[::-1]), key=lambda each: each[1]):
        students = [student for student, _ in group]
        named = ", ".join(json.dumps(student[:60], ensure_ascii=False) for student in students[:MOST_NAMED])
        more = ", ..." if len(students) > MOST_NAMED else ""
        lines.append(f"Graded before in {unit}, and not among these submissions ({len(students)}): {named}{more}.")
    if report.absent:
        lines.append(
            "  Their points stay in gradebook.db and grades.csv, where a flag says so. If a student was renamed or"
        )
        lines.append("  has withdrawn, take the old name out: nbgrader db student remove NAME --force")
    return lines


def _timestamp(folder: Path | None, student: str, unit: str) -> str | None:
    text = _beside(folder, student, unit, TIMESTAMP)
    try:
        parse_utc(text or "")
    except (ValueError, OverflowError):  # a date that cannot be read does not keep a grade back
        return None
    return text


def _beside(folder: Path | None, student: str, unit: str, name: str) -> str | None:
    """What a small file beside a notebook holds."""
    if folder is None or refusal(student):
        return None
    path = folder / student / unit / name
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 200:
            return None
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _released_notebooks(folder: Path, unit: str, submissions: Sequence[GradedNotebook]) -> dict[str, pages.Notebook]:
    names = {path.stem for path in (folder / unit).glob("*.ipynb")} | {s.notebook for s in submissions}
    return {name: pages.read_released(folder, unit, name) for name in sorted(names)}


class _Writer:
    """Writes the submissions of one unit, some students at a time."""

    def __init__(self, connection: Any, unit: str, notebooks: Mapping[str, pages.Notebook], autograded: Path) -> None:
        self.connection, self.unit, self.notebooks, self.autograded = connection, unit, notebooks, autograded
        self.sheets = rows.sheets_of(connection, unit)

    def write(self, by_student: Sequence[Sequence[GradedNotebook]], report: Report) -> None:
        """Rows and pages of some students. Pages are written aside before the commit and put in place after it."""
        done = Report()
        try:
            with contextlib.ExitStack() as asides:
                if self.connection.dialect.name == "sqlite":
                    self.connection.exec_driver_sql("BEGIN IMMEDIATE")  # what is read below is true until the commit
                rows_of = rows.make_rows(self.connection, self.unit, self.sheets, by_student)
                staged: list[tuple[Path, Path]] = []
                for submission in itertools.chain.from_iterable(by_student):
                    row = rows_of[submission.student, submission.notebook]
                    for path, content in self._record(submission, row, done).items():
                        staged.append((asides.enter_context(files.written_aside(path, content)), path))
                self.connection.commit()
                for aside, path in staged:
                    os.replace(aside, path)
        except BaseException:
            self.connection.rollback()
            raise
        report.recorded += done.recorded
        report.changes += done.changes
        report.problems += done.problems
        report.awaiting += done.awaiting

    def _record(self, submission: GradedNotebook, row: str, done: Report) -> dict[Path, bytes]:
        """Writes the grades of a submission; returns the files that differ from what is there."""
        folder = self.autograded / submission.student / self.unit
        path = folder / f"{submission.notebook}.ipynb"
        old = path.read_bytes() if path.is_file() else None
        released = self.notebooks[submission.notebook]
        page = pages.page_of(submission, released)
        grades = rows.Grades(submission, self.sheets[submission.notebook], released, page, old)
        grades.write(self.connection, row)
        done.changes += grades.changes
        done.problems += grades.problems
        done.awaiting += grades.awaiting
        done.recorded += 1
        content = pages.page_text(page)
        changed = {} if content == old else {path: content}
        if submission.timestamp:
            changed[folder / TIMESTAMP] = f"{submission.timestamp.strip()}\n".encode()
        if submission.secret:  # nbgrader's release_feedback names the student's page by it
            changed[folder / EXCHANGE_SECRET] = submission.secret.encode()
        return changed
