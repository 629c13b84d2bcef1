"""Self-study and stock nbgrader: run an answer, judge it here, show a card whose value is the score.

What nbgrader makes of a check cell (tested facts, held by a test): text/plain must be the bare number, nothing may
reach stderr, and nothing may be raised. So `Score` is a plain float with an HTML card beside it, and a check catches
everything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import statistics
import sys
import warnings
import weakref
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import torch

from course_lib import files
from course_lib.exercises import (
    candidates,
    exercise_named,
    judge_module,
    judge_of,
    leaving_out,
    progress,
    shrinking,
    silent,
)
from course_lib.exercises.contract import TRIED, Exercise, Mistake, State, with_a_repeat
from course_lib.exercises.judging import Known, Result, blank_result, judge_observations
from course_lib.exercises.messages import Message, say
from course_lib.exercises.observing import CapturedOutput, Failure, failure_of, observe_all
from course_lib.exercises.showing import describe_case, kind

_borrowed: weakref.WeakSet[Any] = weakref.WeakSet()


def check(exercise: Exercise, fn: Any, *, seed: int = 0, seconds_for_smallest: float = 0.0) -> Result:
    """Judges an answer on the cases of `seed`; on a GPU too, when there is one. Never raises, whatever it is given.

    An interrupt is told as the result, but during the search for the smallest inputs, which it ends, it is passed on.

    Args:
        seconds_for_smallest: how long to look for the smallest inputs that show what is wrong, where no known mistake
            is named; 0 for not at all.
    """
    judge = judge_of(exercise)
    if not callable(fn):
        return blank_result(
            exercise, judge, State.WRONG, Message("contract.not_callable", {"name": exercise.name, "given": kind(fn)})
        )
    try:
        cases = with_a_repeat(exercise.cases(seed))
        observations = observe_all(exercise, fn, cases)
        if exercise.on_gpu and torch.cuda.is_available():
            observations += observe_all(exercise, fn, cases[:1], device="cuda")
        if any(o.error and o.error.type == "KeyboardInterrupt" for o in observations):
            return blank_result(exercise, judge, State.ERROR, Message("contract.interrupted"))
        observe = Known()
        result = judge_observations(exercise, judge, observations, observe=observe)
        earlier = _earlier_mistakes(exercise, fn, seed) if result.state in TRIED else {}
        if earlier:
            result = judge_observations(exercise, judge, observations, observe=observe, earlier=earlier)
    except KeyboardInterrupt:
        return blank_result(exercise, judge, State.ERROR, Message("contract.interrupted"))
    except BaseException as fault:  # the judge's own fault: say so, and keep the notebook running
        text = f"{type(fault).__name__}: {fault}"
        return blank_result(exercise, judge, State.ERROR, Message("contract.judge_failed", {"text": text}))
    if exercise.check_of and result.state in TRIED and seconds_for_smallest > 0:
        with contextlib.suppress(Exception):
            result = dataclasses.replace(result, smallest=candidates.example(exercise, fn, observations[0]))
    if result.explanation is None or seconds_for_smallest <= 0:
        return result
    if statistics.median(observation.seconds for observation in observations) > shrinking.CHEAP:
        return result
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):  # the verdict stands already
        return _looked_at_closely(exercise, fn, result, seconds_for_smallest)
    return result


def _earlier_mistakes(exercise: Exercise, fn: Any, seed: int) -> dict[str, Mistake]:
    """The known mistakes that functions of earlier exercises are, which an answer calls, by the exercises' names."""
    found: dict[str, Mistake] = {}
    for name, scope in called_earlier(exercise, fn):
        earlier = exercise_named(name)
        if name in scope and (told := check(earlier, scope[name], seed=seed).mistake):
            found[name] = next(mistake for mistake in judge_of(earlier).mistakes if mistake.name == told)
    return found


def called_earlier(exercise: Exercise, fn: Any) -> list[tuple[str, dict[str, Any]]]:
    """Names of the earlier exercises that an answer calls, each with the global names of the cell or file it is in."""
    functions = _functions_of(fn)
    scope = functions[0].__globals__ if functions else {}
    return [(name, scope) for name in sorted(_called(fn, set(exercise.uses), scope))]


