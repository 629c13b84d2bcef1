"""`course report`: what a class got wrong, as one page for its teacher, and as data.

Counted are the results of `course grade`. A mistake is counted when an answer behaves like one that is known; its
sentence and its diff come from the exercise's `mistakes.md`, and a question to ask in class from docs/teaching.md. How
well an exercise tells students apart is the correlation of its points with those of the unit's other exercises (the
corrected item-total correlation), for units that enough students handed in. Tries are the different versions of an
answer among the attempts that `course collect` kept.
"""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from course_lib import exercises as registry
from course_lib import settings
from course_lib.exercises.answers import answers_beside
from course_lib.exercises.contract import Exercise
from course_lib.exercises.messages import said_by
from course_lib.grading.outside import feedback
from course_lib.grading.outside.cells import Malformed, read_cells
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.standings import Standing

SCHEMA = 1
ENOUGH = 8  # students, below which a correlation says nothing
STUCK = 1 / 3  # of the points for code: below it a student needs help
FAILED = (Verdict.ERROR, Verdict.TIMEOUT, Verdict.MEMORY, Verdict.CRASHED)


@dataclass(frozen=True)
class Scores:
    """One exercise in a class.

    Attributes:
        counts: how many students have each number of points, those who left it blank not counted.
        mean: the mean share of its points, blank ones counted as 0.
        apart: how well it tells students apart, -1 to 1; None where too few handed in.
        tries: versions per student who handed in more than once; None where all handed in once.
    """

    exercise: str
    number: str
    title: str
    points: float
    students: int
    right: int
    wrong: int
    failed: int
    blank: int
    mean: float
    counts: dict[float, int] = field(default_factory=dict)
    apart: float | None = None
    tries: float | None = None

    @property
    def called(self) -> str:
        """What the exercise is called on the page."""
        return f"{self.number} {self.exercise}"


@dataclass(frozen=True)
class KnownMistake:
    """A known mistake in a class: its sentence, and its diff against a right answer as lines.

    Attributes:
        idea, ask: the idea behind it and a question for the class, where docs/teaching.md has them.
    """

    exercise: str
    number: str
    mistake: str
    count: int
    sentence: str
    diff: tuple[str, ...]
    idea: str = ""
    ask: str = ""
    students: tuple[str, ...] = ()

    @property
    def is_diff(self) -> bool:
        return any(line.startswith(("-", "+")) for line in self.diff)


@dataclass(frozen=True)
class Other:
    """Answers that are wrong in a way that has no name: how many, and the sentence that their students read."""

    exercise: str
    number: str
    sentence: str
    count: int
    students: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stuck:
    """A student who is stuck: what they have, and the first exercise that they do not have."""

    student: str
    score: float
    right: int
    exercise: str
    number: str


@dataclass(frozen=True)
class Waiting:
    """A written question whose answers wait for a person."""

    question: str
    count: int
    students: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitReport:
    """What a class got wrong in a unit."""

    unit: str
    students: int
    points: float
    mean: float
    exercises: tuple[Scores, ...]
    mistakes: tuple[KnownMistake, ...]
    others: tuple[Other, ...]
    stuck: tuple[Stuck, ...]
    stuck_at: tuple[tuple[str, int], ...]
    absent: tuple[str, ...]
    absent_count: int
    waiting: tuple[Waiting, ...]


def build(
    results: Iterable[Mapping[str, Any]],
    *,
    units: Sequence[str] = (),
    standings: Iterable[Standing] = (),
    roster: Sequence[str] = (),
    attempts: Mapping[tuple[str, str], Sequence[Sequence[bytes]]] | None = None,
    questions: Mapping[str, tuple[str, str]] | None = None,
    anonymous: bool = False,
) -> list[UnitReport]:
    """The reports of units, in their order.

    Args:
        results: result records of `course grade`.
        units: those to report on; default all that were graded.
        standings: grades as they stand in the gradebook, for written answers that wait.
        roster: the students of the class; default those of any result.
        attempts: of each (unit, notebook), the attempts of each student as files.
        questions: by "exercise.mistake", the idea behind it and what to ask in class.
        anonymous: whether no student is named.

    Raises:
        ValueError: no unit of that name was graded.
    """
    by_unit: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for result in results:
        by_unit.setdefault(str(result["unit"]), {}).setdefault(str(result["student"]), []).append(result)
    for unit in units:
        if unit not in by_unit:
            raise ValueError(f"nothing of {unit!r} was graded; graded are {', '.join(sorted(by_unit)) or 'no units'}.")
    everyone = sorted(set(roster) or {student for theirs in by_unit.values() for student in theirs})
    waiting = [each for each in standings if each.awaiting]
    reports = []
    for unit in sorted(units or by_unit):
        tries = _tries(unit, attempts or {})
        report = _Unit(unit, by_unit[unit], questions or {}, tries).report(everyone, waiting)
        reports.append(without_names(report) if anonymous else report)
    return reports


