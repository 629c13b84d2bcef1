"""Grades for other programs: a CSV with a column per exercise, Gradescope's results.json, and nbgrader's own export.

What a student chose, such as their folder's name, must not become a formula in a spreadsheet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook
from nbgrader.plugins import ExportPlugin

from course_lib import exercises as registry
from course_lib import files
from course_lib.exercises.messages import said, said_by, say
from course_lib.grading.inside.protocol import without_surrogates
from course_lib.grading.outside import feedback, gradebook, late
from course_lib.grading.outside.gradebook_access import explained
from course_lib.grading.outside.pages import GradedNotebook, handed_in
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.spreadsheets import csv_text
from course_lib.grading.outside.standings import Standing, standings
from course_lib.notebooks import CHECK

GITHUB_CLASSROOM = Path(__file__).with_name("github_classroom.yml")
ABSENT = "not among the submissions of the last run"


def publish(
    submissions: Sequence[GradedNotebook],
    *,
    released: Path,
    folder: Path,
    everything: Iterable[Mapping[str, Any]] | None = None,
    handed_in_by: Collection[tuple[str, str]] | None = None,
) -> gradebook.Report:
    """All that follows from a run of the grader, under class/: gradebook.db, autograded/, grades.csv.

    Args:
        submissions: the results of the run with the notebooks they were computed from; see `gradebook.paired`.
        released: the folder of released notebooks.
        folder: the class folder.
        everything: all result records there are, for the verdicts in the CSV; default those of the run.
        handed_in_by: (student, unit) of all that was found, graded or not; default those of `submissions`.

    Raises:
        GradebookError: something cannot be written; the results are not touched, and a second run goes on from there.
    """
    book = folder / "gradebook.db"
    report = gradebook.record(submissions, gradebook=book, autograded=folder / "autograded", released=released)
    if report.recorded:
        report.late = late.assign(book, {each.unit for each in submissions}, folder)
        present = {(each.student, each.unit) for each in submissions} if handed_in_by is None else set(handed_in_by)
        units = {unit for _, unit in present}
        report.absent = sorted({(each.student, each.unit) for each in standings(book) if each.unit in units} - present)
        results = [submission.result for submission in submissions]
        write_csv(folder / "grades.csv", book, results if everything is None else everything, absent=report.absent)
    return report


# --- CSV --------------------------------------------------------------------------------------------------------------


def table(
    grades: Iterable[Standing],
    results: Iterable[Mapping[str, Any]] = (),
    absent: Collection[tuple[str, str]] = (),
    penalties: Mapping[tuple[str, str], float] | None = None,
) -> tuple[list[str], list[list[Any]]]:
    """A row per student, a column per exercise and written answer; header and rows.

    The points are those that count, a person's included; a cell is empty where a person has still to give them, and
    where nothing was handed in. A column of points is "unit/exercise"; each unit ends with "unit:total", ":points",
    ":awaiting" (answers that wait for a person), ":verdict" and ":flags" (what was tampered with). Where late work cost
    points, the total is without them, and a column ":late" has them.

    Args:
        grades: as they stand in the gradebook.
        results: result records, for verdicts and flags.
        absent: (student, unit) that were graded before and are not among the submissions any more; flagged.
        penalties: points that late work costs, by (student, unit).
    """
    penalties = penalties or {}
    with_late = {unit for _, unit in penalties}
    by_student: dict[str, dict[tuple[str, str], Standing]] = {}
    columns: dict[str, dict[str, None]] = {}
    for each in grades:
        name = each.name.removeprefix(CHECK)
        by_student.setdefault(each.student, {})[each.unit, name] = each
        columns.setdefault(each.unit, {})[name] = None
    verdicts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        verdicts.setdefault((str(result["student"]), str(result["unit"])), []).append(result)
    units = {unit: _in_order(unit, names) for unit, names in sorted(columns.items())}
    header = ["student"]
    for unit, names in units.items():
        header += [f"{unit}/{name}" for name in names]
        header += [f"{unit}:{name}" for name in ("total", "points", "awaiting", "verdict", "flags")]
        header += [f"{unit}:late"] if unit in with_late else []
    rows = []
    for student, theirs in sorted(by_student.items()):
        row: list[Any] = [student]
        for unit, names in units.items():
            here = [theirs.get((unit, name)) for name in names]
            row += [None if each is None else each.score for each in here]
            found = [each for each in here if each is not None]
            about = verdicts.get((student, unit), [])
            row += [
                max(sum(each.score or 0.0 for each in found) - penalties.get((student, unit), 0.0), 0.0)
                if found
                else None,
                sum(each.points for each in found) if found else None,
                len([each for each in found if each.awaiting]) if found else None,
                "; ".join(dict.fromkeys(str(result.get("verdict")) for result in about)),
                "; ".join(
                    [
                        *([ABSENT] if (student, unit) in absent else []),
                        *(str(text) for result in about for text in result.get("tampered") or ()),
                    ]
                ),
            ]
            row += [penalties.get((student, unit))] if unit in with_late else []
        rows.append(row)
    return header, rows


def _in_order(unit: str, names: Iterable[str]) -> list[str]:
    """Exercises in the notebook's order, then written answers."""
    try:
        order = [exercise.name for exercise in registry.exercises_of(unit)]
    except ValueError:  # a unit of an earlier year, say
        order = []
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def write_csv(
    path: Path,
    book: Path | str,
    results: Iterable[Mapping[str, Any]] = (),
    *,
    absent: Collection[tuple[str, str]] = (),
) -> int:
    """Writes the grades of the whole gradebook, whole or not at all; returns how many students there are.

    Raises:
        GradebookError: there is no gradebook, or a file cannot be read or written.
    """
    header, rows = table(standings(book), results, absent, late.penalties(book))
    with explained(path):
        files.replace(path, csv_text(header, rows))
    return len(rows)


