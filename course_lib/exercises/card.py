"""The feedback card under a check: state in words, criteria, the sentence that helps, hints, the solution.

Plain HTML without scripts, in the theme's own colors (JupyterLab's variables, with system colors elsewhere), so
that it is legible in light and dark and reads in order for a screen reader; state is said in words and never by
color alone. Hints open one at a time.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from pathlib import Path

from course_lib import settings
from course_lib.exercises.contract import TRIED, Exercise, State
from course_lib.exercises.judging import Result
from course_lib.exercises.messages import Message, reader, said_by, say
from course_lib.exercises.progress import TRIES_BEFORE_SOLUTION, Standing

EDGES: dict[str, str] = {  # Okabe-Ito
    State.NOT_ATTEMPTED: "#7a7a7a",
    State.ERROR: "#d55e00",
    State.WRONG: "#e69f00",
    State.RIGHT: "#009e73",
}
STYLE = (
    "border:1px solid var(--jp-border-color1,GrayText);border-radius:4px;padding:.6em 1em;margin:.3em 0;max-width:46em;"
    "font-family:var(--jp-ui-font-family,system-ui,sans-serif);line-height:1.5;"
    "color:var(--jp-ui-font-color0,CanvasText);background:var(--jp-layout-color1,Canvas)"
)
MARKS = {"card.met": "✓", "card.partly_met": "–", "card.not_met": "✗"}


def card(exercise: Exercise, result: Result, *, standing: Standing, borrowed: bool = False) -> str:
    """The card as HTML."""
    word = say("state.borrowed" if borrowed else f"state.{result.state}")
    title = say("card.title", number=exercise.number, title=said_by(exercise, "title"))
    points = points_of(result.score, result.points)
    label = html.escape(say("card.label", title=title, state=word, points=points))
    message = Message("contract.borrowed") if borrowed else result.message
    parts = [
        f'<section class="course-card" data-state="{result.state}" data-exercise="{exercise.name}" role="status" '
        f'lang="{html_language()}" aria-label="{label}" style="{STYLE};border-left:8px solid {EDGES[result.state]}">',
        heading(word, title, points),
        f'<p style="margin:.5em 0">{marked_up(message.render())}</p>',
    ]
    if result.smallest:
        parts.append(result.smallest.as_html())
    if result.state in TRIED and result.criteria:
        parts.append(_criteria(result))
    if result.printed:
        parts.append(_fold(say("card.printed"), f"<pre>{html.escape(result.printed)}</pre>"))
    if result.state != State.RIGHT:
        parts.append(hint_list(exercise))
    if result.state == State.RIGHT or standing.tries >= TRIES_BEFORE_SOLUTION:
        answer = solution(exercise)
        if answer:
            parts.append(_fold(say("card.solution"), _code(answer)))
    return "".join([*parts, "</section>"])


def heading(word: str, title: str, points: str) -> str:
    """The card's first line. A long title folds in its own column before anything else moves to a line below."""
    return (
        '<div style="display:flex;gap:0 1em;flex-wrap:wrap">'
        f'<strong style="white-space:nowrap">{html.escape(word)}</strong>'
        f'<span style="flex:1 1 14em">{html.escape(title)}</span>'
        f'<span style="white-space:nowrap">{html.escape(points)}</span></div>'
    )


def points_of(score: float, points: float) -> str:
    """ "2 of 3 points" in the reader's language."""
    return say("card.points", score=f"{score:g}", points=f"{points:g}")


def html_language() -> str:
    """The reader's language as HTML names it, so that a screen reader pronounces the card rightly."""
    return reader().replace("_", "-")


def _criteria(result: Result) -> str:
    return criteria_list([(c.title.render(), c.score, c.points) for c in result.criteria])


