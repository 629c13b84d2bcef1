"""The autograded notebook of a submission: what formgrader and the feedback pages show. Never executed here.

It is the released notebook, filled with what the student wrote: so its metadata, its check cells and their order are
the course's own whatever was handed in, and stock nbgrader can always read it. The student's text and output are made
inert: nothing of theirs can run in the browser of a person who reads the page.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib import exercises as registry
from course_lib import settings
from course_lib.exercises.messages import register, said, say
from course_lib.files import text_of
from course_lib.grading.inside.protocol import without_surrogates
from course_lib.grading.outside import feedback, inert
from course_lib.grading.outside.cells import Malformed, from_format_3
from course_lib.grading.outside.inert import MAX_SOURCE
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.submission import Packed
from course_lib.notebooks import CHECK, CellKind, grade_id_of, kind_of, nbgrader_of, source_of

Cell = dict[str, Any]
Notebook = dict[str, Any]

MAX_PRINTED = 20_000
MAX_ADDED = 200  # cells of the student's own that are kept
OWN = "added-"  # how the ids of these begin on a page
COPY_OF = "course_copy_of"  # their metadata, where they are copies of a released cell
BEGINNING = 60  # characters of a question by which a copy of it is known

for _id, _sentence in {
    "page.notes": "Notes of the grader",
    "page.malformed": "The notebook that was handed in could not be read; what you see is the released one.",
    "page.rubric": "How this answer is graded",
    "page.not_run": "Did not run where answers are graded (the cell went on below): {line}",
}.items():
    register(_id, _sentence)


@dataclass(frozen=True)
class GradedNotebook:
    """One notebook as it was graded: its result record, and what was handed in.

    Attributes:
        result: what stands in its result file.
        data: the bytes of the file, or its cells as parsed; None when there was none. Read, never executed.
        timestamp: when it was handed in, as in nbgrader's timestamp.txt.
        secret: what nbgrader's exchange gave the submission, so that only its student finds the feedback.
    """

    result: Mapping[str, Any]
    data: bytes | Packed | Mapping[str, Any] | None = field(default=None, repr=False)
    timestamp: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def student(self) -> str:
        return str(self.result["student"])

    @property
    def unit(self) -> str:
        return str(self.result["unit"])

    @property
    def notebook(self) -> str:
        return str(self.result.get("notebook") or self.unit)


def page_of(submission: GradedNotebook, released: Mapping[str, Any]) -> Notebook:
    """The autograded notebook of a submission, as plain data in notebook format 4.5.

    Args:
        submission: the result and what was handed in.
        released: the released notebook, as parsed JSON.
    """
    result = submission.result
    page: Notebook = {key: copy.deepcopy(value) for key, value in released.items() if key != "cells"}
    page["cells"] = _Filling(submission, released).cells
    page["metadata"]["course_result"] = {"key": str(result.get("key", "")), "verdict": str(result.get("verdict"))}
    page["nbformat"], page["nbformat_minor"] = 4, 5
    return page


def page_text(page: Notebook) -> bytes:
    """The bytes of an autograded notebook; the same page gives the same bytes."""
    text = json.dumps(page, ensure_ascii=False, indent=1, sort_keys=True)
    return (text + "\n").encode("utf-8", "replace")


class _Filling:
    """The cells of a page, in the making: released ones filled, and the student's own below those they follow."""

    def __init__(self, submission: GradedNotebook, released: Mapping[str, Any]) -> None:
        matched, added = _placed(handed_in(submission.data), released)
        result = submission.result
        ran = result.get("cells")
        self._result, self._unit = result, submission.unit
        self._ran = ran if isinstance(ran, Mapping) else {}
        self._entries = {str(entry.get("exercise")): entry for entry in result.get("exercises") or ()}
        self._exercises = {exercise.name: exercise for exercise in registry.exercises_of(submission.unit)}
        self._code = "\n".join(cell["source"] for group in (matched.values(), *added.values()) for cell in group)
        self._reserved = {grade_id_of(cell) for cell in released["cells"]}
        self._count = 0
        self.cells: list[Cell] = []
        note = _note(result)
        if note:
            self.cells.append(_markdown("notes-of-the-grader", note))
        self._add_own(added.get(-1, ()))
        for position, original in enumerate(released["cells"]):
            self._add_released(position, original, matched.get(position))
            self._add_own(added.get(position, ()))

    def _add_released(self, position: int, original: Cell, theirs: Cell | None) -> None:
        cell = copy.deepcopy(original)
        if theirs and _is_theirs(original):
            _fill(cell, theirs, self._reserved)
        if cell["cell_type"] == "code":
            self._count += 1
            cell["execution_count"], cell["outputs"] = self._count, self._outputs(original, theirs)
        self.cells.append(cell)
        about = nbgrader_of(original)
        rubric = rubric_of(self._unit, grade_id_of(original)) if about.get("grade") and about.get("solution") else ""
        if rubric:
            shown = _markdown(f"rubric-{position}", f"*{say('page.rubric')}*\n\n{rubric}")
            shown["metadata"] = {"tags": ["rubric"]}  # so that a converter can leave it out of the feedback
            self.cells.append(shown)

    def _outputs(self, original: Cell, theirs: Cell | None) -> list[Cell]:
        name = grade_id_of(original).removeprefix(CHECK)
        if kind_of(original) == CellKind.CHECK and name in self._exercises:
            entry = self._entries.get(name) or _missing(self._result)
            card = feedback.card(self._exercises[name], entry, source=self._code)
            score = feedback.bounded(entry.get("score"), nbgrader_of(original).get("points"))
            return [_score_output(score, card, self._count)]
        return _printed(self._ran, theirs) if theirs and nbgrader_of(original).get("solution") else []

    def _add_own(self, own: Sequence[Cell]) -> None:
        for theirs in own:
            self._count += 1
            self.cells.append(_own_cell(theirs, len(self.cells), self._count, self._ran, self._reserved))


