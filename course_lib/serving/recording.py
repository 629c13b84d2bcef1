"""Results go where all other commands look for them: class/results, the gradebook, class/grades.csv.

Of a student's attempts at a notebook the one that counts goes there. The worker that is idle does it for all, so that a
class of uploads is one visit to the gradebook.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside import results
from course_lib.grading.outside.locks import try_lock
from course_lib.grading.outside.outputs import without_outputs
from course_lib.grading.outside.recognizing import Which
from course_lib.grading.outside.submission import Submission, packed
from course_lib.serving import queue
from course_lib.serving.classroom import Classroom
from course_lib.serving.database import attempts, students

_log = logging.getLogger("course.serve")


def submission_of(room: Classroom, student: str, which: Which, number: int) -> Submission:
    """An attempt as `course grade` would find it; its `problem` says when its file is gone."""
    path = kept.Shelf(room.folder, student, which).path(number)
    try:
        return Submission(student, which.unit, which.notebook, packed(without_outputs(path.read_bytes())))
    except OSError as fault:
        return Submission(student, which.unit, which.notebook, b"", f"the notebook cannot be read: {fault.strerror}.")


def record(room: Classroom) -> int:
    """Writes the results that the gradebook does not have yet; returns how many attempts that settled.

    Raises:
        DatabaseError, GradebookError, ResultsError: something cannot be written; it is tried again.
    """
    room.place.own.mkdir(parents=True, exist_ok=True)
    with open(room.place.own / "recording.lock", "w") as lock:
        if not try_lock(lock):  # another worker is at it
            return 0
        return _record(room)


def _record(room: Classroom) -> int:
    columns = (attempts.c.id, attempts.c.round, attempts.c.unit, attempts.c.notebook, attempts.c.number)
    pending = (
        select(*columns, students.c.student)
        .join(students)
        .where(attempts.c.state == queue.State.DONE, attempts.c.recorded.is_(False))
    )
    with room.database.reading() as connection:
        rows = list(connection.execute(pending).mappings())
        records: list[dict[str, Any]] = []
        found: list[Submission] = []
        for row in rows:
            which = Which(row["unit"], row["notebook"])
            counting = kept.Shelf(room.folder, row["student"], which).counting()
            result = queue.latest_result(connection, row["id"])
            if counting is not None and counting.number == row["number"] and result is not None:
                records.append(json.loads(result["record"]))
                found.append(submission_of(room, row["student"], which, row["number"]))
    for each in records:
        results.write(room.folder / "results", each)
    if records:
        _publish(room, records, found)
    with room.database.writing() as connection:
        for row in rows:  # one that was graded again meanwhile stays to be recorded
            same = (attempts.c.id == row["id"]) & (attempts.c.round == row["round"])
            connection.execute(update(attempts).where(same).values(recorded=True))
    return len(rows)


def _publish(room: Classroom, records: list[dict[str, Any]], found: list[Submission]) -> None:
    # Imported here, since it takes seconds: nbgrader, and with the exercises torch.
    from course_lib.grading.outside import exports, gradebook

    submitted = room.folder / "submitted"
    written = exports.publish(
        gradebook.paired(records, found, folder=submitted),
        released=room.place.release,
        folder=room.folder,
        everything=list(results.all_results(room.folder / "results")),
        handed_in_by={(path.parent.name, path.name) for path in submitted.glob("*/*") if _holds_a_notebook(path)},
    )
    for change in written.changes:
        _log.info("changed: %s", change)
    for problem in written.problems:
        _log.info("note: %s", problem)


def _holds_a_notebook(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.ipynb"))