def criteria_list(criteria: Sequence[tuple[str, float, float]]) -> str:
    """Title, score and points of each criterion as a list; met or not is said in words beside the mark."""
    rows = []
    for title, score, points in criteria:
        word = _word_for(score, points)
        said = say("card.criterion", said=say(word), score=_of(score, points))
        rows.append(
            f'<li style="list-style:none"><span aria-hidden="true">{MARKS[word]}</span> '
            f"{marked_up(title)} <em>{html.escape(said)}</em></li>"
        )
    label = html.escape(say("card.criteria"))
    return f'<ul aria-label="{label}" style="margin:.3em 0;padding-left:.5em">{"".join(rows)}</ul>'


def hint_list(exercise: Exercise) -> str:
    """Each hint is folded inside the one before, so that they open one at a time."""
    inner = ""
    for number, part in reversed(list(enumerate(("concept", "api", "skeleton"), start=1))):
        text = said_by(exercise, f"hint.{part}")
        shown = _code(text) if part == "skeleton" else f"<p>{marked_up(text)}</p>"
        inner = _fold(say("card.hint", number=number, name=say(f"card.hint_{part}")), shown + inner)
    return inner


def _fold(summary: str, body: str) -> str:
    style = "margin:.3em 0 .3em .2em;overflow-x:auto"
    # A list item has the triangle that says that it opens; the pages of nbgrader would take it away.
    summary = f'<summary style="cursor:pointer;display:list-item">{html.escape(summary)}</summary>'
    return f'<details style="{style}">{summary}{body}</details>'


def _code(text: str) -> str:
    """Code that scrolls sideways; JupyterLab would break its lines within words."""
    style = "white-space:pre;overflow-x:auto"
    return f'<pre style="{style}"><code style="{style}">{html.escape(text)}</code></pre>'


def marked_up(text: str) -> str:
    """Escapes a sentence and shows what stands in backticks as code."""
    pieces = html.escape(text).split("`")
    if len(pieces) % 2 == 0:  # an odd backtick: show it as it is
        return "`".join(pieces)
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))


@functools.cache
def solution(exercise: Exercise) -> str | None:
    """The course's answer to an exercise, read from solutions/ when that is there; None otherwise."""
    source = _solution_source(settings.root() / "solutions" / exercise.unit, exercise.name)
    return source or None


def _solution_source(folder: Path, grade_id: str) -> str:
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        text = path.read_text(encoding="utf-8")
        for cell in text.split("\n# %%")[1:]:
            header, _, body = cell.partition("\n")
            if f'"grade_id": "{grade_id}"' in header and '"solution": true' in header:
                # Written so that a search of a student's copy for the markers finds none.
                body = re.sub(r"### STARTING CODE.*?(?=### END)", "", body, flags=re.DOTALL)  # what it began with
                kept = [line for line in body.splitlines() if not re.search(r"### (BEGIN|END) SOLUTION", line)]
                return "\n".join(kept).strip()
    return ""


def text_card(exercise: Exercise, result: Result) -> str:
    """The card for a terminal."""
    state, points = say(f"state.{result.state}"), points_of(result.score, result.points)
    lines = [say("card.text_title", state=state, number=exercise.number, name=exercise.name, points=points)]
    lines.append(f"  {result.message.render()}")
    if result.smallest:
        title, *shown = result.smallest.lines()
        lines += [f"  {title}", *(f"    {line}" for line in shown)]
    if result.state in TRIED:
        lines += text_criteria([(c.title.render(), c.score, c.points) for c in result.criteria])
    return "\n".join(lines)


def text_criteria(criteria: Sequence[tuple[str, float, float]]) -> list[str]:
    """Title, score and points of each criterion, a line each."""
    words = {word: say(word) for word in ("card.met", "card.not_met")}
    words |= {word: say(word) for word in (_word_for(score, points) for _, score, points in criteria)}
    width = max(map(len, words.values()))
    return [
        f"  [{words[_word_for(score, points)]:<{width}}] {title} ({_of(score, points)})"
        for title, score, points in criteria
    ]


def _word_for(score: float, points: float) -> str:
    """The id of the word for a criterion's points."""
    return "card.not_met" if score <= 0 else "card.met" if score >= points else "card.partly_met"


def _of(score: float, points: float) -> str:
    return say("card.of", score=f"{score:g}", points=f"{points:g}")
