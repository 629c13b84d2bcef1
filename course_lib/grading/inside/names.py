"""What the names of a notebook stand for while an exercise is observed: the namespace of cells, kept and put back."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from course_lib.grading.inside.protocol import View

LARGE = 1_000_000  # entries; a tensor that the notebook has replaced is not kept in memory beyond this
_NOTHING = object()


@dataclass(frozen=True)
class _Kept:
    """The namespace as the cell of an answer left it.

    Attributes:
        values: what each name stood for; large arrays are left out.
        names: all names that there were.
    """

    values: dict[str, Any]
    names: frozenset[str]


class Names:
    """The names of a notebook, as each answer's own cell left them and as all cells together left them.

    Args:
        namespace: what the cells define names in.
        hidden: names of the shell's own.
    """

    def __init__(self, namespace: dict[str, Any], hidden: Collection[str]) -> None:
        self._live, self._hidden = namespace, set(hidden)
        self._first = dict(namespace)
        self._kept: dict[str, _Kept] = {}
        self._end: dict[str, Any] = {}
        self._shown: tuple[str, View] | None = None

    def keep(self, exercise: str) -> None:
        """Keeps the names as they are, after a cell of an exercise's answer has run.

        Of an answer in several cells the last one counts that defines a function or class of the exercise's name: a
        cell that was split off or copied may hold anything.
        """
        value = self._live.get(exercise, _NOTHING)
        before = self._kept.get(exercise)
        if value is _NOTHING or (before and (value is before.values.get(exercise) or not callable(value))):
            return
        names = {name: value for name, value in self._live.items() if name not in self._hidden}
        values = {name: value for name, value in names.items() if not _is_large(value)}
        self._kept[exercise] = _Kept(values, frozenset(names))

    def end(self) -> None:
        """Notes the names as all cells have left them."""
        self._end = dict(self._live)

    def redefined(self) -> list[str]:
        """Exercises whose own name stands for something else in the end."""
        return [name for name, kept in self._kept.items() if self._end.get(name, _NOTHING) is not kept.values[name]]

    def changed(self) -> list[str]:
        """Exercises for which any name stands for something else in the end."""
        return [exercise for exercise in self._kept if self._differs(self._kept[exercise])]

    def _differs(self, kept: _Kept) -> bool:
        if any(self._end.get(name, _NOTHING) is not value for name, value in kept.values.items()):
            return True
        # The shell has an `open` and an `exit` of its own: that they hide Python's is no work of any cell.
        new = (name for name in self._end.keys() - kept.names if self._end[name] is not self._first.get(name, _NOTHING))
        return any(_hides_a_builtin(name) for name in new)

    def show(self, exercise: str, view: View) -> None:
        """Makes the names stand for what an exercise is to be observed with.

        With its own cell's names, what the notebook defines only below is there too, since a helper may stand there;
        but not where it would hide one of Python's own functions, as `sum = 0` does.
        """
        if (exercise, view) == self._shown:  # a second observation must find what the first has left behind
            return
        self._shown = exercise, view
        names = dict(self._end)
        kept = self._kept.get(exercise)
        if view is View.ANSWER and kept is not None:
            names = {name: value for name, value in names.items() if name in kept.names or not _hides_a_builtin(name)}
            names |= kept.values
        for name in self._live.keys() - names.keys():
            del self._live[name]
        self._live.update(names)


def _hides_a_builtin(name: str) -> bool:
    return hasattr(builtins, name) and not name.startswith("__")


def _is_large(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return torch.Tensor.numel(value) > LARGE
    return isinstance(value, np.ndarray) and value.size > LARGE
