"""The card of a graded exercise as a student may see it: no hidden input, no expected value, nothing that can run.

An instructor sees everything with `course explain`.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import Any

from course_lib import exercises as registry
from course_lib.exercises import card as notebook_card
from course_lib.exercises.contract import Exercise
from course_lib.exercises.messages import Message, said_by, say
from course_lib.exercises.observing import called
from course_lib.grading.outside.public_sentences import PUBLIC, VERDICTS, WORDS, is_known_name
from course_lib.grading.outside.results import Verdict

Entry = Mapping[str, Any]  # one exercise of a result file

EDGES = {verdict: notebook_card.EDGES.get(verdict, notebook_card.EDGES["error"]) for verdict in WORDS}


def card(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The card as HTML without scripts; everything that is not the course's own text is escaped."""
    verdict = Verdict(entry["verdict"]) if entry.get("verdict") in WORDS else Verdict.WRONG
    word, title = word_of(verdict), say("card.title", number=exercise.number, title=said_by(exercise, "title"))
    points = notebook_card.points_of(bounded(entry.get("score"), exercise.points), exercise.points)
    label = html.escape(say("card.label", title=title, state=word, points=points))
    parts = [
        f'<section class="course-card" data-state="{verdict}" data-exercise="{exercise.name}" aria-label="{label}" '
        f'lang="{notebook_card.html_language()}" style="{notebook_card.STYLE};border-left:8px solid {EDGES[verdict]}">',
        notebook_card.heading(word, title, points),
        f'<p style="margin:.5em 0">{notebook_card.marked_up(public_message(exercise, entry, source=source))}</p>',
        _list_not_run(entry),
        notebook_card.criteria_list(criteria_of(exercise, entry)),
    ]
    if verdict != Verdict.RIGHT:
        parts.append(notebook_card.hint_list(exercise))
    return "".join([*parts, "</section>"])


