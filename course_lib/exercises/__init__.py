"""The exercises of the course: the contract, its registry, and the checks that notebooks use.

from course_lib.exercises import checks_for
check = checks_for("01_autoencoders")
check.corrupt(corrupt)
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from types import ModuleType

from course_lib.exercises.contract import Exercise, Judge

__all__ = ["checks_for", "exercise_named", "exercises", "exercises_of", "judge_of", "silence_checks", "units"]

_silent = False


@functools.cache
def _registry() -> dict[str, tuple[Exercise, ...]]:
    """Unit -> exercises. A unit of two notebooks has two modules, in the order of their names."""
    found: dict[str, list[Exercise]] = {}
    for module in _modules():
        listed = found.setdefault(module.UNIT, [])
        for exercise in module.EXERCISES:
            number = f"{int(module.UNIT[:2])}.{len(listed) + 1}"
            listed.append(dataclasses.replace(exercise, number=number))
    return {unit: tuple(listed) for unit, listed in sorted(found.items())}


def _modules() -> list[ModuleType]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg)
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return [module for module in modules if hasattr(module, "UNIT")]


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


@functools.cache
def judge_of(exercise: Exercise) -> Judge:
    """The judge of an exercise, its sentences registered.

    Raises:
        ModuleNotFoundError: the judges are not at hand, as in the sandbox of a grader.
    """
    from course_lib.exercises.judging import register_sentences

    names = (m.__name__.rpartition(".")[2] for m in _modules() if exercise.name in (e.name for e in m.EXERCISES))
    module = importlib.import_module(f"{__name__}.judges.{next(names)}")
    judge = module.JUDGES[exercise.name]
    register_sentences(exercise, judge)
    return judge


def silence_checks() -> None:
    """Makes `checks_for` give checks that do nothing, from now on: in the sandbox of a grader there is no judge."""
    global _silent
    _silent = True


def checks_for(unit: str):
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
