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

Entry = Mapping[str, Any]  # one exercise of a result file

WORDS = {
    **notebook_card.WORDS,
    "not_attempted": "Not attempted",
    "wrong": "Not right",
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

ERROR_TEXT_WITHHELD = (
    "What else the error says is left out, since it may quote hidden inputs: `check.{name}({name})` in your notebook"
    " shows it."
)
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
    return phrase if article in ("", "a", "an") and _is_known_name(noun, source) else "something else"


def _dtype(value: Any, source: str) -> str:
    name = str(value).removeprefix("torch.")
    return name if re.fullmatch(r"(b?float|u?int|complex|bool)\d{0,3}", name) else "another one"


def _number_word(value: Any, source: str) -> str:
    return value if value in ("nan", "inf") else "something"


def _said(value: Any, source: str) -> str:
    """Text from before any hidden input was there: short, on one line."""
    return " ".join(str(value).split())[:300]


def _figure(value: Any, source: str) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else "the allowed"


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
        return exercise.takeaway
    if message_id in ("contract.error", "contract.error_some"):
        return _error_sentence(exercise, message_id, fields, source)
    if message_id == "contract.used_library":
        names = {name.rpartition(".")[2] for name in exercise.library}
        name = fields.get("name") if fields.get("name") in names else "What you use"
        return f"`{name}` from course_lib already does what you are asked to write here. Write it with PyTorch itself."
    if message_id in PUBLIC:
        sentence, cleaners = PUBLIC[message_id]
        shown = {name: clean(fields.get(name, ""), source) for name, clean in cleaners.items()}
        return sentence.format(name=exercise.name, **shown)
    for mistake in registry.judge_of(exercise).mistakes:
        if message_id == f"{exercise.name}.mistake.{mistake.name}":
            return _mistake_sentence(mistake.text, fields)
    return VERDICTS.get(verdict, VERDICTS["wrong"])


def _mistake_sentence(text: str, fields: Mapping[str, Any]) -> str:
    """A mistake's sentence. Its author chose the fields, so words and single numbers stay; anything longer goes."""
    for name, value in fields.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        text = text.replace(f"{{{name}}}", shown if len(shown) <= 24 and not re.search(r"[\[(]", shown) else "...")
    return text


def _error_sentence(exercise: Exercise, message_id: str, fields: Mapping[str, Any], source: str) -> str:
    kind = str(fields.get("type", ""))
    kind = kind if kind.isidentifier() and _is_known_name(kind, source) else "an exception"
    begin = "Your code works on some inputs, but stopped" if message_id.endswith("some") else "Your code stopped"
    where = re.fullmatch(r" \(line (\d{1,4}): `(.*)`\)", str(fields.get("where", "")))
    lines = {line.strip() for line in source.splitlines()}
    place = f" in line {where[1]}, `{where[2]}`" if where and where[2] in lines else ""
    text = str(fields.get("text", ""))
    for pattern in _SPEAKING_ERRORS:
        found = re.match(pattern, text)
        if found and all(_is_known_name(part, source) for name in found.groups() for part in name.split(".")):
            return f"{begin} with {kind}{place}: {found[0]}."
    return f"{begin} with {kind}{place}. {ERROR_TEXT_WITHHELD.format(name=exercise.name)}"


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
        (c.title, bounded(scores.get(c.name), c.points), float(c.points)) for c in registry.judge_of(exercise).criteria
    ]


def card(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The card as HTML without scripts; everything that is not the course's own text is escaped."""
    verdict = entry.get("verdict") if entry.get("verdict") in WORDS else "wrong"
    assert isinstance(verdict, str)
    title = f"Exercise {exercise.number}: {exercise.title}"
    points = f"{bounded(entry.get('score'), exercise.points):g} of {exercise.points:g} points"
    label = html.escape(f"{title}. {WORDS[verdict]}. {points}.")
    parts = [
        f'<section class="course-card" data-state="{verdict}" data-exercise="{exercise.name}" aria-label="{label}" '
        f'style="{notebook_card.STYLE};border-left:8px solid {EDGES[verdict]}">',
        '<div style="display:flex;justify-content:space-between;gap:1em;flex-wrap:wrap">'
        f"<strong>{WORDS[verdict]}</strong><span>{html.escape(title)}</span><span>{points}</span></div>",
        f'<p style="margin:.5em 0">{notebook_card.marked_up(public_message(exercise, entry, source=source))}</p>',
        '<ul aria-label="Criteria" style="margin:.3em 0;padding-left:.5em">',
    ]
    for sentence, score, worth in criteria_of(exercise, entry):
        said = "met" if score > 0 else "not met"
        parts.append(
            f'<li style="list-style:none"><span aria-hidden="true">{notebook_card.MARKS[score > 0]}</span> '
            f"{notebook_card.marked_up(sentence)} <em>({said}, {score:g} of {worth:g})</em></li>"
        )
    parts.append("</ul>")
    if verdict != "right":
        parts.append(notebook_card.hint_list(exercise))
    return "".join([*parts, "</section>"])


def text_card(exercise: Exercise, entry: Entry, *, source: str = "") -> str:
    """The card as plain text, for places that show no HTML."""
    verdict = str(entry.get("verdict"))
    lines = [f"{WORDS.get(verdict, verdict)}. {public_message(exercise, entry, source=source)}"]
    for sentence, score, worth in criteria_of(exercise, entry):
        said = "met    " if score > 0 else "not met"
        lines.append(f"  [{said}] {sentence} ({score:g} of {worth:g})")
    return "\n".join(lines)