class ExerciseCsv(ExportPlugin):  # type: ignore[misc]
    """The same table from nbgrader's command: `--exporter course_lib.grading.exports.ExerciseCsv`.

    nbgrader's own CSV breaks on a comma in a name and passes formulas on.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Writes the table to `--to`, grades.csv by default, for the students and assignments asked for."""
        students, units = {str(s) for s in self.student}, {str(a) for a in self.assignment}
        url = str(gradebook.engine.url.render_as_string(hide_password=False))
        kept = [
            each
            for each in standings(url)
            if (not students or each.student in students) and (not units or each.unit in units)
        ]
        header, rows = table(kept, penalties=late.penalties(url))
        path = Path(self.to or "grades.csv").absolute()
        self.log.info("Exporting grades to %s", path)
        files.replace(path, csv_text(header, rows))


# --- Gradescope -------------------------------------------------------------------------------------------------------


def gradescope(submission: GradedNotebook) -> dict[str, Any]:
    """A submission's results.json for Gradescope: a test per exercise, with the sentences that its student may see."""
    result = submission.result
    source = "\n".join(cell["source"] for cell in handed_in(submission.data))
    entries = {str(entry.get("exercise")): entry for entry in result.get("exercises") or ()}
    tests: list[dict[str, Any]] = []
    for exercise in registry.exercises_of(submission.unit):
        entry = entries.get(exercise.name)
        if entry is None:
            continue
        score = feedback.bounded(entry.get("score"), exercise.points)
        tests.append(
            {
                "name": f"{said_by(exercise, 'title')} ({exercise.name})",
                "number": exercise.number,
                "score": score,
                "max_score": exercise.points,
                "status": "passed" if score >= exercise.points else "failed",
                "output": feedback.text_card(exercise, entry, source=source),
                "output_format": "text",
                "visibility": "visible",
            }
        )
    notes = [said(str(text)[:300]) for text in result.get("tampered") or ()]
    if result.get("verdict") == Verdict.MALFORMED:
        notes = [feedback.verdict_sentence(Verdict.MALFORMED), said(str(result.get("problem") or "")[:500]), *notes]
    written = [str(each.get("grade_id")) for each in result.get("written") or ()]
    if written:
        notes.append(say("feedback.by_person", answers=", ".join(written)))
    return {
        "score": round(sum(test["score"] for test in tests), 2),
        "output": "\n".join(filter(None, notes)),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "visibility": "visible",
        "tests": tests,
        "extra_data": {"key": str(result.get("key", "")), "isolation": str(result.get("isolation", ""))},
    }


def write_gradescope(folder: Path, submissions: Iterable[GradedNotebook]) -> list[Path]:
    """Writes a results.json for each submission, folder/student/unit/notebook.results.json; returns the files.

    Students whose name cannot be a folder are left out; `gradebook.record` reports them.

    Raises:
        GradebookError: a file cannot be written.
    """
    written = []
    for submission in submissions:
        if gradebook.refusal(submission.student):
            continue
        path = folder / submission.student / submission.unit / f"{submission.notebook}.results.json"
        content = json.dumps(gradescope(submission), ensure_ascii=False, indent=1) + "\n"
        with explained(path):
            files.replace(path, without_surrogates(content))
        written.append(path)
    return written