def _called(fn: Any, among: set[str], scope: dict[str, Any]) -> set[str]:
    """Which of these functions an answer mentions, directly or in one of them."""
    called = among & set().union(*(_names_in(each.__code__) for each in _functions_of(fn)))
    return called.union(*(_called(scope.get(name), among - called, scope) for name in called))


def _functions_of(fn: Any) -> list[FunctionType]:
    """An answer that is a function, or the methods of one that is a class, without their decorators."""
    defined = vars(fn).values() if isinstance(fn, type) else [fn]
    return [each for each in map(inspect.unwrap, defined) if isinstance(each, FunctionType)]


def _names_in(code: Any) -> set[str]:
    """The global names that a piece of code mentions, with the functions and comprehensions inside it."""
    if not isinstance(code, CodeType):
        return set()
    return set(code.co_names).union(*map(_names_in, code.co_consts))


def _looked_at_closely(exercise: Exercise, fn: Any, result: Result, seconds: float) -> Result:
    """A result of which no known mistake is named, with the smallest case; or with what more calls have shown."""
    explanation, trials = result.explanation, result.trials
    if explanation is None or explanation.trial is None:
        return result
    judge = judge_of(exercise)
    changed = shrinking.changed_when_called_again(exercise, fn, (explanation.trial, trials[0])) if judge.exact else None
    if changed:
        fields = {"case": describe_case(exercise, changed.case)}
        return dataclasses.replace(result, message=Message("contract.keeps_state", fields))
    too_much = leaving_out.one_part_too_much(exercise, judge, fn, explanation.trial, seconds=seconds / 2)
    if too_much:
        message = Message("contract.too_much", {"part": too_much.part, "line": too_much.line})
        result = dataclasses.replace(result, message=message)
    found = shrinking.smallest_case(exercise, judge, fn, explanation, trials, seconds=seconds)
    return dataclasses.replace(result, smallest=found)


def answers_in_file(path: Path) -> dict[str, Any]:
    """The names that a Python file defines, run like a notebook's cells: torch, nn, F and math are there already.

    Raises:
        FileNotFoundError: there is no such file.
        AnswerFileError: the file does not run; holds the learner's failure.
    """
    source = files.text_of(path.read_bytes())
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path), "torch": torch, "math": math}
    namespace |= {"nn": torch.nn, "F": torch.nn.functional, "Tensor": torch.Tensor}
    provided = set(namespace)
    with CapturedOutput() as output:
        try:
            exec(compile(source, str(path), "exec"), namespace)  # the learner's own file, on their own machine
        except BaseException as fault:
            failure = failure_of(fault, None)
            failed: Failure | None = Failure(failure.type, failure.text, getattr(fault, "lineno", None))
        else:
            failed = None
    if failed:
        raise AnswerFileError(path, failed, output.text)
    return {k: v for k, v in namespace.items() if k not in provided and not k.startswith("__")}


class AnswerFileError(RuntimeError):
    """A file with an answer that does not run."""

    def __init__(self, path: Path, failure: Failure, printed: str) -> None:
        where = f" (line {failure.line})" if failure.line else ""
        super().__init__(f"{path} does not run: {failure.type}: {failure.text}{where}")
        self.failure, self.printed = failure, printed


def check_file(name: str, path: str | Path, *, seed: int = 0, seconds_for_smallest: float = 0.0) -> Result:
    """Judges the function or class called `name` in a Python file; `seed` and `seconds_for_smallest` as in `check`.

    Earlier exercises that the answer calls and the file does not define are borrowed, as by `check.needs`, which is
    said on stderr.

    Raises:
        ValueError: no exercise has that name, or the file does not define it; the message lists what there is.
        ExerciseNeeded: an earlier exercise would have to be borrowed in a copy that has its judges sealed.
        FileNotFoundError, AnswerFileError: the file is missing or does not run.
    """
    exercise = exercise_named(name)
    answers = answers_in_file(Path(path))
    if name not in answers:
        found = ", ".join(k for k, v in answers.items() if callable(v)) or "no function at all"
        raise ValueError(
            f"{path} does not define `{name}`; it defines {found}. Name your function `{exercise.signature}`."
        )
    for earlier, scope in called_earlier(exercise, answers[name]):
        if earlier not in scope:
            print(_lend(exercise_named(earlier), scope), file=sys.stderr)
    return check(exercise, answers[name], seed=seed, seconds_for_smallest=seconds_for_smallest)


