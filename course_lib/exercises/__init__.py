"""The exercises of the course: the contract, its registry, and the checks that notebooks use.

from course_lib.exercises import checks_for
check = checks_for("01_autoencoders")
check.corrupt(corrupt)

`predictions_for` is for predictions what `checks_for` is for checks.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from course_lib.exercises.contract import Exercise, Judge

if TYPE_CHECKING:
    from course_lib.exercises import silent
    from course_lib.exercises.checking import Checks
    from course_lib.exercises.predicting.asking import Predictions

__all__ = [
    "checks_for",
    "exercise_named",
    "exercises",
    "exercises_of",
    "judge_of",
    "predictions_for",
    "silence_checks",
    "units",
]

_silent = False


@functools.cache
def _registry() -> dict[str, tuple[Exercise, ...]]:
    """Unit -> exercises. A unit of two notebooks has two folders, in the notebooks' order."""
    found: dict[str, list[Exercise]] = {}
    for package in packages():
        listed = found.setdefault(package.UNIT, [])
        for folder in package.EXERCISES:
            exercise = importlib.import_module(f"{package.__name__}.{folder}.exercise").exercise
            number = f"{int(package.UNIT[:2])}.{len(listed) + 1}"
            listed.append(dataclasses.replace(exercise, unit=package.UNIT, number=number))
    return {unit: tuple(listed) for unit, listed in sorted(found.items())}


def packages() -> list[ModuleType]:
    """The folders of the units, one for each notebook, in the notebooks' order."""
    names = [info.name for info in pkgutil.iter_modules(__path__) if info.ispkg]
    packages = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [package for package in packages if hasattr(package, "EXERCISES")]
    return sorted(found, key=lambda package: getattr(package, "NOTEBOOK", package.UNIT))


@functools.cache
def _folders() -> dict[str, str]:
    """Exercise -> the dotted name of its folder."""
    found = {}
    for package in packages():
        for folder in package.EXERCISES:
            name = f"{package.__name__}.{folder}"
            found[importlib.import_module(f"{name}.exercise").exercise.name] = name
    return found


def forget_units() -> None:
    """Looks for units anew at the next call: after a folder was added to this package's `__path__`, or taken out."""
    for found in (_registry, _folders, judge_of):
        found.cache_clear()


def units() -> tuple[str, ...]:
    """The units that have exercises, in course order."""
    return tuple(_registry())


def exercises_of(unit: str) -> tuple[Exercise, ...]:
    """The exercises of a unit, in the notebook's order.

    Raises:
        ValueError: there is no such unit; the message names the units.
    """
    if unit not in _registry():
        raise ValueError(f"there is no unit {unit!r}; the units are {', '.join(units())}.")
    return _registry()[unit]


def exercises() -> dict[str, Exercise]:
    """All exercises by name, in course order."""
    return {e.name: e for unit in units() for e in exercises_of(unit)}


def exercise_named(name: str) -> Exercise:
    """The exercise of that name.

    Raises:
        ValueError: there is none; the message names them all.
    """
    known = exercises()
    if name not in known:
        raise ValueError(f"there is no exercise {name!r}; the exercises are {', '.join(known)}.")
    return known[name]


def folders_of(unit: str) -> list[Path]:
    """The folders of a unit's exercises, one for each notebook."""
    return [Path(str(package.__file__)).parent for package in packages() if unit == package.UNIT]


def judge_module(exercise: Exercise) -> ModuleType:
    """The module of an exercise's judge.

    Raises:
        ModuleNotFoundError: the judges are not at hand, as in the sandbox of a grader.
    """
    return importlib.import_module(f"{_folders()[exercise.name]}.judge")


@functools.cache
def judge_of(exercise: Exercise) -> Judge:
    """The judge of an exercise with its mistakes and other right answers, its sentences registered.

    Raises:
        ModuleNotFoundError: the judges are not at hand, as in the sandbox of a grader.
        AnswersError: the exercise's mistakes.md does not follow its rules; names file and line.
    """
    from course_lib.exercises.answers import answers_beside, judge_with
    from course_lib.exercises.judging import register_sentences

    module = judge_module(exercise)
    judge = judge_with(module.judge, answers_beside(module), exercise.name)
    register_sentences(exercise, judge)
    return judge


def silence_checks() -> None:
    """Makes `checks_for` give checks that do nothing, from now on: in the sandbox of a grader there is no judge."""
    global _silent
    _silent = True


def checks_for(unit: str) -> Checks | silent.Checks:
    """The checks of a unit as methods: `check = checks_for("01_autoencoders")`, then `check.corrupt(corrupt)`.

    Raises:
        ValueError: there is no such unit, or COURSE_LANGUAGE names a language that the course does not speak.
    """
    from course_lib import settings

    settings.language()  # a wrong switch is told here, since a check never raises
    if _silent:
        from course_lib.exercises import silent

        return silent.Checks(unit)
    from course_lib.exercises.checking import Checks

    return Checks(unit)


def predictions_for(notebook: str) -> Predictions | silent.Predictions:
    """The predictions of a notebook: `predict = predictions_for("06a_freezing")`, then `predict.name(0.6)`."""
    if _silent:
        from course_lib.exercises import silent

        return silent.Predictions()
    from course_lib.exercises.predicting.asking import Predictions

    return Predictions(notebook)
