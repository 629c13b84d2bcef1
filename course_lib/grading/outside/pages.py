"""The autograded notebook of a submission: what formgrader and the feedback pages show. Never executed here.

It is the released notebook, filled with what the student wrote: so its metadata, its check cells and their order are
the course's own whatever was handed in, and stock nbgrader can always read it. The student's text and output are made
inert: nothing of theirs can run in the browser of whoever grades, or of whoever they show the page to.
"""

from __future__ import annotations

import base64
import binascii
import copy
import functools
import html
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib import exercises as registry
from course_lib import settings
from course_lib.exercises.messages import register, said, say
from course_lib.grading.outside import feedback

Cell = dict[str, Any]
Notebook = dict[str, Any]

MAX_SOURCE = 100_000  # characters of a cell that are kept
MAX_MARKDOWN = 20_000  # above this a text is shown as it was typed
MAX_PRINTED = 20_000
MAX_ADDED = 200  # cells of the student's own that are kept
MAX_PICTURES = 2_000_000  # characters of base64 in one cell's attachments
PICTURES = ("image/png", "image/jpeg", "image/gif")
CHECK = "check_"  # a check's grade_id is this and the exercise's name

for _id, _sentence in {
    "page.notes": "Notes of the grader",
    "page.malformed": "The notebook that was handed in could not be read; what you see is the released one.",
    "page.rubric": "How this answer is graded",
    "page.as_typed": "(This text holds HTML or more than a page can show; here it is as it was typed.)",
}.items():
    register(_id, _sentence)


@dataclass(frozen=True)
class Submission:
    """One graded notebook: its result record, and the notebook as it was handed in.

    Attributes:
        result: what stands in its result file.
        notebook: the bytes of the file, or its cells as parsed; None when there was none. Read, never executed.
        timestamp: when it was handed in, as in nbgrader's timestamp.txt.
    """

    result: Mapping[str, Any]
    notebook: bytes | Mapping[str, Any] | None = field(default=None, repr=False)
    timestamp: str | None = None

    @property
    def student(self) -> str:
        return str(self.result["student"])

    @property
    def unit(self) -> str:
        return str(self.result["unit"])

    @property
    def name(self) -> str:
        return str(self.result.get("notebook") or self.unit)


