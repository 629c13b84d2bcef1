"""`course grades`: the grades of a class as Moodle, Canvas and Gradescope take them in again, and as a plain table.

- Moodle takes its own grading worksheet of one assignment back: `Identifier` (Participant 12345) says whose a row is,
  `Grade` and `Last modified (grade)` must be there, and `Maximum Grade` is what a grade may be at most. The columns
  are named in the teacher's language. https://docs.moodle.org/en/Offline_marking and
  mod/assign/feedback/offline/importgradeslib.php in https://github.com/moodle/moodle
- Canvas takes its gradebook back: `Student`, `ID`, `SIS User ID`, `SIS Login ID`, `Section`, a column per assignment
  called `Title (123)`, and below the header a row `Points Possible`. A column of another name becomes a new assignment.
  https://community.canvaslms.com/t5/Instructor-Guide/How-do-I-import-grades-in-the-Gradebook/ta-p/807
- Gradescope takes no table; its grades come from an autograder, a zip with `setup.sh` and `run_autograder` that writes
  `results.json`. The one made here looks up what was graded by the submission's id.
  https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.grading.outside.attempts import Attempt
from course_lib.grading.outside.platforms import Platform
from course_lib.grading.outside.roster import Person, Roster, plain, read_roster, read_rows
from course_lib.grading.outside.spreadsheets import cell_text, csv_text
from course_lib.grading.outside.standings import Standing
from course_lib.grading.outside.submission import BadSubmissions

TARGETS = ("moodle", "canvas", "gradescope", "csv")
MOST_NAMED = 10
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = (
    "Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed",
    "Last modified (submission)", "Last modified (grade)", "Feedback comments",
)  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """What a student has in a unit.

    Attributes:
        score: points that count, those for late work taken off.
        points: what there is to get.
        awaiting: written answers that wait for a person, whose points are missing.
        late: points taken off for late work.
    """

    score: float
    points: float
    awaiting: int = 0
    late: float = 0.0


@dataclass
class Exported:
    """Files to write, by name, what a teacher should know about them, and whether a student or a grade is missing."""

    files: dict[str, str | bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    incomplete: bool = False


@dataclass(frozen=True)
class Class:
    """The grades of a class, and how platforms know its students.

    Attributes:
        grades: by student and unit.
        attempts: what was collected, by student, unit and notebook.
        roster: the students of the class, if there is a list.
        with_waiting: whether grades are given also where written answers still wait for a person.
    """

    grades: Mapping[tuple[str, str], Grade]
    attempts: Mapping[tuple[str, str, str], Sequence[Attempt]] = field(default_factory=dict)
    roster: Roster = field(default_factory=Roster)
    with_waiting: bool = False

    @property
    def students(self) -> list[str]:
        return sorted({student for student, _ in self.grades})

    @property
    def units(self) -> list[str]:
        return sorted({unit for _, unit in self.grades})

    def score(self, student: str, unit: str) -> float | None:
        """What is exported for a student: nothing where there is no grade, or not yet the whole of it."""
        grade = self.grades.get((student, unit))
        if grade is None or (grade.awaiting and not self.with_waiting):
            return None
        return round(grade.score, 4)

    def points(self, unit: str) -> float:
        """What there is to get in a unit."""
        return max(grade.points for (_, which), grade in self.grades.items() if which == unit)

    def waiting(self, units: Iterable[str]) -> list[str]:
        """Students whose grade in one of the units is not whole."""
        wanted = set(units)
        return sorted({who for (who, unit), grade in self.grades.items() if grade.awaiting and unit in wanted})

    def records(self, student: str, platform: Platform | None = None, unit: str = "") -> list[Mapping[str, Any]]:
        """Where a student's attempts came from, the latest first."""
        return [
            attempt.record
            for (who, which, _), theirs in sorted(self.attempts.items())
            if who == student and unit in ("", which)
            for attempt in sorted(theirs, key=lambda each: -each.number)
            if platform is None or attempt.record.get("platform") == platform
        ]

    def person(self, student: str) -> Person | None:
        """The student in the roster."""
        return next((person for person in self.roster.people if person.student == student), None)

    def name(self, student: str) -> str:
        """A student's full name, where it is known."""
        person = self.person(student)
        if person is not None and person.name:
            return person.name
        return next((str(name) for record in self.records(student) for name in record.get("names") or ()), "")

    def among(self, student: str, listed: Roster) -> Person | None:
        """The student in a table of a platform."""
        person = self.person(student)
        records = self.records(student)
        ids = {student, *(str(each) for record in records for each in record.get("ids") or ())}
        names = {str(each) for record in records for each in record.get("names") or ()}
        if person is not None:
            ids |= person.ids
            names.add(person.name)
        found = listed.with_id(*ids) or listed.called(*names, student)
        return found[0] if len(found) == 1 else None


