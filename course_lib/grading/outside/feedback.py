"""The card of a graded exercise as a student may see it: no hidden input, no expected value, nothing that can run.

What a message quotes comes from the hidden inputs or from the student's own process, so nothing is passed on by
default. `PUBLIC` says, for each sentence of the contract, what is said instead and which fields it may quote; one that
is not listed is replaced by a general one. An instructor sees everything with `course explain`.
"""

from __future__ import annotations

import builtins
import html
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from course_lib import exercises as registry
from course_lib.exercises import card as notebook_card
from course_lib.exercises.contract import Exercise
from course_lib.exercises.messages import Message, register, said_by, say

Entry = Mapping[str, Any]  # one exercise of a result file

WORDS = {
    "not_attempted": "Not attempted",
    "error": "Error",
    "wrong": "Not right",
    "right": "Right",
    "timeout": "Out of time",
    "memory": "Out of memory",
    "crashed": "Crashed",
    "malformed": "Could not be read",
}
EDGES = {verdict: notebook_card.EDGES.get(verdict, notebook_card.EDGES["error"]) for verdict in WORDS}

VERDICTS = {
    "right": "Right.",
    "wrong": "Your code runs, but does not do all that was asked: the criteria say what is missing.",
    "not_attempted": "Nothing was handed in here: the cell still raises `NotImplementedError`.",
    "error": "Your code stopped with an error.",
    "timeout": "Your code was stopped: it needed more time than is allowed. Is there a loop that never ends?",
    "memory": "Your code was stopped: it needed more memory than is allowed. Does something grow with every step?",
    "crashed": "Your code ended its own process, so there was nothing to look at. Does it call `exit`?",
    "malformed": "The notebook that was handed in could not be read, so there was nothing to grade.",
}

OTHER = {
    "feedback.error": "{begin} with {type}{place}: {text}.",
    "feedback.error_withheld": (
        "{begin} with {type}{place}. What else the error says is left out, since it may quote hidden inputs:"
        " `check.{name}({name})` in your notebook shows it."
    ),
    "feedback.stopped": "Your code stopped",
    "feedback.stopped_on_some": "Your code works on some inputs, but stopped",
    "feedback.place": " in line {line}, `{source}`",
    "feedback.an_exception": "an exception",
    "feedback.used_library": (
        "`{library}` from course_lib already does what you are asked to write here. Write it with PyTorch itself."
    ),
    "feedback.used_something": "What you use",
    "feedback.something_else": "something else",
    "feedback.another_one": "another one",
    "feedback.something": "something",
    "feedback.the_allowed": "the allowed",
    "feedback.by_person": "Graded by a person, not counted here: {answers}.",
}
# What stands in a result file about a notebook as a whole; kept in English there, and said in the reader's language.
NOTES = {
    "phrase.note.missing": "cell {cell} is missing",
    "phrase.note.doubled": "cell {cell} is there {count} times",
    "phrase.note.moved": "cells were moved: {here} stands where {there} was",
    "phrase.note.turned": "cell {cell} was turned from {before} into {now}",
    "phrase.note.metadata": "cell {cell} has other metadata: {keys}",
    "phrase.note.edited": "locked cell {cell} was edited",
    "phrase.note.added": "cell {cell} was not in the released notebook",
    "phrase.note.extra": "an extra notebook {other} was handed in and not read",
    "phrase.note.renamed": "the notebook is called {other} and not {expected}",
    "phrase.note.no_notebook": "the notebook {expected} is missing; the student's folder holds {there}.",
    "phrase.note.folder": "the folder cannot be read: {reason}.",
    "phrase.note.link": "the notebook is a symbolic link; links are not followed.",
    "phrase.note.no_file": "the notebook is not a regular file.",
    "phrase.note.archive": "the notebook cannot be read from the archive: {reason}.",
    "phrase.note.unreadable": "the notebook cannot be read: {reason}.",
    "phrase.note.no_keys": "the file is not a notebook: it holds a {kind} and not a notebook's keys.",
    "phrase.note.format": "the notebook has format {version}; Jupyter's formats 3 and 4 can be read.",
    "phrase.note.no_cells": "the notebook has no list of cells.",
    "phrase.note.many_cells": "the notebook has {count} cells; at most {most} are read.",
    "phrase.note.much_text": "the notebook's cells hold more than {size} KB of text.",
    "phrase.note.empty": "the file is empty.",
    "phrase.note.large": "the file has {size} MB; at most {most} MB are read.",
    "phrase.note.encoding": "the file is not UTF-8 text (byte {byte}).",
    "phrase.note.deep": "the file is JSON nested too deep to be a notebook.",
    "phrase.note.json": "the file is not valid JSON: {reason}.",
    "phrase.note.old": "the notebook has the old format 3 and cannot be converted: {reason}",
    "phrase.note.no_cell": "one of the notebook's cells is not a cell.",
    "phrase.note.no_source": "one of the notebook's cells has no text as its source.",
}
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


