"""The rules for predictions in a source: each is declared, answered by a record, asked once and compared afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

from course_lib import records
from course_lib.exercises.predicting.questions import MAX_QUESTIONS, Question, answer_on
from course_lib.notebooks import CellKind, kind_of
from course_lib.records import RecordError

# A broken rule: the number of the cell it stands in, and what to do.
Fault = tuple[int, str]
_ASKED = re.compile(r"predict\.(\w+)\(\.\.\.\)(?:  #.*)?")
_COMPARED = re.compile(r"\bpredict\.(\w+)\.compare\(")


def faults(cells: Sequence[NotebookNode], questions: Sequence[Question], notebook: str) -> Iterator[Fault]:
    """The broken rules of a notebook's predictions.

    Args:
        cells: of the source.
        questions: what the notebook's `predictions.py` declares.
        notebook: its name, for the messages.
    """
    yield from _unanswered(questions, notebook)
    asked: dict[str, int] = {}
    for place, cell in enumerate(cells):
        if kind_of(cell) is CellKind.PREDICT:
            yield from _asks(cells, place, asked)
    compared = {name: place for place, cell in enumerate(cells) for name in _COMPARED.findall(cell.source)}
    for place, cell in enumerate(cells):
        below = [kind_of(each) for each in cells[place + 1 : place + 2]]
        if cell.cell_type == "markdown" and "**Predict**" in cell.source and below != [CellKind.PREDICT]:
            yield place, '**Predict** without a cell below it that is tagged "predict" and asks, predict.name(...)'
    known = {question.name for question in questions}
    for name, place in {**compared, **asked}.items():
        if name not in known:
            yield place, f"predict.{name} is not declared in the predictions.py of {notebook}"
    for name in known:
        if name not in asked:
            yield 0, f"the prediction {name!r} of {notebook} is never asked: predict.{name}(...)"
        elif compared.get(name, -1) <= asked[name]:
            yield asked[name], f"the prediction {name!r} is not compared below: predict.{name}.compare()"
    if known and not any("predict.summary()" in cell.source for cell in cells):
        yield len(cells) - 1, "a notebook with predictions ends with predict.summary()"


def _unanswered(questions: Sequence[Question], notebook: str) -> Iterator[Fault]:
    if len(questions) > MAX_QUESTIONS:
        yield 0, f"{len(questions)} predictions in {notebook}; {MAX_QUESTIONS} at most"
    for question in questions:
        try:
            answer_on(question, records.main_dataset(question.unit))
        except RecordError as error:
            yield 0, f"the prediction {question.name!r} of {notebook} has no record that answers it: {error}"


def _asks(cells: Sequence[NotebookNode], place: int, asked: dict[str, int]) -> Iterator[Fault]:
    """Notes what a cell asks; it may hold nothing else, so that a prediction comes before every result."""
    if place == 0 or "**Predict**" not in cells[place - 1].source:
        yield place, "a cell that asks for a prediction stands under a text with **Predict**"
    for line in filter(None, map(str.strip, cells[place].source.split("\n"))):
        match = _ASKED.fullmatch(line)
        if match is None:
            yield place, f"{line!r}: a cell tagged predict holds only lines such as predict.name(...)"
        elif match[1] in asked:
            yield place, f"the prediction {match[1]!r} is asked twice"
        else:
            asked[match[1]] = place