def grades_of(
    standings: Iterable[Standing], penalties: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], Grade]:
    """The grades of a gradebook, by student and unit."""
    found: dict[tuple[str, str], list[Standing]] = {}
    for each in standings:
        found.setdefault((each.student, each.unit), []).append(each)
    return {
        key: Grade(
            max(sum(each.score or 0.0 for each in theirs) - penalties.get(key, 0.0), 0.0),
            sum(each.points for each in theirs),
            sum(each.awaiting for each in theirs),
            penalties.get(key, 0.0),
        )
        for key, theirs in found.items()
    }


def export(klass: Class, target: str, units: Sequence[str], fill: Path | None = None) -> Exported:
    """The files that a platform takes in; for Gradescope see `for_gradescope`.

    Args:
        target: one of `TARGETS`.
        units: the units to export.
        fill: the table that the platform exported, to be filled.

    Raises:
        BadSubmissions: there are no such grades, or the table is not what was expected.
    """
    missing = [unit for unit in units if unit not in klass.units]
    if missing or not units:
        there = ", ".join(klass.units) or "none at all"
        raise BadSubmissions(f"there are no grades of {', '.join(missing) or 'any unit'}; graded are {there}.")
    exported = {"moodle": _moodle, "canvas": _canvas, "csv": _csv}[target](klass, units, fill)
    waiting = klass.waiting(units)
    if waiting and target != "csv":
        so = "with what they have so far" if klass.with_waiting else "left empty; --with-waiting gives what is there"
        exported.notes.append(f"written answers wait for a person, so grades are {so}: {_named(waiting)}")
        exported.incomplete |= not klass.with_waiting
    return exported


# --- a plain table ----------------------------------------------------------------------------------------------------


def _csv(klass: Class, units: Sequence[str], fill: Path | None) -> Exported:
    if fill is not None:
        raise BadSubmissions("--fill fills a table of Moodle's or Canvas'; a plain CSV is written anew.")
    header = ["student", "name", "email"]
    for unit in units:
        header += [unit, f"{unit}:points", f"{unit}:awaiting", f"{unit}:late"]
    rows: list[list[Any]] = []
    for student in klass.students:
        person = klass.person(student)
        email = (person.row.get("email") or person.row.get("email address")) if person else ""
        row: list[Any] = [student, klass.name(student), email or ""]
        for unit in units:
            grade = klass.grades.get((student, unit))
            row += [None] * 4 if grade is None else [grade.score, grade.points, grade.awaiting, grade.late or None]
        rows.append(row)
    return Exported({"grades.csv": csv_text(header, rows)})


# --- Moodle -----------------------------------------------------------------------------------------------------------


def _moodle(klass: Class, units: Sequence[str], fill: Path | None) -> Exported:
    if fill is None:
        exported = Exported()
        for unit in units:
            part = _moodle_anew(klass, unit)
            exported.files |= part.files
            exported.notes += part.notes
            exported.incomplete |= part.incomplete
        return exported
    if len(units) != 1:
        raise BadSubmissions("a worksheet of Moodle is that of one assignment. Say which unit it is: --unit UNIT.")
    return _moodle_filled(klass, units[0], fill)


