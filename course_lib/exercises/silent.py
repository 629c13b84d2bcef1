"""The checks and predictions of a notebook in the sandbox of a grader: every name is there and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_lib.exercises import exercises_of
from course_lib.exercises.contract import Exercise
from course_lib.exercises.messages import say


class Checks:
    """The checks of one unit by the names of its exercises; `checking.Checks` adds what each of them does."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._exercises = {e.name: e for e in exercises_of(unit)}

    def __dir__(self) -> list[str]:
        return [*self._exercises, "needs"]

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        exercises = self.__dict__.get("_exercises", {})
        if name not in exercises:
            known = ", ".join(exercises)
            raise AttributeError(say("check.unknown", unit=self.__dict__.get("_unit"), name=repr(name), known=known))
        return lambda fn: self._show(exercises[name], fn)

    def _show(self, exercise: Exercise, fn: Any) -> Any:
        """What a check cell shows: nothing."""

    def needs(self, *names: str, borrow: bool = False) -> None:
        """Stops no cell, whatever is missing."""


class Predictions:
    """Predictions where nothing is stored or shown: `predict.name(0.6)`, `.compare()` and `predict.summary()`."""

    def __call__(self, *_: object, **__: object) -> None:
        """Stands for every call."""

    def __getattr__(self, name: str) -> Predictions:
        if name.startswith("_"):  # what Python and Jupyter look for on every object
            raise AttributeError(name)
        return self
