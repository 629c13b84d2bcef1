"""What students may be told: the sentences, and which fields of a judge's message each of them may quote.

What a message quotes comes from the hidden inputs or from the student's own process, so nothing is passed on by
default: a sentence of the contract that `PUBLIC` does not list is replaced by a general one.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from typing import Any

from course_lib.exercises.messages import SENTENCES, catalogue, register, said, say
from course_lib.grading.outside.results import Verdict

WORDS = {
    Verdict.NOT_ATTEMPTED: "Not attempted",
    Verdict.ERROR: "Error",
    Verdict.WRONG: "Not right",
    Verdict.RIGHT: "Right",
    Verdict.TIMEOUT: "Out of time",
    Verdict.MEMORY: "Out of memory",
    Verdict.CRASHED: "Crashed",
    Verdict.MALFORMED: "Could not be read",
}

VERDICTS = {
    Verdict.RIGHT: "Right.",
    Verdict.WRONG: "Your code runs, but does not do all that was asked: the criteria say what is missing.",
    Verdict.NOT_ATTEMPTED: "Nothing was handed in here: the cell still raises `NotImplementedError`.",
    Verdict.ERROR: "Your code stopped with an error.",
    Verdict.TIMEOUT: "Your code was stopped: it needed more time than is allowed. Is there a loop that never ends?",
    Verdict.MEMORY: (
        "Your code was stopped: it needed more memory than is allowed. Does something grow with every step?"
    ),
    Verdict.CRASHED: "Your code ended its own process, so there was nothing to look at. Does it call `exit`?",
    Verdict.MALFORMED: "The notebook that was handed in could not be read, so there was nothing to grade.",
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
    "feedback.not_run": "These lines of your notebook did not run where answers are graded:",
    "feedback.not_run_line": "line {line}, `{source}`: {type}: {text}",
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
    "phrase.note.misplaced": "the notebook lies at {found} and not at {expected}",
    "phrase.note.foreign": "the notebook {expected} is missing; the file of that name is a copy of {other}.",
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
    "phrase.note.large": "the file holds more than {most} MB, its outputs not counted.",
    "phrase.note.encoding": "the file is not UTF-8 text (byte {byte}).",
    "phrase.note.deep": "the file is JSON nested too deep to be a notebook.",
    "phrase.note.json": "the file is not valid JSON: {reason}.",
    "phrase.note.old": "the notebook has the old format 3 and cannot be converted: {reason}",
    "phrase.note.no_cell": "one of the notebook's cells is not a cell.",
    "phrase.note.no_source": "one of the notebook's cells has no text as its source.",
}


# --- fields that may be quoted ----------------------------------------------------------------------------------------


def _key(value: Any, source: str) -> str:
    """What an observed value is called: an exercise's or the course's words for it, or its name.

    What follows a name in brackets may come from the inputs.
    """
    text = str(value)
    if re.fullmatch(r"(\w+\.)?observed\.\w+", text) and text in catalogue():
        return say(text)
    if re.fullmatch(r"[a-z ]+ `[a-z_]{1,30}`( after the call)?", text):
        return str(said(text))  # a phrase about an argument
    return re.sub(r"[^\w ].*", "", text)[:60].strip()


def _kind(value: Any, source: str) -> str:
    """What a value is, without its shape or length: "a tensor", "a float"."""
    phrase = re.sub(r" (of shape|of length|with) .*", "", str(value))
    article, _, noun = phrase.rpartition(" ")
    return phrase if article in ("", "a", "an") and is_known_name(noun, source) else say("feedback.something_else")


def _dtype(value: Any, source: str) -> str:
    name = str(value).removeprefix("torch.")
    return name if re.fullmatch(r"(b?float|u?int|complex|bool)\d{0,3}", name) else say("feedback.another_one")


def _number_word(value: Any, source: str) -> str:
    return str(value) if value in ("nan", "inf") else say("feedback.something")


def _said(value: Any, source: str) -> str:
    """Text from before any hidden input was there: short, on one line."""
    return " ".join(str(value).split())[:300]


def _figure(value: Any, source: str) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else say("feedback.the_allowed")


def _arguments(value: Any, source: str) -> str:
    names = [name for name in re.findall(r"`(\w+)`", str(value)) if is_known_name(name, source)]
    return ", ".join(f"`{name}`" for name in names) or say("feedback.something")


def is_known_name(name: str, source: str) -> bool:
    """Whether a name tells nothing that the student's code, Python or torch does not say anyway."""
    if name in ("None", "tensor") or hasattr(builtins, name):
        return True
    if re.fullmatch(r"(numpy|torch)\.[a-z_]+\d{0,3}|ndarray|Tensor|Parameter|Size|NoneType", name):
        return True
    return name.isidentifier() and re.search(rf"\b{re.escape(name)}\b", source) is not None


# --- the sentences of the contract ------------------------------------------------------------------------------------

# id -> (sentence, {field: how it is made fit to be shown})
PUBLIC: dict[str, tuple[str, dict[str, Callable[[Any, str], str]]]] = {
    "contract.not_attempted": (VERDICTS[Verdict.NOT_ATTEMPTED], {}),
    "contract.not_callable": ("`{name}` should be a function or a class, but it is {given}.", {"given": _kind}),
    "contract.interrupted": (VERDICTS[Verdict.TIMEOUT], {}),
    "contract.cannot_be_called": (
        "The check calls your code as in `{signature}`, and your code cannot be called like that.",
        {},
    ),
    "contract.unusable": (
        "Your code ran, but the check could not use what it returned. In your notebook, `check.{name}({name})` says"
        " why.",
        {},
    ),
    "contract.returns_none": ("{key} is None. Is the `return` missing?", {"key": _key}),
    "contract.is_none": ("{key} is None, or a part of it is, where a value is expected.", {"key": _key}),
    "contract.missing": ("{key} is missing, or a part of it is.", {"key": _key}),
    "contract.extra": ("{key} has a part that is not expected.", {"key": _key}),
    "contract.wrong_length": ("{key} does not have the length that was asked for.", {"key": _key}),
    "contract.lacks": ("{key} does not have all entries that were asked for.", {"key": _key}),
    "contract.has_besides": ("{key} has entries that were not asked for.", {"key": _key}),
    "contract.has_others": ("{key} has other entries than were asked for.", {"key": _key}),
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
    "contract.unmet": (VERDICTS[Verdict.WRONG], {}),
    "contract.changed": (SENTENCES["contract.changed"], {"names": _arguments}),
    **{sentence: (SENTENCES[sentence], {}) for sentence in SENTENCES if sentence.startswith("contract.left_")},
    # How many of the answers, which are the same for everyone; not which.
    "contract.check_refuses": (SENTENCES["contract.check_refuses"], {"refused": _figure, "right": _figure}),
    "contract.check_lets_pass": (SENTENCES["contract.check_lets_pass"], {"stopped": _figure, "wrong": _figure}),
    "contract.check_endless": (
        SENTENCES["contract.check_endless"],
        {"endless": _figure, "count": _figure, "seconds": _figure},
    ),
    "contract.judge_failed": (
        "The check itself failed here. That is a fault of the course, not of your answer; your instructor can see it.",
        {},
    ),
    "grading.not_defined": ("Your notebook does not define `{name}`.", {}),
    # No hidden input had been made when the cells ran, so the text of an error from then may be told.
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
    "grading.crashed": (VERDICTS[Verdict.CRASHED], {}),
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