def _moodle_filled(klass: Class, unit: str, fill: Path) -> Exported:
    header, rows = read_rows(fill)
    place = {plain(name): number for number, name in enumerate(header)}
    if not {"identifier", "grade", "last modified grade"} <= place.keys():
        raise BadSubmissions(
            f"{fill} is not Moodle's grading worksheet in English: expected are the columns Identifier, Grade and Last "
            f"modified (grade), and it has {', '.join(header[:8])[:200]}. In Moodle set your language to English, then "
            "choose Download grading worksheet in the assignment."
        )
    listed = read_roster(fill, namesakes=True)
    students = {person.row["identifier"]: student for student, person in _matched(klass, listed)}
    points, notes, at_most = klass.points(unit), [], place.get("maximum grade")
    filled = []
    for row in rows:
        row = row + [""] * (len(header) - len(row))
        student = students.get(row[place["identifier"]].strip())
        score = klass.score(student, unit) if student else None
        if score is not None:
            most = _number(row[at_most]) if at_most is not None else None
            if most and most != points:
                note = f"Moodle's maximum is {most:g} and the unit has {points:g} points, so grades are scaled to it"
                notes += [note] if note not in notes else []
                score = round(score * most / points, 2)
            row[place["grade"]] = f"{score:g}"
        filled.append(row)
    absent = _not_in_it(klass, [unit], students.values(), fill)
    return Exported({f"moodle-{unit}.csv": _as_it_was(header, filled)}, [*notes, *absent], bool(absent))


def _moodle_anew(klass: Class, unit: str) -> Exported:
    rows, without = [], []
    for student in klass.students:
        if (student, unit) not in klass.grades:
            continue
        record = next(iter(klass.records(student, Platform.MOODLE, unit)), None)
        if record is None:
            without.append(student)
            continue
        row: dict[str, Any] = dict.fromkeys(MOODLE, "")
        row |= {
            "Identifier": record["identifier"],
            "Full name": klass.name(student),
            "Grade": klass.score(student, unit),
        }
        row |= {"Maximum Grade": klass.points(unit)}
        rows.append([row[column] for column in MOODLE])
    exported = Exported({f"moodle-{unit}.csv": csv_text(MOODLE, rows)} if rows else {}, incomplete=bool(without))
    if without:
        exported.notes.append(
            f"{unit}: not collected from Moodle, so Moodle's identifier is not known; --fill WORKSHEET.csv finds them "
            f"by name: {_named(without)}"
        )
    return exported


# --- Canvas -----------------------------------------------------------------------------------------------------------


def _canvas(klass: Class, units: Sequence[str], fill: Path | None) -> Exported:
    if fill is None:
        return _canvas_anew(klass, units)
    header, rows = read_rows(fill)
    place = {plain(name): number for number, name in enumerate(header)}
    if not {"student", "id", "section"} <= place.keys():
        raise BadSubmissions(
            f"{fill} is not Canvas' gradebook: expected are the columns {', '.join(CANVAS)}, and it has "
            f"{', '.join(header[:8])[:200]}. In Canvas choose Grades, Export, Export Entire Gradebook."
        )
    listed = read_roster(fill, namesakes=True)
    students = {person.row["id"]: student for student, person in _matched(klass, listed)}
    columns = [name for name in CANVAS if plain(name) in place]
    titles = {unit: _title(unit, header) for unit in units}
    out: list[list[Any]] = [_points_possible(klass, columns, units)]
    for row in rows:
        row = row + [""] * (len(header) - len(row))
        student = students.get(row[place["id"]].strip())
        if row[place["id"]].strip():
            scores = [klass.score(student, unit) if student else None for unit in units]
            out.append([*(row[place[plain(name)]] for name in columns), *scores])
    notes = [f"{unit}: Canvas has no such column, so it will offer to make a new assignment" for unit in units
             if titles[unit] == unit]  # fmt: skip
    absent = _not_in_it(klass, units, students.values(), fill)
    return Exported({"canvas.csv": _as_it_was([*columns, *titles.values()], out)}, [*notes, *absent], bool(absent))


def _canvas_anew(klass: Class, units: Sequence[str]) -> Exported:
    out: list[list[Any]] = [_points_possible(klass, CANVAS, units)]
    without = []
    for student in klass.students:
        record = next(iter(klass.records(student, Platform.CANVAS)), None)
        if record is None or not str(record["identifier"]).isdecimal():
            without.append(student)
            continue
        about = [klass.name(student), int(record["identifier"]), "", "", ""]
        out.append([*about, *(klass.score(student, unit) for unit in units)])
    notes = ["units become new assignments in Canvas; --fill GRADEBOOK.csv, Canvas' own export, fills those it has"]
    if without:
        notes.append(
            "not collected from Canvas, so Canvas' id is not known; --fill GRADEBOOK.csv finds them by name: "
            + _named(without)
        )
    text = csv_text([*CANVAS, *units], out)
    return Exported({"canvas.csv": text} if len(out) > 1 else {}, notes, bool(without))