class _Unit:
    """One unit: its exercises in their order, and what each student has in them."""

    def __init__(
        self,
        unit: str,
        theirs: Mapping[str, Sequence[Mapping[str, Any]]],
        questions: Mapping[str, tuple[str, str]],
        tries: Mapping[str, float],
    ) -> None:
        self.unit, self.questions, self.tries = unit, questions, tries
        self.exercises = registry.exercises_of(unit)
        known = {exercise.name for exercise in self.exercises}
        self.entries: dict[str, dict[str, Mapping[str, Any]]] = {}
        for student, results in theirs.items():
            found = [entry for result in results for entry in result.get("exercises") or ()]
            self.entries[student] = {str(e.get("exercise")): e for e in found if e.get("exercise") in known}
        graded = {name for entries in self.entries.values() for name in entries}
        self.exercises = tuple(exercise for exercise in self.exercises if exercise.name in graded)

    def report(self, everyone: Sequence[str], waiting: Sequence[Standing]) -> UnitReport:
        points = float(sum(exercise.points for exercise in self.exercises))
        totals = [self.total(student) for student in self.entries]
        absent = tuple(student for student in everyone if student not in self.entries)
        mistakes, others = self._wrong()
        stuck = self._stuck(points)
        at = Counter(f"{each.number} {each.exercise}" for each in stuck)
        return UnitReport(
            self.unit,
            len(self.entries),
            points,
            round(statistics.fmean(totals), 2) if totals else 0.0,
            tuple(self._scores(exercise) for exercise in self.exercises),
            mistakes,
            others,
            stuck,
            tuple(at.most_common()),
            absent,
            len(absent),
            self._waiting(waiting),
        )

    def score(self, student: str, exercise: Exercise) -> float:
        entry = self.entries[student].get(exercise.name)
        return feedback.bounded(entry.get("score"), exercise.points) if entry is not None else 0.0

    def total(self, student: str, but: str = "") -> float:
        return sum(self.score(student, exercise) for exercise in self.exercises if exercise.name != but)

    def verdict(self, student: str, exercise: Exercise) -> str:
        return str(self.entries[student].get(exercise.name, {}).get("verdict", Verdict.NOT_ATTEMPTED))

    def _scores(self, exercise: Exercise) -> Scores:
        verdicts = Counter(self.verdict(student, exercise) for student in self.entries)
        scores = {student: self.score(student, exercise) for student in self.entries}
        blank = verdicts[Verdict.NOT_ATTEMPTED] + verdicts[Verdict.MALFORMED]
        unanswered = (Verdict.NOT_ATTEMPTED, Verdict.MALFORMED)
        tried = [score for student, score in scores.items() if self.verdict(student, exercise) not in unanswered]
        return Scores(
            exercise.name,
            exercise.number,
            said_by(exercise, "title"),
            float(exercise.points),
            len(scores),
            verdicts[Verdict.RIGHT],
            verdicts[Verdict.WRONG],
            sum(verdicts[each] for each in FAILED),
            blank,
            round(statistics.fmean(scores.values()) / exercise.points, 3) if scores and exercise.points else 0.0,
            dict(sorted(Counter(tried).items())),
            self._apart(exercise, scores),
            self.tries.get(exercise.name),
        )

    def _apart(self, exercise: Exercise, scores: Mapping[str, float]) -> float | None:
        rest = [self.total(student, but=exercise.name) for student in scores]
        if len(scores) < ENOUGH or len(set(scores.values())) < 2 or len(set(rest)) < 2:
            return None
        return round(statistics.correlation(list(scores.values()), rest), 2)

    def _wrong(self) -> tuple[tuple[KnownMistake, ...], tuple[Other, ...]]:
        named: dict[tuple[str, str], list[str]] = {}
        unnamed: dict[tuple[str, str], list[str]] = {}
        sentences: dict[tuple[str, str], str] = {}
        for exercise in self.exercises:
            known = {mistake.name for mistake in registry.judge_of(exercise).mistakes}
            for student in sorted(self.entries):
                verdict = self.verdict(student, exercise)
                if verdict != Verdict.WRONG and verdict not in FAILED:
                    continue
                entry = self.entries[student][exercise.name]
                sentence = feedback.public_message(exercise, entry)
                mistake = str(entry.get("mistake") or "")
                if mistake in known:
                    named.setdefault((exercise.name, mistake), []).append(student)
                    sentences.setdefault((exercise.name, mistake), sentence)
                else:
                    unnamed.setdefault((exercise.name, sentence), []).append(student)
        order = {exercise.name: place for place, exercise in enumerate(self.exercises)}
        number = {exercise.name: exercise.number for exercise in self.exercises}
        mistakes = [
            self._mistake(exercise, mistake, sentences[exercise, mistake], tuple(students))
            for (exercise, mistake), students in named.items()
        ]
        others = [
            Other(exercise, number[exercise], sentence, len(students), tuple(students))
            for (exercise, sentence), students in unnamed.items()
        ]
        mistakes.sort(key=lambda each: (-each.count, order[each.exercise], each.mistake))
        others.sort(key=lambda each: (-each.count, order[each.exercise], each.sentence))
        return tuple(mistakes), tuple(others)

    def _mistake(self, name: str, mistake: str, sentence: str, students: tuple[str, ...]) -> KnownMistake:
        exercise = registry.exercise_named(name)
        written = {each.name: each for each in answers_beside(registry.judge_module(exercise)).mistakes}
        answer = written.get(mistake)
        lines = tuple((answer.diff or answer.source).rstrip().splitlines()) if answer else ()
        idea, ask = self.questions.get(f"{name}.{mistake}", ("", ""))
        return KnownMistake(name, exercise.number, mistake, len(students), sentence, lines, idea, ask, students)

    def _stuck(self, points: float) -> tuple[Stuck, ...]:
        found = []
        for student in sorted(self.entries):
            total = self.total(student)
            missing = [each for each in self.exercises if self.verdict(student, each) != Verdict.RIGHT]
            if points and total < STUCK * points and missing:
                right = len(self.exercises) - len(missing)
                found.append(Stuck(student, round(total, 2), right, missing[0].name, missing[0].number))
        return tuple(found)

    def _waiting(self, waiting: Sequence[Standing]) -> tuple[Waiting, ...]:
        theirs: dict[str, list[str]] = {}
        for each in waiting:
            if each.unit == self.unit:
                theirs.setdefault(each.name, []).append(each.student)
        return tuple(Waiting(name, len(students), tuple(sorted(students))) for name, students in sorted(theirs.items()))


