"""When the units of a class open, are due and show their solutions: class/dates.csv, the one place for all commands.

    unit,open,due,solutions
    01_autoencoders,2026-10-12 09:00,2026-10-19 23:59,2026-10-22 12:00

`course release --open ... --due ...` and the instructor's page of `course serve` write it, and a person may. A time
without a zone is one of this machine. A unit without a row is open, and is due when the gradebook says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from course_lib import files
from course_lib.grading.outside.roster import read_table, time_of
from course_lib.grading.outside.submission import BadSubmissions

FILE = "dates.csv"
COLUMNS = ("unit", "open", "due", "solutions")
NEVER = "never"  # a unit's solutions are not shown, also when it was due


@dataclass(frozen=True)
class Dates:
    """The dates of a unit.

    Attributes:
        opens: until then it is held back; None for a unit that is open.
        due: the deadline; work that comes later is taken, and is late.
        solutions: when its solutions are shown; None for the deadline.
        shown: whether they are shown at all.
    """

    opens: datetime | None = None
    due: datetime | None = None
    solutions: datetime | None = None
    shown: bool = True

    def is_open(self, now: datetime) -> bool:
        """Whether students may have the unit."""
        return self.opens is None or now >= self.opens

    @property
    def solutions_from(self) -> datetime | None:
        """When the solutions are shown; None for never."""
        return (self.solutions or self.due) if self.shown else None

    def shows_solutions(self, now: datetime) -> bool:
        """Whether students may see the solutions: of a unit that is open, when the date has come."""
        when = self.solutions_from
        return when is not None and now >= when and self.is_open(now)

    def is_late(self, time: datetime) -> bool:
        """Whether work that came at a time came after the deadline."""
        return self.due is not None and time > self.due

    @property
    def due_in_gradebook(self) -> datetime | None:
        """The deadline as nbgrader's data base has it: in UTC, without a zone."""
        return self.due.astimezone(UTC).replace(tzinfo=None) if self.due else None


OPEN = Dates()


def read(folder: Path) -> dict[str, Dates]:
    """The dates of a class by unit; {} where there are none.

    Args:
        folder: the class folder.

    Raises:
        BadSubmissions: the file is not such a table, or one of its dates cannot be read: the text names it.
    """
    return {unit: _dates(folder / FILE, unit, row) for unit, row in _rows(folder / FILE).items()}


def of(calendar: Mapping[str, Dates], unit: str) -> Dates:
    """The dates of a unit; it is open when none are set."""
    return calendar.get(unit, OPEN)


def held_back(folder: Path, now: datetime | None = None) -> dict[str, datetime]:
    """The units that students may not have yet, and when they open.

    Raises:
        BadSubmissions: as `read`.
    """
    now = now or datetime.now(UTC)
    return {unit: each.opens for unit, each in read(folder).items() if each.opens and not each.is_open(now)}


def change(folder: Path, unit: str, **changed: str) -> Dates:
    """Writes dates of a unit; what is not given stays as it is, and "" takes a date out.

    Args:
        changed: `open`, `due` or `solutions`, as text.

    Raises:
        BadSubmissions: a text is not a date; nothing is written then.
        OSError: the file cannot be written; it is as it was.
    """
    path = folder / FILE
    rows = _rows(path)
    row = rows.setdefault(unit, dict.fromkeys(COLUMNS, "") | {"unit": unit})
    row.update({name: text.strip() for name, text in changed.items()})
    found = _dates(path, unit, row)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([rows[each].get(name, "") for name in COLUMNS] for each in sorted(rows))
    files.replace(path, stream.getvalue())
    return found


def shown(time: datetime) -> str:
    """A time as a person reads it, in this machine's zone.

    >>> shown(datetime(2026, 3, 1, 12, tzinfo=UTC)).startswith("Sun 1 Mar 2026, ")
    True
    """
    local = time.astimezone()
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"


def _rows(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    rows = {}
    for row in read_table(path):
        if not row.get("unit"):
            raise BadSubmissions(f"{path} is not a table of dates: expected are the columns {', '.join(COLUMNS)}.")
        rows[row["unit"]] = row
    return rows


def _dates(path: Path, unit: str, row: Mapping[str, str]) -> Dates:
    times: dict[str, datetime | None] = {}
    for name in COLUMNS[1:]:
        text = row.get(name, "")
        never = name == "solutions" and text.casefold() == NEVER
        times[name] = None if never else time_of(text)
        if text and times[name] is None and not never:
            raise BadSubmissions(
                f"{text!r} is not a date ({path}, {unit}, column {name}). Write it as 2026-10-19 23:59"
                + (f", or {NEVER}." if name == "solutions" else ".")
            )
    opens, due = times["open"], times["due"]
    if opens and due and due <= opens:
        raise BadSubmissions(f"{unit} would be due before it opens ({path}).")
    return Dates(opens, due, times["solutions"], row.get("solutions", "").casefold() != NEVER)
