"""Write the check: a learner's check is tried on right and wrong answers of an earlier exercise. Runs beside its code.

All that is known here is the answers' behavior. They come as one piece of compiled code without names, docstrings and
lines, in an order drawn from the seed: nothing but their behavior tells right from wrong. What goes back is a decision
on each of them and nothing else. `candidates` is the other half, which knows what each of them is.
"""

from __future__ import annotations

import base64
import contextlib
import dis
import enum
import functools
import itertools
import marshal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from course_lib.exercises.alarm import OutOfTime, stopped_after
from course_lib.exercises.contract import Case, Exercise, Values
from course_lib.exercises.observing import LibraryRefused, default_modes, given_names, is_stub, seed_everything

SECONDS = 1  # of CPU time, after which a check is stopped that does not end on an answer
MOST_ENDLESS = 2  # answers on which it does not end; the rest is not tried

Candidate = Callable[..., Any]


class Decision(enum.StrEnum):
    """What a check decides about an answer, and how. The how names mistakes, and is worth nothing."""

    PASSED = "passed"
    PASSED_UNCALLED = "passed without a call"
    PASSED_WITH_VALUE = "passed, and a value returned"
    PASSED_AND_PRINTED = "passed, and something printed"
    ASSERTED = "stopped by an assertion"  # or by a `raise` of the check's own
    ASSERTED_UNCALLED = "stopped by an assertion without a call"
    RAISED = "stopped by another error in the check"
    BROKE = "stopped by an error of the answer, or in the call of it"
    ENDLESS = "not decided, since the check does not end"


PASSED = (Decision.PASSED, Decision.PASSED_UNCALLED, Decision.PASSED_WITH_VALUE, Decision.PASSED_AND_PRINTED)
STOPPED = (Decision.ASSERTED, Decision.ASSERTED_UNCALLED, Decision.RAISED, Decision.BROKE)


def writes_check(*, of: str, name: str, **fields: Any) -> Exercise:
    """The exercise to write a check of an earlier exercise in the same unit.

    Args:
        of: the earlier exercise, a function; its mistakes.md has the right and wrong answers that are tried.
        name: what the learner writes: a function of one argument, the answer.
        fields: the other fields of `Exercise`, except for those that follow from these two.
    """
    cases = functools.partial(_cases, name)
    words = {"decisions": "the list of your check's decisions"}
    return Exercise(name=name, check_of=of, cases=cases, observe=observe, on_gpu=False, words=words, **fields)


def _cases(name: str, seed: int) -> list[Case]:
    try:
        from course_lib.exercises import candidates
    except ImportError:  # where students' code runs, the answers come with a request
        return [Case("answers", {"code": "", "count": 0})]
    return candidates.cases(name, seed)


def observe(check: Callable[..., Any], case: Case) -> Values:
    """The check's decision on each of the answers, in their order."""
    found: list[Decision] = []
    for candidate, calls in unpacked(case.inputs["code"], case.inputs["count"]):
        endless = found.count(Decision.ENDLESS) >= MOST_ENDLESS
        found.append(Decision.ENDLESS if endless else _decided(check, candidate, calls))
    return {"decisions": [str(decision) for decision in found]}


def _decided(check: Callable[..., Any], candidate: Candidate, calls: Sequence[Any]) -> Decision:
    """The decision on an answer; torch's modes and random numbers are the same for each, whatever one has changed."""
    output = _Heard(sys.stdout)
    seed_everything(0)
    try:
        with contextlib.redirect_stdout(output), default_modes(), stopped_after(SECONDS, call, of_cpu=True):  # type: ignore[type-var]
            value = call(check, candidate)
    except OutOfTime:
        return Decision.ENDLESS
    except (KeyboardInterrupt, LibraryRefused):
        raise
    except BaseException as fault:  # SystemExit too
        if is_stub(fault):
            raise
        return _stopped_by(fault, check, candidate, called=bool(calls))
    if not calls:
        return Decision.PASSED_UNCALLED
    if value is not None:
        return Decision.PASSED_WITH_VALUE
    return Decision.PASSED_AND_PRINTED if output.heard else Decision.PASSED


def _stopped_by(fault: BaseException, check: Callable[..., Any], candidate: Candidate, *, called: bool) -> Decision:
    frames = [(frame.f_code, at) for frame, at in _frames(fault)]
    misfit = f"{candidate.__name__}()" in str(fault)  # Python's words where the arguments do not fit
    if misfit or any(code is getattr(candidate, "__code__", None) for code, _ in frames):
        return Decision.BROKE
    code, at = frames[-1]
    raises = code is getattr(check, "__code__", None) and code.co_code[at] == dis.opmap["RAISE_VARARGS"]
    if not raises and not isinstance(fault, AssertionError):
        return Decision.RAISED
    return Decision.ASSERTED if called else Decision.ASSERTED_UNCALLED


def _frames(fault: BaseException) -> list[tuple[FrameType, int]]:
    """The frames that an error went through, each with the place in its code."""
    found, each = [], fault.__traceback__
    while each is not None:
        found.append((each.tb_frame, each.tb_lasti))
        each = each.tb_next
    return found


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


def unpacked(code: str, count: int) -> Iterator[tuple[Candidate, list[Any]]]:
    """The answers in packed code, one after the other, each with the list that it adds to when it is called.

    It is one and the same function object each time, so that its address does not tell the answers apart: what changes
    is a number in its closure, which is the answer's place in the order. Be done with one before asking for the next.
    """
    if not count:
        return
    names = {**given_names(), "__name__": "answer"}
    exec(marshal.loads(base64.b64decode(code)), names)  # from the judge's half
    calls: list[Any] = []
    candidate = names.pop("made")(0, calls)
    place = candidate.__closure__[candidate.__code__.co_freevars.index("number")]
    for number in range(count):
        calls.clear()
        place.cell_contents = number
        yield candidate, calls


def unpacked_answer(code: str, number: int) -> Candidate:
    """The answer of one number in packed code, to keep."""
    return next(itertools.islice(unpacked(code, number + 1), number, None))[0]