def without_names(report: UnitReport) -> UnitReport:
    """A report without any student's name."""

    def bare(parts: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(dataclasses.replace(part, students=()) for part in parts)

    return dataclasses.replace(
        report,
        mistakes=bare(report.mistakes),
        others=bare(report.others),
        waiting=bare(report.waiting),
        stuck=(),
        absent=(),
    )


# --- tries ------------------------------------------------------------------------------------------------------------


def _tries(unit: str, attempts: Mapping[tuple[str, str], Sequence[Sequence[bytes]]]) -> dict[str, float]:
    """Versions of each exercise's answer, per student of whom several attempts were collected."""
    found: dict[str, list[int]] = {}
    for (which, _), students in attempts.items():
        for files_of_one in students if which == unit else ():
            versions: dict[str, set[str]] = {}
            for data in files_of_one:
                try:
                    cells = read_cells(data)
                except Malformed:
                    continue
                for cell in cells:
                    if cell.grade_id and cell.nbgrader.get("solution"):
                        versions.setdefault(cell.grade_id, set()).add(cell.source.strip())
            for name, texts in versions.items():
                found.setdefault(name, []).append(len(texts))
    return {name: round(statistics.fmean(counts), 2) for name, counts in found.items()}


def attempts_of(folder: Path) -> dict[tuple[str, str], list[list[bytes]]]:
    """The attempts of students who handed in more than once, by (unit, notebook)."""
    paths: dict[tuple[str, str, str], list[Path]] = {}
    for path in sorted((folder / "attempts").glob("*/*/*.ipynb")):
        notebook, _, number = path.stem.rpartition(".")
        if number.isdecimal():
            paths.setdefault((path.parent.parent.name, path.parent.name, notebook), []).append(path)
    found: dict[tuple[str, str], list[list[bytes]]] = {}
    for (_, unit, notebook), theirs in paths.items():
        if len(theirs) > 1:
            found.setdefault((unit, notebook), []).append([path.read_bytes() for path in theirs])
    return found


# --- what to ask in class ---------------------------------------------------------------------------------------------

_ROW = re.compile(r"^\|[^|]*\[`(?P<name>\w+\.\w+)`\]\([^)]*\)\s*\|(?P<idea>[^|]+)\|(?P<ask>[^|]+)\|\s*$", re.MULTILINE)


def questions_in(text: str) -> dict[str, tuple[str, str]]:
    """The table of docs/teaching.md: by mistake, the idea behind it and what to ask in class."""
    return {row["name"]: (_plain_text(row["idea"]), _plain_text(row["ask"])) for row in _ROW.finditer(text)}


def _plain_text(text: str) -> str:
    """A cell of the table, a Greek letter of a formula as the letter."""

    def letter(found: re.Match[str]) -> str:
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {found[1].upper()}")
        except KeyError:
            return found[0]

    return re.sub(r"\$\\(\w+)\$", letter, text.strip())


def as_json(reports: Sequence[UnitReport], *, anonymous: bool, made: date) -> str:
    """The reports as data."""
    units = [dataclasses.asdict(report) for report in reports]
    about = {"schema": SCHEMA, "made": made.isoformat(), "anonymous": anonymous, "units": units}
    return json.dumps(about, ensure_ascii=False, indent=1) + "\n"


def teaching_page() -> str:
    """docs/teaching.md, where this copy of the course has it."""
    path = settings.root() / "docs" / "teaching.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
