"""How far predictions are off: one by one, and over all notebooks together."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from course_lib.exercises.messages import say
from course_lib.exercises.predicting import store
from course_lib.exercises.predicting.questions import Answer, Kind, Question, all_questions, answer
from course_lib.records import Figure, RecordError

BALANCED = 0.5  # points; a smaller mean error has no direction


@dataclass(frozen=True)
class Compared:
    """A question with what was said to it and what is recorded; None where there is nothing."""

    question: Question
    said: store.Value | None
    recorded: Answer | None

    @property
    def error(self) -> float | None:
        """How far it is off: said minus recorded; of a choice 0 or 1, of a chance its Brier score."""
        if self.said is None or self.recorded is None:
            return None
        value = self.recorded.value
        if self.question.kind is Kind.CHOICE:
            return float(self.said != value)
        if self.question.kind is Kind.CHANCE:
            # The mean over seeds of (p - 1)^2 where it is so and p^2 where it is not.
            return float(value) * (1 - float(self.said)) ** 2 + (1 - float(value)) * float(self.said) ** 2  # type: ignore[arg-type]
        return float(self.said) - (value.mean if isinstance(value, Figure) else math.nan)


def compared(question: Question, folder: Path | None = None) -> Compared:
    """A question with what is stored and what is recorded. A record that is not there is None."""
    found = None
    with contextlib.suppress(RecordError):
        found = answer(question)
    return Compared(question, store.read(question.notebook, question.name, folder).counts, found)


def everything(folder: Path | None = None) -> list[Compared]:
    """All predictions that a learner has made and seen the result of, in course order."""
    return [
        compared(question, folder)
        for asked in all_questions().values()
        for question in asked
        if (entry := store.read(question.notebook, question.name, folder)).shown and entry.counts is not None
    ]


def sentences(made: Iterable[Compared]) -> list[str]:
    """How good predictions are, in sentences: one for each kind that was made."""
    errors: dict[Kind, list[tuple[Compared, float]]] = {kind: [] for kind in Kind}
    for one in made:
        if one.error is not None:
            errors[one.question.kind].append((one, one.error))
    lines = []
    if shares := errors[Kind.SHARE]:
        off = 100 * _mean(abs(error) for _, error in shares)
        lines.append(say("predict.shares", count=len(shares), points=f"{off:.0f}"))
        lines.append(_direction([(one.question.good, error) for one, error in shares if one.question.good]))
    if chances := errors[Kind.CHANCE]:
        lines.append(say("predict.chances", count=len(chances), score=f"{_mean(e for _, e in chances):.2f}"))
    if choices := errors[Kind.CHOICE]:
        lines.append(say("predict.choices", count=len(choices), right=sum(error == 0 for _, error in choices)))
    if numbers := errors[Kind.NUMBER]:
        relative = [abs(error) / scale for one, error in numbers if (scale := _scale(one))]
        if relative:
            lines.append(say("predict.numbers", count=len(relative), share=f"{100 * _mean(relative):.0f}"))
    return [line for line in lines if line]


def _direction(signed: list[tuple[int, float]]) -> str:
    """Whether a learner expects better results than come out, or worse ones."""
    if len(signed) < 2:  # one prediction has no tendency
        return ""
    bias = 100 * _mean(good * error for good, error in signed)
    if abs(bias) < BALANCED:
        return say("predict.balanced")
    return say("predict.optimistic" if bias > 0 else "predict.pessimistic", points=f"{abs(bias):.0f}")


def _scale(one: Compared) -> float:
    value = one.recorded.value if one.recorded else None
    return abs(value.mean) if isinstance(value, Figure) else 0.0


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values)