def _missing(result: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for an exercise that the result file does not speak of."""
    verdict = result.get("verdict")
    known = (Verdict.MALFORMED, Verdict.TIMEOUT, Verdict.MEMORY, Verdict.CRASHED)
    return {"verdict": verdict if verdict in known else Verdict.ERROR, "score": 0.0}


def _placed(theirs: Sequence[Cell], released: Mapping[str, Any]) -> tuple[dict[int, Cell], dict[int, list[Cell]]]:
    """Which handed-in cell fills which released one, and the others by the released cell that they follow (-1: none).

    Cells are known by grade_id, by id, or, where a program dropped the ids, by being word for word a released one. Of
    two with the same grade_id the first takes the place and the second stands below it.
    """
    by_grade_id: dict[str, int] = {}
    by_id: dict[str, int] = {}
    by_source: dict[tuple[str, str], int] = {}
    for position, cell in enumerate(released["cells"]):
        grade_id = grade_id_of(cell)
        if grade_id:
            by_grade_id[grade_id] = position
        else:
            by_id[str(cell.get("id", ""))] = position
            by_source[cell["cell_type"], source_of(cell)] = position
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
    if cell["cell_type"] == "markdown" and theirs["source"] != source_of(cell):
        cell.pop("attachments", None)
        pictures = inert.pictures_of(theirs["attachments"])
        cell["source"] = inert.inert_markdown(theirs["source"], reserved=reserved, pictures=pictures)
        if pictures:
            cell["attachments"] = pictures
    elif cell["cell_type"] != "markdown":
        cell["source"] = theirs["source"]


def _own_cell(theirs: Cell, number: int, count: int, ran: Mapping[str, Any], reserved: Set[str]) -> Cell:
    """A cell that the student added: code as code, all else as inert text, under an id of ours."""
    metadata = {COPY_OF: theirs["grade_id"]} if theirs["grade_id"] in reserved - {""} else {}
    if theirs["cell_type"] == "code":
        return {
            "cell_type": "code", "id": f"{OWN}{number}", "metadata": metadata, "execution_count": count,
            "source": theirs["source"], "outputs": _printed(ran, theirs),
        }  # fmt: skip
    text = theirs["source"] if theirs["cell_type"] == "markdown" else inert.as_typed(theirs["source"])
    return {**_markdown(f"{OWN}{number}", inert.inert_markdown(text, reserved=reserved)), "metadata": metadata}


def _markdown(cell_id: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": cell_id, "metadata": {}, "source": source}


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
    failed = _failed(about)
    text += "\n" if failed and text and not text.endswith("\n") else ""
    text += failed
    text = re.sub(r"[^\n\t -~\u00a0-\ud7ff\ue000-\U0010ffff]", "", text)  # colors and other control characters
    return [{"output_type": "stream", "name": "stdout", "text": text}] if text else []


def _failed(ran: Mapping[str, Any]) -> str:
    """How a cell failed, a line each: the lines that it went on after, and the error that it stopped with."""
    error, not_run = ran.get("error"), ran.get("not_run")
    told = [line for line in not_run if isinstance(line, Mapping)] if isinstance(not_run, list) else []
    text = "".join(f"{say('page.not_run', line=feedback.line_not_run(line))}\n" for line in told)
    if isinstance(error, Mapping):
        line = f" (line {error['line']})" if isinstance(error.get("line"), int) else ""
        return text + f"{error.get('type', 'Error')}{line}: {str(error.get('text', ''))[:500]}\n"
    return text + (str(error)[:500] if error else "")


def _note(result: Mapping[str, Any]) -> str:
    """What the reader must know about the submission as a whole."""
    lines = []
    if result.get("verdict") == Verdict.MALFORMED:
        lines.append(say("page.malformed"))
        lines += [said(str(result["problem"])[:500])] if result.get("problem") else []
    lines += [said(str(text)[:300]) for text in list(result.get("tampered") or ())[:20]]
    if not lines:
        return ""
    return f"**{say('page.notes')}**\n\n" + inert.as_typed("\n".join(lines))


# --- what was handed in -----------------------------------------------------------------------------------------------


def handed_in(notebook: bytes | Packed | Mapping[str, Any] | None) -> list[Cell]:
    """The cells of a submission, [] when it has none.

    Each has "id", "number", "grade_id", "copy_of", "cell_type", "source", "attachments".

    Tolerant on purpose: whether a notebook is malformed has been judged before; here as much as possible is shown.
    """
    if isinstance(notebook, Packed):
        notebook = notebook.unpacked()
    if isinstance(notebook, bytes):
        try:
            notebook = json.loads(text_of(notebook))
        except (ValueError, RecursionError):
            return []
    if isinstance(notebook, Mapping) and notebook.get("nbformat") == 3:
        try:
            notebook = from_format_3(notebook)
        except Malformed:
            return []
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    found = []
    for number, cell in enumerate(cells if isinstance(cells, list) else ()):
        if not isinstance(cell, Mapping):
            continue
        source = source_of(cell)
        if len(source) > MAX_SOURCE:
            source = source[:MAX_SOURCE] + f"\n# [... {len(source) - MAX_SOURCE:,} more characters are not shown]"
        found.append(
            {
                "id": str(cell.get("id", "")),
                "number": number,
                "grade_id": grade_id_of(cell),
                "copy_of": _copy_of(cell),
                "cell_type": cell.get("cell_type"),
                "source": without_surrogates(source),
                "attachments": cell.get("attachments"),
            }
        )
    return found


def _copy_of(cell: Mapping[str, Any]) -> str:
    metadata = cell.get("metadata")
    return str(metadata.get(COPY_OF, "")) if isinstance(metadata, Mapping) else ""


def written_answers(page: bytes | Mapping[str, Any] | None, stubs: Mapping[str, str] | None = None) -> dict[str, str]:
    """The text of each cell that has a grade_id, in an autograded or released notebook; the first one counts.

    Args:
        stubs: the texts as released. Where the student left one untouched, what they wrote around it belongs to it: in
            a cell below, in a text above, or in a copy of the cell anywhere.
    """
    answers: dict[str, str] = {}
    cells = handed_in(page)
    for number, cell in enumerate(cells):
        name, text = cell["grade_id"], cell["source"]
        if not name or name in answers:
            continue
        if stubs and text.strip() and text.strip() == stubs.get(name, "").strip() and cell["cell_type"] != "code":
            text = "\n\n".join([text, *_written_around(cells, number)])
        answers[name] = text
    return answers


def _written_around(cells: Sequence[Cell], number: int) -> list[str]:
    """What a student wrote in cells of their own that may answer an untouched written answer."""
    name, stub = cells[number]["grade_id"], cells[number]["source"].strip()

    def own(cells: Iterable[Cell]) -> list[Cell]:
        shown = (cell for cell in cells if not cell["id"].startswith("rubric-"))
        return list(itertools.takewhile(lambda cell: cell["id"].startswith(OWN), shown))

    above = [cell for cell in own(reversed(cells[:number])) if cell["cell_type"] != "code"]
    below = own(cells[number + 1 :])
    near = [*above, *below]
    copies = [
        cell
        for cell in cells
        if cell["id"].startswith(OWN)
        and cell not in near
        and (cell["copy_of"] == name or (cell["cell_type"] != "code" and stub[:BEGINNING] in cell["source"]))
    ]
    return [cell["source"] for cell in (*above[::-1], *below, *copies) if cell["source"].strip() not in ("", stub)]


# --- what was released ------------------------------------------------------------------------------------------------


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
        cell["source"] = source_of(cell)
    return notebook


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