def _points_possible(klass: Class, columns: Sequence[str], units: Sequence[str]) -> list[Any]:
    return ["    Points Possible", *[""] * (len(columns) - 1), *(klass.points(unit) for unit in units)]


def _title(unit: str, header: Sequence[str]) -> str:
    """The column of a unit in Canvas' gradebook, `Title (123)`; the unit's own name where there is none."""
    titles = {name: plain(re.sub(r"\(\d+\)\s*$", "", name)) for name in header if re.search(r"\(\d+\)\s*$", name)}
    wanted = plain(unit)
    return next((name for name, title in titles.items() if wanted in title or (title and title in wanted)), unit)


# --- Gradescope -------------------------------------------------------------------------------------------------------

SETUP = "#!/bin/sh\napt-get update && apt-get install -y python3\n"
RUN = '''\
#!/usr/bin/env python3
"""Gives a submission the results that `course grade` found for it."""
import json, pathlib
about = json.loads(pathlib.Path("/autograder/submission_metadata.json").read_text())
found = pathlib.Path(f"/autograder/source/results/{int(about['id'])}.json")
sentence = "This submission was not graded, or a later one counts."
results = found.read_text() if found.exists() else json.dumps({"score": 0, "output": sentence})
pathlib.Path("/autograder/results/results.json").write_text(results)
'''


def for_gradescope(klass: Class, unit: str, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> Exported:
    """An autograder for Gradescope that gives each submission what `course grade` found.

    Args:
        results: of each student, Gradescope's results of the unit's notebooks; see `exports.gradescope`.
    """
    stream, without, count = io.BytesIO(), [], 0
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("setup.sh", SETUP), ("run_autograder", RUN)):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            archive.writestr(info, text)
        for student, theirs in sorted(results.items()):
            record = next(iter(klass.records(student, Platform.GRADESCOPE, unit)), None)
            if record is None or not str(record["identifier"]).isdecimal():
                without.append(student)
                continue
            text = json.dumps(_together(theirs, klass.grades.get((student, unit))), ensure_ascii=False)
            archive.writestr(zipfile.ZipInfo(f"results/{int(record['identifier'])}.json"), text)
            count += 1
    exported = Exported({f"gradescope-{unit}.zip": stream.getvalue()} if count else {}, incomplete=bool(without))
    if count:
        exported.notes.append(
            f"{unit}: in Gradescope choose Configure Autograder, upload the zip, then Regrade All Submissions"
        )
    if without:
        exported.notes.append(
            f"{unit}: not collected from Gradescope, so the submission's id is not known: {_named(without)}"
        )
    return exported


def _together(parts: Sequence[Mapping[str, Any]], grade: Grade | None) -> dict[str, Any]:
    """The results of a unit's notebooks as one; written answers and late work count in the score."""
    score = grade.score if grade is not None else sum(float(part["score"]) for part in parts)
    output = [str(part["output"]) for part in parts if part.get("output")]
    output += [f"{grade.late:g} points off for late work."] if grade is not None and grade.late else []
    whole = dict(parts[0]) if parts else {"visibility": "visible"}
    return whole | {
        "score": round(score, 2),
        "output": "\n".join(output),
        "tests": [test for part in parts for test in part["tests"]],
    }


# --- helpers ----------------------------------------------------------------------------------------------------------


def _matched(klass: Class, listed: Roster) -> list[tuple[str, Person]]:
    """Students with their row of a platform's table. A row that two students fit belongs to neither."""
    found = [(student, person) for student in klass.students if (person := klass.among(student, listed)) is not None]
    rows = [person.student for _, person in found]
    return [(student, person) for student, person in found if rows.count(person.student) == 1]


def _not_in_it(klass: Class, units: Sequence[str], students: Iterable[str], fill: Path) -> list[str]:
    there = set(students)
    absent = sorted({who for who, unit in klass.grades if unit in units and who not in there})
    return [f"not found in {fill}, by number, address or name: {_named(absent)}"] if absent else []


def _as_it_was(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A platform's own table, its cells as the platform wrote them."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in [header, *rows]:
        writer.writerow([cell_text(value) if isinstance(value, (int, float)) else value for value in row])
    return stream.getvalue()


def _named(students: Sequence[str]) -> str:
    more = f" and {len(students) - MOST_NAMED} more" if len(students) > MOST_NAMED else ""
    return ", ".join(students[:MOST_NAMED]) + more


def _number(text: str) -> float | None:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None