def text_card(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The card as plain text, for places that show no HTML."""
    verdict = str(entry.get("verdict"))
    lines = [f"{word_of(verdict)}. {public_message(exercise, entry, source=source)}", *text_not_run(entry)]
    return "\n".join(lines + notebook_card.text_criteria(criteria_of(exercise, entry)))


def text_not_run(entry: Entry) -> list[str]:
    """The lines of the notebook that did not run before an answer stopped, under a heading; [] where all ran.

    They failed before any hidden input was there, so what they say may be told.
    """
    told = [line for line in entry.get("not_run") or () if isinstance(line, Mapping)]
    return [say("feedback.not_run"), *(f"  {line_not_run(line)}" for line in told)] if told else []


def line_not_run(line: Mapping[str, Any]) -> str:
    """A line of code that failed, and how, as one line of text."""
    source, kind, text = (" ".join(str(line.get(key, "")).split()) for key in ("source", "type", "text"))
    source = source.replace("`", "'")
    return say("feedback.not_run_line", line=line.get("line"), source=source, type=kind, text=text[:300])


def _list_not_run(entry: Entry) -> str:
    heading, *lines = text_not_run(entry) or [""]
    if not lines:
        return ""
    items = "".join(f"<li>{notebook_card.marked_up(line.strip())}</li>" for line in lines)
    return f'<p style="margin:.5em 0">{html.escape(heading)}</p><ul style="margin:.5em 0">{items}</ul>'


def bounded(value: Any, most: Any) -> float:
    """Points from a result file: a finite number between 0 and what there is to get, two decimals; else 0."""
    try:
        value, most = float(value), float(most)
    except (TypeError, ValueError):
        return 0.0
    return round(min(max(value, 0.0), most), 2) if math.isfinite(value) and math.isfinite(most) else 0.0


def criteria_of(exercise: Exercise, entry: Entry) -> list[tuple[str, float, float]]:
    """Every criterion as (title, score, points), in the judge's order."""
    scores = {str(c.get("name")): c.get("score") for c in entry.get("criteria") or ()}
    return [
        (say(f"{exercise.name}.criterion.{c.name}"), bounded(scores.get(c.name), c.points), float(c.points))
        for c in registry.judge_of(exercise).criteria
    ]


def word_of(verdict: str) -> str:
    """A verdict in a word or two, in the reader's language."""
    return say(f"feedback.word.{verdict}") if verdict in WORDS else verdict


def verdict_sentence(verdict: str) -> str:
    """A verdict in a sentence, in the reader's language."""
    return say(f"feedback.verdict.{verdict if verdict in VERDICTS else Verdict.WRONG}")


# --- the sentence that may be shown -----------------------------------------------------------------------------------


def public_message(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The sentence of a graded exercise that may be shown to its student.

    Args:
        exercise: what was asked for.
        entry: the exercise's part of a result file.
        source: the student's own code; names and lines that stand in it may be quoted.
    """
    message = entry.get("message") or {}
    message_id, fields = str(message.get("id", "")), message.get("fields") or {}
    verdict = str(entry.get("verdict"))
    if message_id == "contract.right":
        return said_by(exercise, "takeaway")
    if message_id in ("contract.error", "contract.error_some"):
        return _error_sentence(exercise, message_id, fields, source)
    if message_id == "contract.used_library":
        names = {called(name) for name in exercise.library}
        library = fields.get("name") if fields.get("name") in names else say("feedback.used_something")
        return say("feedback.used_library", library=library)
    if message_id in PUBLIC:
        registry.judge_of(exercise)  # makes the exercise's words for what is observed known
        _, cleaners = PUBLIC[message_id]
        shown = {name: clean(fields.get(name, ""), source) for name, clean in cleaners.items()}
        return say(f"feedback.{message_id}", name=exercise.name, signature=exercise.signature, **shown)
    for mistake in registry.judge_of(exercise).mistakes:
        if message_id == f"{exercise.name}.mistake.{mistake.name}":
            return Message(message_id, {name: _short(value) for name, value in fields.items()}).render()
    return verdict_sentence(verdict)


def _short(value: Any) -> Any:
    """A field of a mistake's sentence. Its author chose them: words and single numbers stay, anything longer goes."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.3g}")
    shown = str(value)
    return shown if len(shown) <= 24 and not re.search(r"[\[(]", shown) else "..."


def _error_sentence(exercise: Exercise, message_id: str, fields: Mapping[str, Any], source: str) -> str:
    kind = str(fields.get("type", ""))
    kind = kind if kind.isidentifier() and is_known_name(kind, source) else say("feedback.an_exception")
    begin = say("feedback.stopped_on_some" if message_id.endswith("some") else "feedback.stopped")
    where = re.fullmatch(r" \(line (\d{1,4}): `(.*)`\)", str(fields.get("where", "")))
    lines = {line.strip() for line in source.splitlines()}
    place = say("feedback.place", line=where[1], source=where[2]) if where and where[2] in lines else ""
    text = str(fields.get("text", ""))
    for pattern in _SPEAKING_ERRORS:
        found = re.match(pattern, text)
        # Names in the line that failed; anywhere in the source, a chosen name could carry a hidden number out.
        line = where[2] if place and where else ""
        if found and all(is_known_name(part, line) for name in found.groups() for part in name.split(".")):
            return say("feedback.error", begin=begin, type=kind, place=place, text=found[0])
    return say("feedback.error_withheld", begin=begin, type=kind, place=place, name=exercise.name)


# Errors whose text can only name things of the student's own code.
_SPEAKING_ERRORS = (
    r"name '(\w+)' is not defined",
    r"cannot access local variable '(\w+)' where it is not associated with a value",
    r"No module named '([\w.]+)'",
    r"module '([\w.]+)' has no attribute '(\w+)'",
    r"'([\w.]+)' object has no attribute '(\w+)'",
    r"'([\w.]+)' object is not callable",
    r"'([\w.]+)' object is not subscriptable",
    r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'",
)
