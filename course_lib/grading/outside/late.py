"""Late work, by nbgrader's own plugin: what nbgrader's autograde does about it, for grades that `course grade` wrote.

When a unit is due stands in class/dates.csv, and comes into the gradebook from there. For a unit without a row in that
file, `nbgrader db assignment add UNIT --duedate "2026-03-01 23:59 UTC"` puts it there. When it was handed in is
nbgrader's timestamp.txt. What that costs says the plugin that nbgrader_config.py names, for example
`c.LateSubmissionPlugin.penalty_method = "zero"`; by default it costs nothing.
https://nbgrader.readthedocs.io/en/stable/plugins/late-plugin.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.grading.outside import dates
from course_lib.grading.outside.gradebook_access import GradebookError, address, connected, explained
from course_lib.grading.outside.submission import BadSubmissions
from course_lib.notebooks import COURSE_ID

CONFIG = "nbgrader_config.py"


@dataclass(frozen=True)
class Late:
    """A unit that a student handed in late, and the points that it costs."""

    student: str
    unit: str
    seconds: float
    penalty: float

    def __str__(self) -> str:
        hours = self.seconds / 3600
        late = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
        return f"{self.student}, {self.unit}: {late} late, {self.penalty:g} points off"


def assign(book: Path | str, units: Iterable[str], folder: Path) -> list[Late]:
    """Has the plugin say what late work costs, and writes it into the gradebook; returns what is late.

    Args:
        book: the gradebook.
        units: the units that were graded.
        folder: the class folder; its nbgrader_config.py counts, else that of the folder above.

    Raises:
        GradebookError: dates.csv cannot be read, nbgrader_config.py or its plugin does not work, or the gradebook
            cannot be written.
    """
    import nbformat
    from nbgrader.api import Gradebook, MissingEntry
    from nbgrader.preprocessors import AssignLatePenalties

    found: list[Late] = []
    url = address(book)
    try:
        calendar = dates.read(folder)
    except BadSubmissions as fault:
        raise GradebookError(f"What is late is not known: {fault} All grades are written.") from None
    config: Any = None
    with explained(book), Gradebook(url, COURSE_ID) as gradebook:
        for unit in sorted(set(units)):
            try:
                assignment = gradebook.find_assignment(unit)
            except MissingEntry:
                continue
            if unit in calendar:
                assignment.duedate = calendar[unit].due_in_gradebook
                gradebook.db.commit()
            late = []
            for submission in assignment.submissions:
                if submission.total_seconds_late > 0:
                    late.append((submission.student_id, submission.total_seconds_late))
                    continue
                for notebook in submission.notebooks:  # an extension was given since, or the deadline taken out
                    notebook.late_submission_penalty = None
            names = [notebook.name for notebook in assignment.notebooks]
            gradebook.db.commit()
            config = _config(folder) if late and config is None else config
            for student, seconds in late:
                for name in names:
                    resources = {"notebook": name, "assignment": unit, "student": student, "db_url": url}
                    try:
                        preprocessor = AssignLatePenalties(config=config)
                        preprocessor.log.setLevel(logging.ERROR)  # it warns of every late notebook
                        preprocessor.preprocess(nbformat.v4.new_notebook(), {"nbgrader": resources})
                    except MissingEntry:
                        continue
                    except Exception as fault:
                        raise GradebookError(
                            f"The plugin for late work failed on {student}, {unit} ({type(fault).__name__}: {fault}). "
                            f"Correct it in {CONFIG}, then run the same command again. All grades are written."
                        ) from fault
                gradebook.db.expire_all()
                penalty = gradebook.find_submission(unit, student).late_submission_penalty
                found.append(Late(student, unit, seconds, float(penalty or 0.0)))
    return found


def _config(folder: Path) -> Any:
    from traitlets.config.loader import Config, PyFileConfigLoader

    for place in (folder, folder.parent):
        if (place / CONFIG).is_file():
            try:
                return PyFileConfigLoader(CONFIG, path=str(place)).load_config()
            except Exception as fault:
                raise GradebookError(
                    f"{place / CONFIG} does not run ({type(fault).__name__}: {fault}), so what late work costs is not "
                    "known. Correct it, then run the same command again. All grades are written."
                ) from fault
    return Config()


def penalties(book: Path | str) -> dict[tuple[str, str], float]:
    """The points that late work costs, by student and unit; only those that are not 0."""
    from nbgrader import api
    from sqlalchemy import func, select

    handed_in, sheet = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
    assignment = api.Assignment.__table__
    query = (
        select(handed_in.c.student_id, assignment.c.name, func.sum(sheet.c.late_submission_penalty))
        .select_from(sheet)
        .join(handed_in, handed_in.c.id == sheet.c.assignment_id)
        .join(assignment, assignment.c.id == handed_in.c.assignment_id)
        .group_by(handed_in.c.student_id, assignment.c.name)
    )
    with explained(book), connected(address(book)) as connection:
        return {(str(who), str(unit)): float(off) for who, unit, off in connection.execute(query) if off}
