"""Write the check: a learner's check is tried on right and wrong answers of an earlier exercise. Runs beside its code.

All that is known here is the answers' behavior. They come as one piece of compiled code without names, docstrings and
lines, in an order drawn from the seed: nothing but their behavior tells right from wrong. What goes back is a decision
on each of them. `candidates` is the other half, which knows what each of them is.
"""

from __future__ import annotations

import base64
import contextlib
import enum
import functools
import marshal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from course_lib.exercises.alarm import OutOfTime, stopped_after
from course_lib.exercises.contract import Case, Exercise, Values
from course_lib.exercises.observing import LibraryRefused, default_modes, given_names, is_stub, seed_everything

SECONDS = 1  # of CPU time, after which a check is stopped that does not end on an answer
MOST_ENDLESS = 2  # answers on which it does not end; the rest is not tried

Candidate = Callable[..., Any]


class Decision(enum.StrEnum):
    """What a check decides about an answer."""

    PASSED = "passed"
    ASSERTED = "stopped by an AssertionError"
    RAISED = "stopped by another error"
    ENDLESS = "not decided, since the check does not end"


STOPPED = (Decision.ASSERTED, Decision.RAISED)


class Note(enum.StrEnum):
    """What else was seen of a check that let an answer pass: how it may have meant to stop it."""

    UNCALLED = "never calls it"
    VALUE = "returns a value"
    PRINTED = "prints"
    NOTHING = "nothing else"


def writes_check(*, of: str, name: str, **fields: Any) -> Exercise:
    """The exercise to write a check of an earlier exercise in the same unit.

    Args:
        of: the earlier exercise, a function; its mistakes.md has the right and wrong answers that are tried.
        name: what the learner writes: a function of one argument, the answer.
        fields: the other fields of `Exercise`, except for those that follow from these two.
    """
    cases = functools.partial(_cases, name)
    return Exercise(name=name, check_of=of, cases=cases, observe=observe, on_gpu=False, **fields)


def _cases(name: str, seed: int) -> list[Case]:
    try:
        from course_lib.exercises import candidates
    except ImportError:  # where students' code runs, the answers come with a request
        return [Case("answers", {"code": "", "count": 0})]
    return candidates.cases(name, seed)


def observe(check: Callable[..., Any], case: Case) -> Values:
    """The check's decision on each of the answers, in their order, and what else was seen of it."""
    found: list[tuple[Decision, Note]] = []
    for candidate, calls in unpacked(case.inputs["code"], case.inputs["count"]):
        endless = sum(decision == Decision.ENDLESS for decision, _ in found) >= MOST_ENDLESS
        found.append((Decision.ENDLESS, Note.NOTHING) if endless else _decided(check, candidate, calls))
    return {"decisions": [str(decision) for decision, _ in found], "notes": [str(note) for _, note in found]}


def _decided(check: Callable[..., Any], candidate: Candidate, calls: Sequence[Any]) -> tuple[Decision, Note]:
    """The decision on an answer; torch's modes and random numbers are the same for each, whatever one has changed."""
    output = _Heard(sys.stdout)
    seed_everything(0)
    try:
        with contextlib.redirect_stdout(output), default_modes(), stopped_after(SECONDS, call, of_cpu=True):  # type: ignore[type-var]
            value = call(check, candidate)
    except OutOfTime:
        return Decision.ENDLESS, Note.NOTHING
    except (KeyboardInterrupt, LibraryRefused):
        raise
    except BaseException as fault:  # SystemExit too
        if is_stub(fault):
            raise
        decision = Decision.ASSERTED if isinstance(fault, AssertionError) else Decision.RAISED
        return decision, Note.NOTHING if calls else Note.UNCALLED
    if not calls:
        return Decision.PASSED, Note.UNCALLED
    note = Note.VALUE if value is not None else Note.PRINTED if output.heard else Note.NOTHING
    return Decision.PASSED, note


def call(check: Callable[..., Any], candidate: Candidate) -> Any:
    """Calls the check: a function of its own, below which it can be stopped."""
    return check(candidate)


class _Heard:
    """A stream that notes whether anything was written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.heard = False

    def write(self, text: str) -> int:
        self.heard = True
        return int(self._stream.write(text) or 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unpacked(code: str, count: int) -> list[tuple[Candidate, list[Any]]]:
    """The answers in packed code, each with the list that it adds to when it is called.

    All have one and the same `__code__`; what differs is a number in its closure, which is its place in the order.
    """
    if not count:
        return []
    names = {**given_names(), "__name__": "answer"}
    exec(marshal.loads(base64.b64decode(code)), names)  # from the judge's half
    made = names.pop("made")
    found = []
    for number in range(count):
        calls: list[Any] = []
        found.append((made(number, calls), calls))
    return found
