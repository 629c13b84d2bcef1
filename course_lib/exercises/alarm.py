"""Stops an answer that does not end, while smaller inputs are looked for."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

IMPORTS = "<frozen importlib._bootstrap>"  # the file of the code that runs a module's own


class OutOfTime(BaseException):
    """The time of the search is over, or the answer did not end; nothing that an answer usually catches."""


@contextlib.contextmanager
def stopped_after(seconds: float, observe: Callable[..., Any], *, of_cpu: bool = False) -> Iterator[list[int]]:
    """Stops what runs below `observe` after a while, where the system has a timer; elsewhere the learner may do so.

    The alarm is repeated and heard only while the observer is at work: not while output is being put back. What is
    given holds an entry per alarm that was heard.

    An import is not broken off, since half a module would be left behind, and its time does not count:
    `torch.testing.assert_close` imports for three seconds when it is first called. This is granted once.

    Args:
        of_cpu: seconds that the process computes, in place of those on the clock: the same on a loaded machine.
    """
    rings: list[int] = []
    imported = restarted = False
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield rings
        return
    code = getattr(observe, "__code__", None)

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal imported, restarted
        if code is None or not _is_below(frame, lambda below: below is code):
            return
        if not restarted and _is_below(frame, lambda below: below.co_filename == IMPORTS):
            imported = True
        elif imported and not restarted:
            restarted = True
            signal.setitimer(timer, seconds, 0.05)
        else:
            rings.append(number)
            raise OutOfTime

    timer, alarm = (signal.ITIMER_PROF, signal.SIGPROF) if of_cpu else (signal.ITIMER_REAL, signal.SIGALRM)
    handler = signal.signal(alarm, ring)
    left, interval = signal.setitimer(timer, seconds, 0.05)
    begun = time.perf_counter()
    try:
        yield rings
    finally:
        signal.setitimer(timer, 0)
        signal.signal(alarm, handler)
        if left:  # another alarm goes on
            signal.setitimer(timer, max(left - (time.perf_counter() - begun), 1e-3), interval)


def _is_below(frame: FrameType | None, is_meant: Callable[[CodeType], bool]) -> bool:
    while frame is not None:
        if is_meant(frame.f_code):
            return True
        frame = frame.f_back
    return False