# --- fields that may be quoted --------------------------------------------------------------------------------------


def _key(value: Any, source: str) -> str:
    """The name of an observed value; what follows in brackets may come from the inputs."""
    return re.sub(r"[^\w ].*", "", str(value))[:60].strip()


def _kind(value: Any, source: str) -> str:
    """What a value is, without its shape: "a tensor", "a float"."""
    phrase = re.sub(r" of shape .*", "", str(value))
    article, _, noun = phrase.rpartition(" ")
    return phrase if article in ("", "a", "an") and _is_known_name(noun, source) else say("feedback.something_else")


def _dtype(value: Any, source: str) -> str:
    name = str(value).removeprefix("torch.")
    return name if re.fullmatch(r"(b?float|u?int|complex|bool)\d{0,3}", name) else say("feedback.another_one")


def _number_word(value: Any, source: str) -> str:
    return value if value in ("nan", "inf") else say("feedback.something")


def _said(value: Any, source: str) -> str:
    """Text from before any hidden input was there: short, on one line."""
    return " ".join(str(value).split())[:300]


def _figure(value: Any, source: str) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else say("feedback.the_allowed")


def _is_known_name(name: str, source: str) -> bool:
    """Whether a name tells nothing that the student's code, Python or torch does not say anyway."""
    if name in ("None", "tensor") or hasattr(builtins, name):
        return True
    if re.fullmatch(r"(numpy|torch)\.[a-z_]+\d{0,3}|ndarray|Tensor|Parameter|Size|NoneType", name):
        return True
    return name.isidentifier() and re.search(rf"\b{re.escape(name)}\b", source) is not None


# id -> (sentence, {field: how it is made fit to be shown})
PUBLIC: dict[str, tuple[str, dict[str, Callable[[Any, str], str]]]] = {
    "contract.not_attempted": (VERDICTS["not_attempted"], {}),
    "contract.not_callable": ("`{name}` should be a function or a class, but it is {given}.", {"given": _kind}),
    "contract.interrupted": (VERDICTS["timeout"], {}),
    "contract.returns_none": (
        "Your code gives back None where {expected} was expected ({key}). Is the `return` missing?",
        {"key": _key, "expected": _kind},
    ),
    "contract.wrong_type": (
        "{key} should be {expected}, but it is {given}.",
        {"key": _key, "expected": _kind, "given": _kind},
    ),
    "contract.wrong_shape": ("{key} does not have the shape that was asked for.", {"key": _key}),
    "contract.wrong_dtype": (
        "{key} should have dtype {expected}, but it has dtype {given}.",
        {"key": _key, "expected": _dtype, "given": _dtype},
    ),
    "contract.not_finite": (
        "{key} contains {given}, which is not a finite number.",
        {"key": _key, "given": _number_word},
    ),
    "contract.wrong_value": ("{key} is not the value that was asked for.", {"key": _key}),
    "contract.wrong_values": ("{key} differs from what was asked for.", {"key": _key}),
    "contract.unmet": (VERDICTS["wrong"], {}),
    "contract.judge_failed": (
        "The check itself failed here. That is a fault of the course, not of your answer; your instructor can see it.",
        {},
    ),
    "grading.not_defined": ("Your notebook does not define `{name}`.", {}),
    # no hidden input had been made when the cells ran, so what an error said then may be told
    "grading.cell_error": (
        "The cell that should define `{name}` stopped with {type}: {text}",
        {"type": _said, "text": _said},
    ),
    "grading.timeout": (
        "Your code was stopped after {seconds} seconds. Is there a loop that never ends?",
        {"seconds": _figure},
    ),
    "grading.memory": (
        "Your code needed more memory than is allowed ({megabytes} MB). Does something grow with every step?",
        {"megabytes": _figure},
    ),
    "grading.crashed": (VERDICTS["crashed"], {}),
    "grading.unstable": (
        "Your code gives other values each time it runs on the same inputs. Does it draw random numbers of its own, or"
        " remember earlier calls?",
        {},
    ),
}


