"""`course explain STUDENT EXERCISE`: why a point was lost, for the instructor who is asked.

Here everything is said that the feedback page withholds: the inputs, the values seen and expected, what the code
printed. So it is for the instructor's eyes; the last line is the sentence that the student was shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_lib import exercises as registry
from course_lib import settings
from course_lib.exercises.card import points_of, text_criteria
from course_lib.exercises.contract import Exercise
from course_lib.exercises.messages import Message, register, say
from course_lib.grading.inside.protocol import View
from course_lib.grading.outside import feedback
from course_lib.grading.outside.pages import handed_in
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.standings import Standing, standings
from course_lib.grading.outside.terminal import visible
from course_lib.notebooks import CHECK

MAX_PRINTED = 2_000

for _id, _sentence in {
    "explain.title": "{student}, {unit}, Exercise {number} {name}: {word}, {points}.",
    "explain.mistake": "It behaves like the known mistake {mistake}.",
    "explain.not_run": "Before that, these lines of the notebook did not run here:",
    "explain.at_the_end": (
        "What the answer's own cell defines got fewer points, so what the notebook defines in the end was graded."
    ),
    "explain.printed": "It printed:",
    "explain.notebook": "The notebook: {problem}",
    "explain.tampered": "Tampered with: {what}",
    "explain.isolation": "Graded with isolation {isolation}.",
    "explain.student_reads": "The student reads: {sentence}",
    "explain.verdict": "The verdict is {verdict}.",
    "explain.person_gave": "A person gave {score} of {points} points; that counts.",
    "explain.person_added": "A person added {points} points of extra credit.",
    "explain.person_wrote": "A person wrote: {comment}",
    "explain.awaiting": "It waits for a person to look at it, in formgrader.",
    "explain.written": "{student}, {name}: a written answer, graded by a person.",
    "explain.not_in_gradebook": "It is not in the gradebook yet.",
    "explain.no_response": "No response: the text was handed in as it was released, so there is nothing to read.",
}.items():
    register(_id, _sentence)


def run(student: str, name: str, *, results_folder: Path | None = None, class_folder: Path | None = None) -> str:
    """What `course explain` prints.

    Args:
        student: as the folder of the submission is named.
        name: an exercise, or a written answer's grade_id.
        results_folder: where result files are; default class/results.
        class_folder: where the gradebook and the autograded notebooks are; default class/.

    Raises:
        ValueError: no such exercise, or nothing of that student has been graded.
        GradebookError: the gradebook is there but cannot be read.
    """
    from course_lib.grading.outside.gradebook import refusal
    from course_lib.grading.outside.results import all_results

    class_folder = class_folder or settings.root() / "class"
    book = class_folder / "gradebook.db"
    grades = standings(book, student=student) if book.is_file() else []
    found = list(all_results(results_folder or class_folder / "results"))
    source = ""
    if not refusal(student):
        for path in sorted((class_folder / "autograded" / student).glob("*/*.ipynb")):
            source += "".join(f"{cell['source']}\n" for cell in handed_in(path.read_bytes()))
    return explain(student, name, found, grades=grades, source=source)


def explain(
    student: str,
    name: str,
    results: Iterable[Mapping[str, Any]],
    *,
    grades: Iterable[Standing] = (),
    source: str = "",
) -> str:
    """The explanation as text for a terminal.

    Args:
        student: as the folder of the submission is named.
        name: an exercise, or a written answer's grade_id.
        results: result records, of any students and units.
        grades: as they stand in the gradebook, so that a person's score and comment are told too.
        source: the student's code, so that the sentence they were shown can be told as it was.

    Raises:
        ValueError: no such exercise, or nothing of that student has been graded; the message names those there are.
    """
    results = list(results)
    mine = [each for each in grades if each.student == student]
    about = [result for result in results if result.get("student") == student]
    if not about and not mine:
        raise ValueError(_unknown_student(student, sorted({str(result.get("student")) for result in results})))
    standing = next((each for each in mine if each.name.removeprefix(CHECK) == name), None)
    if name not in registry.exercises():
        return _written(student, name, about, standing)
    exercise = registry.exercise_named(name)
    result = next(
        (
            result
            for result in about
            if result.get("unit") == exercise.unit
            and any(entry.get("exercise") == name for entry in result.get("exercises") or ())
        ),
        None,
    )
    if result is None:
        graded = ", ".join(sorted({str(result.get("unit")) for result in about})) or "nothing"
        raise ValueError(
            f"there is no result of {name} (unit {exercise.unit}) for {student}; graded so far: {graded}. "
            f"Run `course grade` with --unit {exercise.unit}."
        )
    entry = next(entry for entry in result["exercises"] if entry.get("exercise") == name)
    return "\n".join(_lines(student, exercise, result, entry, standing, source))


def _lines(
    student: str,
    exercise: Exercise,
    result: Mapping[str, Any],
    entry: Mapping[str, Any],
    standing: Standing | None,
    source: str,
) -> list[str]:
    verdict = str(entry.get("verdict"))
    points = points_of(feedback.bounded(entry.get("score"), exercise.points), exercise.points)
    about = {"student": visible(student), "unit": exercise.unit, "number": exercise.number, "name": exercise.name}
    lines = [say("explain.title", **about, word=feedback.word_of(verdict).lower(), points=points)]
    lines.append(f"  {full_sentence(exercise, entry)}")
    if entry.get("mistake"):
        lines.append("  " + say("explain.mistake", mistake=repr(visible(str(entry["mistake"])))))
    if entry.get("view") == View.END:
        lines.append("  " + say("explain.at_the_end"))
    lines += text_criteria(feedback.criteria_of(exercise, entry))
    not_run = [line for line in entry.get("not_run") or () if isinstance(line, Mapping)]
    lines += ["  " + say("explain.not_run")] if not_run else []
    lines += [f"    {visible(feedback.line_not_run(line))}" for line in not_run]
    printed = visible(str(entry.get("printed") or "")).strip()
    if printed:
        kept = printed if len(printed) <= MAX_PRINTED else printed[:MAX_PRINTED] + " [...]"
        lines += ["  " + say("explain.printed"), *(f"    | {line}" for line in kept.splitlines())]
    if result.get("problem"):
        lines.append("  " + say("explain.notebook", problem=visible(str(result["problem"]))))
    lines += ["  " + say("explain.tampered", what=visible(str(text))) for text in result.get("tampered") or ()]
    lines += _by_person(standing)
    if result.get("isolation"):
        lines.append("  " + say("explain.isolation", isolation=repr(visible(str(result["isolation"])))))
    lines.append("  " + say("explain.student_reads", sentence=feedback.public_message(exercise, entry, source=source)))
    return lines


def full_sentence(exercise: Exercise, entry: Mapping[str, Any]) -> str:
    """The card's sentence with every value in it, as one line that a terminal cannot be fooled by."""
    registry.judge_of(exercise)  # makes its sentences known
    message = entry.get("message") or {}
    verdict = str(entry.get("verdict"))
    try:
        sentence = Message(str(message["id"]), dict(message.get("fields") or {})).render()
    except (KeyError, TypeError, ValueError):
        known = verdict in list(Verdict)
        sentence = feedback.verdict_sentence(verdict) if known else say("explain.verdict", verdict=verdict)
    return visible(sentence)


