"""The questions that notebooks ask for predictions, each with the record that answers it.

The questions of a notebook stand in `predictions.py` beside its exercises:

    PREDICTIONS = (
        share("scratch_at_10", "accuracy from scratch, ten labels per class", "scratch@10"),
        chance("pca_copies_better", "PCA has the lower error", "pca_error < error", "anomaly"),
    )
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from course_lib import records, settings
from course_lib.exercises import packages
from course_lib.records import MAIN_EXPERIMENT, Figure, RecordError

MAX_QUESTIONS = 5  # per notebook


class Kind(StrEnum):
    """What is said: a share, another number, one of some choices, or how probable a statement is."""

    SHARE = "share"
    NUMBER = "number"
    CHOICE = "choice"
    CHANCE = "chance"


@dataclass(frozen=True)
class Question:
    """One question. Use `share`, `number`, `choice` or `chance` to make it.

    Attributes:
        name: what it is called in the notebook, `predict.name(...)`.
        text: what is predicted, in a few words, as it stands in a table; of a chance, a statement.
        kind: what is said.
        experiment: the experiment whose record has the answer.
        keys: choice -> key of the record; with a single entry under "" for the other kinds. The key of a chance is a
            comparison, such as "a@5 > b@5"; the key of a number or a share may be a difference, "a@5 - b@5".
        of: the unit of a number, such as "nats".
        digits: decimals of a number.
        good: 1 where a high value is a good result, -1 where a low one is, 0 where neither is.
        lowest: the answer of a choice is the one with the lowest figure, not the highest.
    """

    name: str
    text: str
    kind: Kind
    experiment: str
    keys: Mapping[str, str] = field(default_factory=dict)
    of: str = ""
    digits: int = 0
    good: int = 1
    lowest: bool = False
    notebook: str = ""
    unit: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be chosen."""
        return tuple(self.keys) if self.kind is Kind.CHOICE else ()


def share(name: str, text: str, key: str, experiment: str = MAIN_EXPERIMENT, *, good: int = 1) -> Question:
    """A share between 0 and 1, such as an accuracy."""
    return Question(name, text, Kind.SHARE, experiment, {"": key}, good=good)


def number(name: str, text: str, key: str, experiment: str = MAIN_EXPERIMENT, *, of: str, digits: int = 0) -> Question:
    """A number with a unit, such as nats per image."""
    return Question(name, text, Kind.NUMBER, experiment, {"": key}, of=of, digits=digits, good=0)


def choice(
    name: str, text: str, keys: Mapping[str, str], experiment: str = MAIN_EXPERIMENT, *, lowest: bool = False
) -> Question:
    """One of the choices: the one with the highest figure, or the lowest."""
    return Question(name, text, Kind.CHOICE, experiment, dict(keys), lowest=lowest)


def chance(name: str, statement: str, comparison: str, experiment: str = MAIN_EXPERIMENT) -> Question:
    """How probable it is that a statement is true."""
    return Question(name, statement, Kind.CHANCE, experiment, {"": comparison})


# --- the questions of the course ---


def questions_of(notebook: str) -> tuple[Question, ...]:
    """The questions of a notebook, in its order; none where it asks for no prediction."""
    return all_questions().get(notebook, ())


def all_questions() -> dict[str, tuple[Question, ...]]:
    """The questions of all notebooks, by notebook, in course order."""
    found: dict[str, tuple[Question, ...]] = {}
    for package in packages():
        name = f"{package.__name__}.predictions"
        if importlib.util.find_spec(name) is None:
            continue
        notebook = getattr(package, "NOTEBOOK", package.UNIT)
        asked = importlib.import_module(name).PREDICTIONS
        found[notebook] = tuple(_placed(question, notebook, package.UNIT) for question in asked)
    return found


def _placed(question: Question, notebook: str, unit: str) -> Question:
    return replace(question, notebook=notebook, unit=unit)


# --- what is recorded ---


@dataclass(frozen=True)
class Answer:
    """What is recorded for a question.

    Attributes:
        value: a figure; of a choice the right one; of a chance the share of seeds on which the statement is true.
        seeds: how many seeds were recorded.
        dataset: the data set that it was recorded on.
    """

    value: Figure | str | float
    seeds: int
    dataset: str


def answer(question: Question) -> Answer:
    """What is recorded for a question: on the data set in force, or on the unit's own where that has no record.

    Raises:
        RecordError: there is no record that answers it, or it has no such key.
    """
    dataset = settings.dataset_name()
    try:
        return answer_on(question, dataset)
    except RecordError:
        own = records.main_dataset(question.unit)
        if dataset == own:
            raise
        return answer_on(question, own)


def answer_on(question: Question, dataset: str) -> Answer:
    """What is recorded for a question on a data set.

    Raises:
        RecordError: as for `answer`.
    """
    where: Any = {"dataset": dataset, "profile": "laptop"}
    unit, experiment = question.unit, question.experiment
    if question.kind is Kind.CHANCE:
        seeds = records.holds(question.keys[""], unit, experiment, **where)
        return Answer(sum(is_so for _, _, is_so in seeds) / len(seeds), len(seeds), dataset)
    figures = {name: _figure(unit, experiment, key, where) for name, key in question.keys.items()}
    if question.kind is Kind.CHOICE:
        best = (min if question.lowest else max)(figures, key=lambda name: figures[name].mean)
        return Answer(best, figures[best].n, dataset)
    return Answer(figures[""], figures[""].n, dataset)


def _figure(unit: str, experiment: str, key: str, where: Any) -> Figure:
    left, minus, right = key.partition(" - ")
    if minus:
        return records.difference(left, right, unit, experiment, **where)
    return records.figure(unit, experiment, key, **where)