for _word in WORDS:
    register(f"feedback.word.{_word}", WORDS[_word])
    register(f"feedback.verdict.{_word}", VERDICTS[_word])
for _id, (_sentence, _) in PUBLIC.items():
    register(f"feedback.{_id}", _sentence)
for _id, _sentence in {**OTHER, **NOTES}.items():
    register(_id, _sentence)


def word_of(verdict: str) -> str:
    """A verdict in a word or two, in the reader's language."""
    return say(f"feedback.word.{verdict}") if verdict in WORDS else verdict


def verdict_sentence(verdict: str) -> str:
    """A verdict in a sentence, in the reader's language."""
    return say(f"feedback.verdict.{verdict if verdict in VERDICTS else 'wrong'}")


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
        names = {name.rpartition(".")[2] for name in exercise.library}
        library = fields.get("name") if fields.get("name") in names else say("feedback.used_something")
        return say("feedback.used_library", library=library)
    if message_id in PUBLIC:
        _, cleaners = PUBLIC[message_id]
        shown = {name: clean(fields.get(name, ""), source) for name, clean in cleaners.items()}
        return say(f"feedback.{message_id}", name=exercise.name, **shown)
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
    kind = kind if kind.isidentifier() and _is_known_name(kind, source) else say("feedback.an_exception")
    begin = say("feedback.stopped_on_some" if message_id.endswith("some") else "feedback.stopped")
    where = re.fullmatch(r" \(line (\d{1,4}): `(.*)`\)", str(fields.get("where", "")))
    lines = {line.strip() for line in source.splitlines()}
    place = say("feedback.place", line=where[1], source=where[2]) if where and where[2] in lines else ""
    text = str(fields.get("text", ""))
    for pattern in _SPEAKING_ERRORS:
        found = re.match(pattern, text)
        if found and all(_is_known_name(part, source) for name in found.groups() for part in name.split(".")):
            return say("feedback.error", begin=begin, type=kind, place=place, text=found[0])
    return say("feedback.error_withheld", begin=begin, type=kind, place=place, name=exercise.name)


# --- the card -------------------------------------------------------------------------------------------------------


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


def card(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The card as HTML without scripts; everything that is not the course's own text is escaped."""
    verdict = entry.get("verdict") if entry.get("verdict") in WORDS else "wrong"
    assert isinstance(verdict, str)
    word, title = word_of(verdict), say("card.title", number=exercise.number, title=said_by(exercise, "title"))
    points = notebook_card.points_of(bounded(entry.get("score"), exercise.points), exercise.points)
    label = html.escape(say("card.label", title=title, state=word, points=points))
    parts = [
        f'<section class="course-card" data-state="{verdict}" data-exercise="{exercise.name}" aria-label="{label}" '
        f'lang="{notebook_card.html_language()}" style="{notebook_card.STYLE};border-left:8px solid {EDGES[verdict]}">',
        notebook_card.heading(word, title, points),
        f'<p style="margin:.5em 0">{notebook_card.marked_up(public_message(exercise, entry, source=source))}</p>',
        notebook_card.criteria_list(criteria_of(exercise, entry)),
    ]
    if verdict != "right":
        parts.append(notebook_card.hint_list(exercise))
    return "".join([*parts, "</section>"])


def text_card(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The card as plain text, for places that show no HTML."""
    verdict = str(entry.get("verdict"))
    lines = [f"{word_of(verdict)}. {public_message(exercise, entry, source=source)}"]
    return "\n".join(lines + notebook_card.text_criteria(criteria_of(exercise, entry)))