def _by_person(standing: Standing | None) -> list[str]:
    if standing is None:
        return []
    lines = []
    if standing.manual_score is not None:
        score, points = f"{standing.manual_score:g}", f"{standing.points:g}"
        lines.append("  " + say("explain.person_gave", score=score, points=points))
    if standing.extra_credit:
        lines.append("  " + say("explain.person_added", points=f"{standing.extra_credit:g}"))
    if standing.comment:
        lines.append("  " + say("explain.person_wrote", comment=visible(standing.comment)))
    if standing.awaiting:
        lines.append("  " + say("explain.awaiting"))
    return lines


def _written(student: str, name: str, about: Sequence[Mapping[str, Any]], standing: Standing | None) -> str:
    asked = [each for result in about for each in result.get("written") or () if each.get("grade_id") == name]
    if standing is None and not asked:
        registry.exercise_named(name)  # names the exercises that there are
    lines = [say("explain.written", student=visible(student), name=name)]
    if standing is None:
        lines.append("  " + say("explain.not_in_gradebook"))
    elif standing.manual_score is None and not standing.awaiting:
        lines.append("  " + say("explain.no_response"))
    return "\n".join(lines + _by_person(standing))


def _unknown_student(student: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(student, known, n=3, cutoff=0.5) or list(known[:5])
    hint = f"Did you mean {', '.join(map(repr, map(visible, close)))}?" if close else "No result is there at all yet."
    return f"nothing of the student {visible(student)!r} has been graded. {hint}"
