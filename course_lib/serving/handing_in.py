"""An upload becomes an attempt: looked at, kept in class/attempts, and entered in the queue.

The order matters. The file is on the disk before the attempt is entered, and both are before the student is told. So a
server that is killed has either said nothing, or lost nothing: what lies in class/attempts and was not entered is
entered when the server starts again.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside import dates
from course_lib.grading.outside.cells import NOTEBOOK_BYTES, Malformed, read_cells
from course_lib.grading.outside.outputs import without_outputs
from course_lib.grading.outside.recognizing import Which
from course_lib.grading.outside.roster import time_of
from course_lib.serving import queue
from course_lib.serving.classroom import PLATFORM, Classroom

MOST_BYTES = NOTEBOOK_BYTES
_log = logging.getLogger("course.serve")
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # one upload of a student at a time


class Refused(Exception):
    """An upload that is not taken; the text says why and what to do."""


class DiskFull(OSError):
    """Nothing can be kept."""


@dataclass(frozen=True)
class Taken:
    """An upload that was taken.

    Attributes:
        again: the very same notebook had been handed in before, so it is not a new attempt.
    """

    attempt: int
    again: bool = False


def too_large(size: int) -> str:
    """What to tell a student whose file is too large."""
    return (
        f"The file has {size / 1e6:.0f} MB, and at most {MOST_BYTES / 1e6:.0f} MB are taken. Outputs make a notebook "
        "large, and no grade depends on them: in JupyterLab choose Edit, Clear Outputs of All Cells, save, and upload "
        "the notebook again."
    )


def take(room: Classroom, student: Any, data: bytes, name: str = "") -> Taken:
    """Takes an upload.

    Args:
        student: their row.
        name: what the student's own file is called.

    Raises:
        Refused: it is not a notebook of a unit that is open.
        DiskFull: it could not be kept.
        BadSubmissions, DatabaseError: the dates cannot be read, or the attempt cannot be entered now. The latter is
            kept, and will be entered.
    """
    which = _which(room, data)
    held = dates.of(room.calendar(), which.unit)
    if not held.is_open(room.clock.now()):
        assert held.opens is not None
        raise Refused(f"{which.unit} opens on {dates.shown(held.opens)}. Nothing was handed in.")
    with _locks[student["student"]]:
        shelf = kept.Shelf(room.folder, student["student"], which)
        before = max((each.time for each in shelf.attempts if each.time), default=None)
        time = room.clock.after(before)
        record = _record(student, time, held.is_late(time), name)
        there = shelf.known(data)
        try:
            if there is None:
                number = shelf.add(data, record, write=True).number
            else:
                number = there.number
                if not there.record:  # its note was not written, for the disk was full
                    shelf.note(number, record)
        except OSError as fault:
            _log.error("an upload of %s could not be kept: %s", student["student"], fault)
            raise DiskFull(str(fault.strerror or fault)) from None
        received = str((there.record if there else record).get("time") or record["time"])
        put_out(room, student["student"], which, shelf)
    with room.database.writing() as connection:
        attempt = queue.add(connection, student["id"], which, number, received)
    return Taken(attempt, again=there is not None)


def put_out(room: Classroom, student: str, which: Which, shelf: kept.Shelf | None = None) -> None:
    """Brings the attempt that counts to where `course grade` reads it. A full disk is told, and it is tried again."""
    try:
        (shelf or kept.Shelf(room.folder, student, which)).put_out()
        kept.put_out_marks(room.folder, student, which.unit, [each.notebook for each in room.by_unit[which.unit]])
    except OSError as fault:
        _log.error("class/submitted could not be written for %s, %s: %s", student, which.unit, fault)


def time_received(row: Any) -> Any:
    """When an attempt came."""
    return time_of(str(row["received"]))


def _which(room: Classroom, data: bytes) -> Which:
    """The notebook that an upload is.

    Raises:
        Refused: it is none of this course, or cannot be read.
    """
    if len(data) > MOST_BYTES:
        raise Refused(too_large(len(data)))
    if data.startswith(b"PK"):
        raise Refused("This is a zip archive. Upload the notebook itself, the file that ends in .ipynb.")
    try:
        read_cells(without_outputs(data))
    except Malformed as fault:
        raise Refused(
            f"This is not a notebook that can be read: {fault} Save it in JupyterLab, and upload the file "
            "that ends in .ipynb."
        ) from None
    which = room.catalogue.by_content(data)
    if which is None or not which.notebook:
        raise Refused(
            "This notebook is not one of this course, or is a copy without its cells. The course has: "
            + ", ".join(room.by_unit)
            + "."
        )
    return which


def _record(student: Any, time: Any, late: bool, name: str) -> dict[str, Any]:
    plain = "".join(c if c.isprintable() else "?" for c in name.encode("utf-8", "replace").decode())[:200]
    return {
        "platform": PLATFORM,
        "key": student["student"],
        "names": [student["name"]],
        "ids": [student["email"]] if student["email"] else [],
        "time": kept.stamp_of(time),
        "late": late,
        "file": plain,
        "readable": True,
        "collected": kept.stamp_of(time),
    }
