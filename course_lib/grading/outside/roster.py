"""Who is in the class: the tables of students that platforms export, and the file in which a teacher says who is who.

A roster is any CSV with a header that these give out, or one of your own with a column `student`:

- Moodle's grading worksheet (Identifier, Full name, Email address, ...), https://docs.moodle.org/en/Offline_marking
- Canvas' gradebook (Student, ID, SIS User ID, SIS Login ID, Section, ...),
  https://community.canvaslms.com/t5/Instructor-Guide/How-do-I-export-grades-in-the-Gradebook/ta-p/809
- Gradescope's roster (Name, SID, Email, ...), https://guides.gradescope.com/hc/en-us/articles/21926598776333
- GitHub Classroom's roster (identifier, github_username, ...) and grades (roster_identifier, github_username,
  student_repository_name, submission_timestamp, ...), https://docs.github.com/en/education/manage-coursework-with-github-classroom
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from course_lib import files
from course_lib.grading.outside.spreadsheets import cell_text
from course_lib.grading.outside.submission import BadSubmissions

MOST_BYTES = 50 << 20
LEAVE_OUT = "-"  # in a mapping file: this upload belongs to no student

# What a student is called in the class, by the first of these columns that has a value.
_STUDENT = (
    "student", "student id", "sis login id", "username", "user name", "login", "login id", "id number", "sid",
    "roster identifier", "github username", "email address", "email", "sis user id", "id", "name", "full name",
)  # fmt: skip
_IDS = (*_STUDENT, "identifier", "student repository name", "github id", "matriculation number", "anonymous id")
_NAMES = ("full name", "name", "student name")
_TIMES = ("last modified submission", "submission timestamp", "submission time")


@dataclass(frozen=True)
class Person:
    """A student of the class.

    Attributes:
        student: the name of their folder, and their row of the gradebook.
        name: their full name, as platforms show it.
        ids: all that platforms know them by.
        row: their row of the table, by the plain name of a column.
    """

    student: str
    name: str = ""
    ids: frozenset[str] = frozenset()
    row: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def time(self) -> datetime | None:
        """When they handed in, where the table says so."""
        return next((found for found in (time_of(self.row.get(column, "")) for column in _TIMES) if found), None)


@dataclass(frozen=True)
class Roster:
    """The students of a class; without any, everyone is in it."""

    people: tuple[Person, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.people)

    def with_id(self, *ids: str) -> list[Person]:
        """Those known by one of these identifiers."""
        wanted = {plain(each) for each in ids if each}
        return [person for person in self.people if wanted & person.ids]

    def called(self, *names: str) -> list[Person]:
        """Those of this name, whatever the order of its parts; Canvas joins them in small letters."""
        wanted = {key for name in names for key in name_keys(name)}
        return [person for person in self.people if wanted & set(name_keys(person.name))]

    def close_to(self, name: str) -> list[str]:
        """Students whose name is nearly this one, for a teacher to choose from."""
        known = {plain(text): person.student for person in self.people for text in (person.name, person.student)}
        close = difflib.get_close_matches(plain(name), [each for each in known if each], n=3, cutoff=0.6)
        return list(dict.fromkeys(known[each] for each in close))


def read_roster(path: Path, *, namesakes: bool = False) -> Roster:
    """The students of a CSV that a platform exported, or of one with a column `student`.

    Args:
        namesakes: whether two students may have one name and nothing else that tells them apart.

    Raises:
        BadSubmissions: it is not such a table, or two students have one name in it.
    """
    people: list[Person] = []
    known: dict[str, Person] = {}
    for row in read_table(path):
        person = _person(row)
        if person is None:
            continue
        other = known.setdefault(person.student, person)
        if other.row != person.row and not namesakes:
            raise BadSubmissions(
                f"{path} has two students {person.student!r}. Give each of them a value of their own in the first of "
                f"these columns that it has: {', '.join(_STUDENT[:8])}."
            )
        people += [person] if other is person or other.row != person.row else []
    if not people:
        raise BadSubmissions(
            f"{path} names no student. Expected is a header with one of the columns {', '.join(_STUDENT[:8])}, such as "
            "Moodle's grading worksheet, Canvas' gradebook or Gradescope's roster, and a row per student."
        )
    return Roster(tuple(people))


def _person(row: Mapping[str, str]) -> Person | None:
    row = dict(row)
    if "sis login id" in row or ("section" in row and "id" in row):  # Canvas calls a student's name so
        row["name"] = row.pop("student", row.get("name", ""))
    if row.get("identifier") and not re.search(r"\s\d+$", row["identifier"]):  # GitHub's; Moodle's is Participant 12
        row["roster identifier"] = row["identifier"]
    name = next((row[column] for column in _NAMES if row.get(column)), "")
    name = name or " ".join(filter(None, (row.get("first name", ""), row.get("last name", row.get("surname", "")))))
    if plain(name) in ("points possible", "student test", "test student"):
        return None
    student = next((row[column] for column in _STUDENT if row.get(column)), "") or name
    if not student:
        return None
    ids = {plain(row[column]) for column in _IDS if row.get(column) and column not in _NAMES}
    return Person(student, name, frozenset({*ids, plain(student)}), row)


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


# --- who is who -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """What a teacher wrote into a mapping file about one upload."""

    student: str = ""
    notebook: str = ""


COLUMNS = ("upload", "reads", "maybe", "student", "notebook")


def read_mapping(path: Path) -> dict[str, Named]:
    """What a mapping file says, by upload; {} where there is none.

    Raises:
        BadSubmissions: it is there and is not a mapping file.
    """
    if not path.exists():
        return {}
    said: dict[str, Named] = {}
    for row in read_table(path):
        if "upload" not in row or "student" not in row:
            raise BadSubmissions(
                f"{path} is not a mapping file: expected is a CSV with the columns {', '.join(COLUMNS)}, as "
                "`course collect` writes it. Fill in `student`, and `notebook` where it asks for it."
            )
        said[row["upload"]] = Named(row["student"], row.get("notebook", ""))
    return said


def ask(path: Path, questions: Sequence[Sequence[str]]) -> int:
    """Adds questions to a mapping file, those that stand in it left as they are; returns how many are new.

    Raises:
        OSError: it cannot be written.
    """
    known = read_mapping(path)
    safe = ([cell_text(value) for value in each] for each in questions)  # names are students' own words
    new = [each for each in safe if each[0] not in known]
    if new:
        before = files.text_of(path.read_bytes()) if path.exists() else ",".join(COLUMNS) + "\n"
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(new)
        files.replace(path, (before if before.endswith("\n") else before + "\n") + stream.getvalue())
    return len(new)


# --- tables -----------------------------------------------------------------------------------------------------------


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file by the plain names of its columns, whatever its encoding and separator.

    Raises:
        BadSubmissions: it cannot be read as a table.
    """
    header, rows = read_rows(path)
    names = [plain(name) for name in header]
    for row in rows:
        yield {name: value.strip() for name, value in zip(names, row) if name}


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header of a CSV file, and its rows that are not empty.

    Raises:
        BadSubmissions: it cannot be read as a table.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadSubmissions(f"{path} has more than {MOST_BYTES >> 20} MB: expected is a table of students as CSV.")
        text = files.text_of(path.read_bytes())
    except FileNotFoundError:
        raise BadSubmissions(f"there is no file {path}. Expected is a table of students as CSV.") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise BadSubmissions(f"{path} cannot be read: {fault}.") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(cell.strip() for cell in row)]
    except csv.Error as fault:
        raise BadSubmissions(f"{path} is not a CSV file ({fault}). Export it as CSV, not as a spreadsheet.") from None
    if not rows:
        raise BadSubmissions(f"{path} is empty. Expected is a CSV with a header and a row per student.")
    return rows[0], rows[1:]


def plain(text: str) -> str:
    """A text in small letters, its marks as spaces, to compare names by.

    >>> plain("SIS Login ID"), plain("Participant 12"), plain("Ada.Lovelace@example.org")
    ('sis login id', 'participant 12', 'ada lovelace example org')
    """
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def name_keys(name: str) -> tuple[str, ...]:
    """What a full name is compared by: its parts in any order, and joined as Canvas joins them.

    >>> name_keys("Lovelace, Ada") == name_keys("Ada Lovelace")
    False
    >>> bool(set(name_keys("Lovelace, Ada")) & set(name_keys("Ada Lovelace")))
    True
    >>> bool(set(name_keys("lovelaceada")) & set(name_keys("Ada Lovelace")))
    True
    """
    parts = plain(name).split()
    if not parts:
        return ()
    turned = [parts[-cut:] + parts[:-cut] for cut in range(1, len(parts))]
    return (" ".join(sorted(parts)), "".join(parts), *("".join(each) for each in turned))


def time_of(text: str) -> datetime | None:
    """A time as platforms write it, with its zone; that of this machine where it names none. None for no time."""
    from dateutil import parser

    if len(text) < 6 or not re.search(r"\d", text):
        return None
    try:
        found: datetime = parser.parse(text)
        return found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
