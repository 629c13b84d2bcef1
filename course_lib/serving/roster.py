"""Students and the links that let them in.

A link is the student's number and mark, signed. Another mark makes the old link void, and with it every browser that
came in by it.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from course_lib import files
from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside.recognizing import Which
from course_lib.grading.outside.roster import Person, read_roster, refusal
from course_lib.grading.outside.submission import BadSubmissions
from course_lib.serving import queue
from course_lib.serving.classroom import PLATFORM, Classroom
from course_lib.serving.database import attempts, settings, students

INSTRUCTOR = "instructor's mark"
_ROSTER = "roster"


@dataclass(frozen=True)
class Imported:
    """What became of a roster.

    Attributes:
        missing: students that the server knows and the roster does not name.
        refused: (student, why) of those that cannot be taken.
    """

    new: int
    changed: int
    missing: Sequence[str] = ()
    refused: Sequence[tuple[str, str]] = ()

    def lines(self) -> list[str]:
        """What to tell the instructor."""
        told = [f"Students that are new: {self.new}; with another name or address: {self.changed}."]
        told += [f"Not taken: {student!r}: {why}." for student, why in self.refused]
        if self.missing:
            told.append(
                f"Not in this roster, and kept with their work: {', '.join(self.missing)}. "
                "Close their links if they have left."
            )
        return told


def take_roster(room: Classroom, content: bytes) -> Imported:
    """Takes in a roster, any CSV that `course collect` reads, and keeps it as class/roster.csv.

    Raises:
        BadSubmissions: it is not a roster, or two students have one name in it; nothing is changed then.
        DatabaseError, OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "The file")
        path.write_bytes(content)
        try:
            people = read_roster(path).people
        except BadSubmissions as fault:
            raise BadSubmissions(str(fault).replace(str(path), path.name)) from None
    place = room.folder / "roster.csv"
    if place.is_file() and place.read_bytes() != content:
        files.replace(place.with_name("roster.before.csv"), place.read_bytes())
    if not place.is_file() or place.read_bytes() != content:
        files.replace(place, content)
    return _enter(room, people, content)


def take_changed_roster(room: Classroom) -> Imported | None:
    """Takes in class/roster.csv where it has changed since it was last taken; None where it has not.

    Raises:
        BadSubmissions, DatabaseError: as `take_roster`.
    """
    path = room.folder / "roster.csv"
    if not path.is_file():
        return None
    content = path.read_bytes()
    with room.database.reading() as connection:
        if setting(connection, _ROSTER) == _digest(content):
            return None
    return _enter(room, read_roster(path).people, content)


def _enter(room: Classroom, people: Iterable[Person], content: bytes) -> Imported:
    new = changed = 0
    refused = []
    with room.database.writing() as connection:
        known = {row["student"]: row for row in connection.execute(select(students)).mappings()}
        listed = set()
        for person in people:
            why = refusal(person.student)
            if why:
                refused.append((person.student, why))
                continue
            listed.add(person.student)
            email = next((person.row[column] for column in ("email", "email address") if person.row.get(column)), "")
            about = {"name": (person.name or person.student)[:400], "email": email[:400]}
            before = known.get(person.student)
            if before is None:
                connection.execute(insert(students).values(student=person.student, mark=new_mark(), **about))
                new += 1
            elif any(before[name] != value for name, value in about.items()):
                connection.execute(update(students).where(students.c.id == before["id"]).values(about))
                changed += 1
        set_setting(connection, _ROSTER, _digest(content))
    return Imported(new, changed, sorted(set(known) - listed), refused)


def enter_lost_attempts(room: Classroom) -> int:
    """Enters attempts that lie in class/attempts and that the data base does not know; returns how many.

    There are some when the server was killed between keeping a file and entering it, or when the data base was lost.

    Raises:
        DatabaseError: it cannot be read or written.
    """
    with room.database.reading() as connection:
        columns = (students.c.student, attempts.c.unit, attempts.c.notebook, attempts.c.number)
        there = {tuple(row) for row in connection.execute(select(*columns).select_from(attempts.join(students)))}
    lost: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for path in sorted((room.folder / "attempts").glob("*/*/*.json")):
        notebook, _, digits = path.stem.rpartition(".")
        key = (path.parent.parent.name, path.parent.name, notebook, int(digits) if digits.isdecimal() else 0)
        if key in there or (key[1], notebook) not in room.released:  # nearly all: their notes need not be read
            continue
        record = kept.read_record(path)
        if record.get("platform") == PLATFORM:
            lost[key] = record
    if not lost:
        return 0
    with room.database.writing() as connection:
        ids = {row.student: row.id for row in connection.execute(select(students.c.id, students.c.student))}
        for (student, unit, notebook, number), record in lost.items():
            if student not in ids:
                name = str((record.get("names") or [student])[0])
                row = insert(students).values(student=student, name=name[:400], mark=new_mark())
                ids[student] = connection.execute(row.returning(students.c.id)).scalar_one()
            queue.add(connection, ids[student], Which(unit, notebook), number, str(record.get("time") or ""))
    return len(lost)


# --- links ------------------------------------------------------------------------------------------------------------


def new_mark() -> str:
    """A mark that no other link has."""
    return secrets.token_hex(8)


def student_with(connection: Connection, student_id: int) -> Any:
    """A student's row, or None."""
    return connection.execute(select(students).where(students.c.id == student_id)).mappings().first()


def student_called(connection: Connection, name: str) -> Any:
    """The row of a student by the name of their folder.

    Raises:
        BadSubmissions: there is no such student.
    """
    row = connection.execute(select(students).where(students.c.student == name)).mappings().first()
    if row is None:
        raise BadSubmissions(f"there is no student {name!r}; `course serve links` lists them.")
    return row


def all_students(connection: Connection) -> list[Any]:
    """All students with how many attempts they have, by name."""
    count = func.count(attempts.c.id).label("attempts")
    query = select(students, count).select_from(students.outerjoin(attempts)).group_by(students.c.id)
    return list(connection.execute(query.order_by(students.c.name, students.c.student)).mappings())


def renew(connection: Connection, student_id: int) -> None:
    """Gives a student another link; the old one is void."""
    connection.execute(update(students).where(students.c.id == student_id).values(mark=new_mark(), has_link=True))


def revoke(connection: Connection, student_id: int) -> None:
    """Takes a student's link away; their work stays."""
    connection.execute(update(students).where(students.c.id == student_id).values(mark=new_mark(), has_link=False))


def instructors_mark(room: Classroom, *, renewed: bool = False) -> str:
    """The mark of the instructor's link, made when there is none.

    Raises:
        DatabaseError: it cannot be read or written.
    """
    with room.database.writing() as connection:
        mark = setting(connection, INSTRUCTOR)
        if not mark or renewed:
            mark = new_mark()
            set_setting(connection, INSTRUCTOR, mark)
    return mark


def setting(connection: Connection, name: str) -> str:
    """A setting of the server; "" where it is not set."""
    found = connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar()
    return str(found or "")


def set_setting(connection: Connection, name: str, value: str) -> None:
    """Sets it."""
    changed = connection.execute(update(settings).where(settings.c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(insert(settings).values(name=name, value=value))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