def _lend(exercise: Exercise, scope: dict[str, Any]) -> str:
    """Puts the course's own version under an exercise's name; returns the sentence that says so."""
    if _sealed(exercise):
        raise ExerciseNeeded(say("needs.sealed", name=exercise.name))
    reference = judge_of(exercise).reference
    _borrowed.add(reference)
    scope[exercise.name] = reference
    return say("needs.borrowed", name=exercise.name, number=exercise.number)


class Score(float):
    """Points as a bare number, with the card as its HTML. Its text must stay a plain float: nbgrader reads it."""

    result: Result
    html: str

    def _repr_html_(self) -> str:
        return self.html


def scored(result: Result, html: str) -> Score:
    """The value of a check cell: finite, between 0 and the points, two decimals."""
    value = result.score if math.isfinite(result.score) else 0.0
    score = Score(round(min(max(value, 0.0), result.points), 2))
    score.result, score.html = result, html
    return score


class ExerciseNeeded(RuntimeError):
    """Raised by a demo cell whose exercise is still open; shown as one paragraph, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class Checks(silent.Checks):
    """The checks of one unit. `check.corrupt(corrupt)` shows the card and returns the points."""

    def _show(self, exercise: Exercise, fn: Any) -> Score:
        from course_lib.exercises.card import card

        result = check(exercise, fn, seconds_for_smallest=shrinking.SECONDS)
        borrowed = _is_borrowed(fn)
        folder = progress.work_folder()
        standing = progress.note(
            progress.read(folder).get(exercise.name),
            exercise.name,
            state=result.state,
            score=result.score,
            points=result.points,
            borrowed=borrowed,
        )
        if folder:
            with contextlib.suppress(OSError):  # a read-only folder costs the record, not the check
                progress.write(folder, standing)
        else:
            standing = _remembered(standing, result.state)
        return scored(result, card(exercise, result, standing=standing, borrowed=borrowed))

    def needs(self, *names: str, borrow: bool = False) -> None:
        """Stops a demo cell with one clear sentence when an exercise it builds on is not right yet.

        Args:
            names: exercises of this unit.
            borrow: put the course's own version under the missing names instead, so that you can go on.

        Raises:
            ExerciseNeeded: an answer is missing or wrong and `borrow` is False.
        """
        scope = sys._getframe(1).f_globals
        for name in names:
            exercise = self._exercises[name]
            fn = scope.get(name)
            result = check(exercise, fn) if fn is not None else None
            if result is not None and result.state == State.RIGHT:
                continue
            if borrow:
                self._borrow(exercise, scope)
                continue
            state = say("needs.undefined" if result is None else f"state.short.{result.state}")
            way_out = "" if _sealed(exercise) else say("needs.way_out", name=name)
            raise ExerciseNeeded(say("needs.open", number=exercise.number, name=name, state=state, way_out=way_out))

    def _borrow(self, exercise: Exercise, scope: dict[str, Any]) -> None:
        print(_lend(exercise, scope))
        folder = progress.work_folder()
        if folder:
            before = progress.read(folder).get(exercise.name)
            state = before.state if before else State.NOT_ATTEMPTED
            score = before.score if before else 0.0
            standing = progress.note(
                before, exercise.name, state=state, score=score, points=exercise.points, borrowed=True
            )
            with contextlib.suppress(OSError):
                progress.write(folder, standing)


def _is_borrowed(fn: Any) -> bool:
    try:
        return fn in _borrowed
    except TypeError:
        return False


_tries: dict[str, int] = {}


def _remembered(standing: progress.Standing, state: str) -> progress.Standing:
    """Tries counted in memory where no progress is kept."""
    _tries[standing.exercise] = _tries.get(standing.exercise, 0) + (state in TRIED)
    return dataclasses.replace(standing, tries=_tries[standing.exercise])


def _sealed(exercise: Exercise) -> bool:
    """Whether the judge came sealed, as in the bundle that an instructor hands out."""
    return getattr(judge_module(exercise), "SEALED", False)