def nbgrader_of(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """A cell's nbgrader metadata, {} when there is none or it makes no sense."""
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def handed_in(notebook: bytes | Mapping[str, Any] | None) -> list[Cell]:
    """The cells of a submission: "id", "number", "grade_id", "cell_type", "source", "attachments"; [] when it has none.

    Tolerant on purpose: whether a notebook is malformed has been judged before; here as much as possible is shown.
    """
    if isinstance(notebook, bytes):
        try:
            notebook = json.loads(notebook.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return []
    if isinstance(notebook, Mapping) and notebook.get("nbformat") == 3:
        import nbformat

        try:
            notebook = nbformat.convert(nbformat.from_dict(dict(notebook)), 4)
        except Exception:  # an old notebook that nobody can convert has been judged malformed
            return []
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    found = []
    for number, cell in enumerate(cells if isinstance(cells, list) else ()):
        if not isinstance(cell, Mapping):
            continue
        source = cell.get("source", "")
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        source = source if isinstance(source, str) else ""
        if len(source) > MAX_SOURCE:
            source = source[:MAX_SOURCE] + f"\n# [... {len(source) - MAX_SOURCE:,} more characters are not shown]"
        # a lone surrogate, which JSON can spell, cannot be written to a file
        source = source.encode("utf-8", "replace").decode("utf-8")
        found.append(
            {
                "id": str(cell.get("id", "")),
                "number": number,
                "grade_id": str(nbgrader_of(cell).get("grade_id", "")),
                "cell_type": cell.get("cell_type"),
                "source": source,
                "attachments": cell.get("attachments"),
            }
        )
    return found


def written_answers(page: bytes | Mapping[str, Any] | None) -> dict[str, str]:
    """The text of each cell that has a grade_id, in an autograded or submitted notebook; the first one counts."""
    answers: dict[str, str] = {}
    for cell in handed_in(page):
        if cell["grade_id"]:
            answers.setdefault(cell["grade_id"], cell["source"])
    return answers


# --- putting a page together ----------------------------------------------------------------------------------------


def page_of(submission: Submission, released: Mapping[str, Any]) -> Notebook:
    """The autograded notebook of a submission, as plain data in notebook format 4.5.

    Args:
        submission: the result and what was handed in.
        released: the released notebook, as parsed JSON.
    """
    matched, added = _placed(handed_in(submission.notebook), released)
    result = submission.result
    entries = {str(entry.get("exercise")): entry for entry in result.get("exercises") or ()}
    exercises = {exercise.name: exercise for exercise in registry.exercises_of(submission.unit)}
    own_code = "\n".join(cell["source"] for group in (matched.values(), *added.values()) for cell in group)
    reserved = {str(nbgrader_of(cell).get("grade_id", "")) for cell in released["cells"]}
    ran = result.get("cells")
    ran = ran if isinstance(ran, Mapping) else {}
    page: Notebook = {key: copy.deepcopy(value) for key, value in released.items() if key != "cells"}
    cells: list[Cell] = []
    note = _note(result)
    if note:
        cells.append(_markdown("notes-of-the-grader", note))
    count = 0
    for index, original in enumerate([None, *released["cells"]]):
        position = index - 1
        if original is not None:
            cell, about = copy.deepcopy(original), nbgrader_of(original)
            theirs = matched.get(position)
            if theirs and _is_theirs(original):
                _fill(cell, theirs, reserved)
            if cell["cell_type"] == "code":
                count += 1
                cell["execution_count"], cell["outputs"] = count, []
                name = str(about.get("grade_id", "")).removeprefix(CHECK)
                if about.get("grade") and not about.get("solution") and name in exercises:
                    entry = entries.get(name) or _missing(result)
                    html_card = feedback.card(exercises[name], entry, source=own_code)
                    cell["outputs"] = [
                        _score_output(feedback.bounded(entry.get("score"), about.get("points")), html_card, count)
                    ]
                elif theirs and about.get("solution"):
                    cell["outputs"] = _printed(ran, theirs)
            cells.append(cell)
            if about.get("grade") and about.get("solution"):
                rubric = rubric_of(submission.unit, str(about.get("grade_id")))
                if rubric:
                    shown = _markdown(f"rubric-{position}", f"*{say('page.rubric')}*\n\n{rubric}")
                    shown["metadata"] = {"tags": ["rubric"]}  # so that a converter can leave it out of the feedback
                    cells.append(shown)
        for theirs in added.get(position, ()):
            count += 1
            cells.append(_own_cell(theirs, len(cells), count, ran, reserved))
    page["cells"] = cells
    page["metadata"]["course_result"] = {"key": str(result.get("key", "")), "verdict": str(result.get("verdict"))}
    page["nbformat"], page["nbformat_minor"] = 4, 5
    return page


def page_text(page: Notebook) -> bytes:
    """The bytes of an autograded notebook; the same page gives the same bytes."""
    text = json.dumps(page, ensure_ascii=False, indent=1, sort_keys=True)
    return (text + "\n").encode("utf-8", "replace")


def _missing(result: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for an exercise that the result file does not speak of."""
    verdict = result.get("verdict")
    return {"verdict": verdict if verdict in ("malformed", "timeout", "memory", "crashed") else "error", "score": 0.0}


def _placed(theirs: Sequence[Cell], released: Mapping[str, Any]) -> tuple[dict[int, Cell], dict[int, list[Cell]]]:
    """Which handed-in cell fills which released one, and the others by the released cell that they follow (-1: none).

    Cells are known by grade_id, by id, or, where a program dropped the ids, by being word for word a released one. Of
    two with the same grade_id the first takes the place and the second stands below it.
    """
    by_grade_id: dict[str, int] = {}
    by_id: dict[str, int] = {}
    by_source: dict[tuple[str, str], int] = {}
    for position, cell in enumerate(released["cells"]):
        grade_id = nbgrader_of(cell).get("grade_id")
        if grade_id:
            by_grade_id[str(grade_id)] = position
        else:
            by_id[str(cell.get("id", ""))] = position
            by_source[cell["cell_type"], _text(cell)] = position
    matched: dict[int, Cell] = {}
    added: dict[int, list[Cell]] = {}
    last, left = -1, MAX_ADDED
    for cell in theirs:
        known = by_grade_id.get(cell["grade_id"], by_id.get(cell["id"]))
        known = by_source.get((str(cell["cell_type"]), cell["source"])) if known is None else known
        if known is not None and known not in matched:
            matched[known] = cell
            last = known
        elif cell["source"].strip() and left:
            added.setdefault(last, []).append(cell)
            left -= 1
    return matched, added


def _is_theirs(released_cell: Mapping[str, Any]) -> bool:
    """Whether the page shows the student's version of a released cell: answers, and code they may try things in.

    Set-up cells ran as released, whatever was handed in; checks and the course's text are the course's.
    """
    about, tags = nbgrader_of(released_cell), released_cell.get("metadata", {}).get("tags", [])
    if about:
        return bool(about.get("solution"))
    return released_cell.get("cell_type") == "code" and "setup" not in tags


def _fill(cell: Cell, theirs: Cell, reserved: Collection[str]) -> None:
    if cell["cell_type"] == "markdown" and theirs["source"] != _text(cell):
        cell.pop("attachments", None)
        pictures = _pictures(theirs["attachments"])
        cell["source"] = inert_markdown(theirs["source"], reserved=reserved, pictures=pictures)
        if pictures:
            cell["attachments"] = pictures
    elif cell["cell_type"] != "markdown":
        cell["source"] = theirs["source"]


def _own_cell(theirs: Cell, number: int, count: int, ran: Mapping[str, Any], reserved: Collection[str]) -> Cell:
    """A cell that the student added: code as code, all else as inert text, under an id of ours."""
    if theirs["cell_type"] == "code":
        return {
            "cell_type": "code", "id": f"added-{number}", "metadata": {}, "execution_count": count,
            "source": theirs["source"], "outputs": _printed(ran, theirs),
        }  # fmt: skip
    text = theirs["source"] if theirs["cell_type"] == "markdown" else _as_typed(theirs["source"])
    return _markdown(f"added-{number}", inert_markdown(text, reserved=reserved))


def _markdown(cell_id: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": cell_id, "metadata": {}, "source": source}


def _text(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _score_output(score: float, html_card: str, count: int) -> Cell:
    """What the check would have shown: the bare number, which nbgrader reads, and the card."""
    data = {"text/plain": repr(float(score)), "text/html": html_card}
    return {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data}


def _printed(ran: Any, theirs: Cell) -> list[Cell]:
    """What a cell printed and how it failed, as one plain stream; pictures and rich output stay behind."""
    about = ran.get(f"#{theirs['number']}") or ran.get(theirs["id"]) or {}
    if not isinstance(about, Mapping):
        return []
    text = str(about.get("printed") or "")
    if len(text) > MAX_PRINTED:
        text = text[:MAX_PRINTED] + f"\n[... {len(text) - MAX_PRINTED:,} more characters of output]\n"
    error = about.get("error")
    if isinstance(error, Mapping):
        line = f" (line {error['line']})" if isinstance(error.get("line"), int) else ""
        text += ("\n" if text and not text.endswith("\n") else "") + (
            f"{error.get('type', 'Error')}{line}: {str(error.get('text', ''))[:500]}\n"
        )
    elif error:
        text += str(error)[:500]
    text = re.sub(r"[^\n\t -~\u00a0-\ud7ff\ue000-\U0010ffff]", "", text)  # colors and other control characters
    return [{"output_type": "stream", "name": "stdout", "text": text}] if text else []


def _note(result: Mapping[str, Any]) -> str:
    """What the reader must know about the submission as a whole."""
    lines = []
    if result.get("verdict") == "malformed":
        lines.append(say("page.malformed"))
        lines += [said(str(result["problem"])[:500])] if result.get("problem") else []
    lines += [said(str(text)[:300]) for text in list(result.get("tampered") or ())[:20]]
    if not lines:
        return ""
    return f"**{say('page.notes')}**\n\n" + _as_typed("\n".join(lines))


# --- what a written answer is graded by -----------------------------------------------------------------------------


@functools.cache
def rubric_of(unit: str, grade_id: str) -> str:
    """The rubric of a written answer: the part of its solution that begins with a line "Rubric"; "" without one.

    It ends where the solution does, or at a line that begins with "Sample": sample answers are not for students' eyes.
    """
    folder = settings.root() / "solutions" / unit
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        for cell in path.read_text(encoding="utf-8").split("\n# %%")[1:]:
            header, _, body = cell.partition("\n")
            if f'"grade_id": "{grade_id}"' not in header:
                continue
            lines = [re.sub(r"^# ?", "", line) for line in body.splitlines()]
            begin = next((i for i, line in enumerate(lines) if re.match(r"\W*rubric\b", line, re.IGNORECASE)), None)
            if begin is None:
                return ""
            stop = re.compile(r"\W*sample\b|#* ?#+ (BEGIN|END) ", re.IGNORECASE)
            end = next((i for i in range(begin + 1, len(lines)) if stop.match(lines[i])), len(lines))
            return "\n".join(lines[begin:end]).strip()
    return ""


# --- nothing that can run -------------------------------------------------------------------------------------------

_TAGS = (
    "a|b|blockquote|br|code|del|div|dd|dl|dt|em|h[1-6]|hr|i|img|input|ins|kbd|li|mark|ol|p|pre|s|small|span|strong|sub"
    "|sup|table|tbody|td|th|thead|tr|u|ul"
)
_ATTRIBUTES = {
    "href": r"(https?://|mailto:|#)[^\s\"<>]*",
    "src": r"https?://[^\s\"<>]*|data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*",
    "alt": r"[^\"<>]*",
    "title": r"[^\"<>]*",
    "class": r"anchor-link|highlight( hl-\w+)?|[a-z0-9]{1,3}|language-[\w+-]+|task-list-item(-checkbox)?",
    "style": r"text-align: ?(left|right|center);?",
    "id": r"[^\"<>]*",
    "start": r"\d+",
    "type": r"checkbox",
    "align": r"left|right|center",
    "colspan": r"\d+",
    "rowspan": r"\d+",
}
_TAG = re.compile(rf"</?({_TAGS})((?:\s+[a-z]+(?:=\"[^\"<>]*\")?)*)\s*/?>")
# Commands of MathJax that load things, make links or set styles.
_MATH_THAT_ACTS = re.compile(
    r"\\(href|url|require|cssId|class|style|data|html\w*|unicode|Extension|csname|includegraphics)\b"
)


def inert_markdown(
    text: str, *, reserved: Collection[str] = (), pictures: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """A student's text as it is when rendering it gives harmless HTML only; else in a code block, as it was typed.

    The page is rendered by the same converter as nbgrader's feedback, and every tag and attribute that comes out must
    be on the list above: so nothing rests on guessing how Markdown reads a strange text.

    Args:
        text: Markdown.
        reserved: names that a heading must not take as its anchor, because formgrader's own fields have them.
        pictures: the attachments that the text may show.
    """
    if len(text) <= MAX_MARKDOWN and not _MATH_THAT_ACTS.search(text):
        try:
            if is_inert(_rendered(text, pictures), reserved=reserved):
                return text
        except Exception:  # whatever the converter stumbles over must not stop the feedback of a class
            pass
    return f"*{say('page.as_typed')}*\n\n" + _as_typed(text[:MAX_SOURCE])


def is_inert(page: str, *, reserved: Collection[str] = ()) -> bool:
    """Whether HTML holds only tags and attributes that can neither run nor reach into the page around them."""
    rest = _TAG.sub("", page)
    if "<" in rest:
        return False
    for tag in _TAG.finditer(page):
        for name, _, value in re.findall(r"([a-z]+)(=\"([^\"<>]*)\")?", tag[2]):
            if name in ("checked", "disabled"):
                continue
            if name not in _ATTRIBUTES or not re.fullmatch(_ATTRIBUTES[name], html.unescape(value)):
                return False
            if name == "id" and any(value == taken or value.startswith(f"{taken}-") for taken in reserved if taken):
                return False
    return True


def _rendered(text: str, pictures: Mapping[str, Mapping[str, str]] | None) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=False, attachments={k: dict(v) for k, v in (pictures or {}).items()})
    return str(MarkdownWithMath(renderer=renderer).render(text))


def _as_typed(text: str) -> str:
    """A text in a code block that it cannot end."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """The pictures that a student pasted into an answer, if they are pictures."""
    kept: dict[str, dict[str, str]] = {}
    room = MAX_PICTURES
    for name, kinds in attachments.items() if isinstance(attachments, Mapping) else ():
        for kind, data in kinds.items() if isinstance(kinds, Mapping) else ():
            data = "".join(data) if isinstance(data, list) and all(isinstance(d, str) for d in data) else data
            if kind not in PICTURES or not isinstance(data, str) or len(data) > room:
                continue
            try:
                data = base64.b64encode(base64.b64decode(data)).decode()
            except (binascii.Error, ValueError):
                continue
            kept.setdefault(str(name), {})[kind] = data
            room -= len(data)
    return kept


def read_released(folder: Path, unit: str, name: str) -> Notebook:
    """A released notebook as plain data.

    Raises:
        FileNotFoundError: there is no such notebook under `folder`; the message says how to make it.
        ValueError: it is not a notebook.
    """
    path = folder / unit / f"{name}.ipynb"
    if not path.is_file():
        raise FileNotFoundError(f"there is no released notebook {path}; run `course release {unit}` first.")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{path} is not a notebook; run `course release {unit}` again.")
    for cell in notebook["cells"]:
        cell["source"] = _text(cell)
    return notebook
