"""Watches what all processes of a submission use together: the kernel's own limit counts each process for itself.

A control group would do this better, and more exactly, but a plain user, or a container, may not make one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

SECONDS_BETWEEN = 0.2
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def why_not() -> str:
    """Why memory cannot be watched on this machine; empty when it can."""
    for path in ("/proc/self/statm", "/proc/self/smaps_rollup", f"/proc/self/task/{os.getpid()}/children"):
        if not os.access(path, os.R_OK):
            return f"there is no {path}"
    return ""


class Watch:
    """Ends a submission whose processes use more than its limit together, until it is closed.

    What one process alone may have is limited by the kernel, at once; this sees a sum, some times a second. Memory that
    processes share is counted once (their proportional set sizes), so a fork as such costs nothing.

    Args:
        unit: the process that the submission was forked from; no other submission is, at the time.
        limit: bytes, beyond what the loaded libraries take.

    Attributes:
        exceeded: whether it was ended.
        blind: why memory could not be seen; empty when it could.
    """

    def __init__(self, unit: int, limit: int) -> None:
        self._unit, self._limit = unit, limit
        self.exceeded, self.blind = False, ""
        self._seen = self._ticks = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(SECONDS_BETWEEN):
            try:
                if self._is_over():
                    self.exceeded = True
                while self.exceeded and not self._done.wait(0.01):  # until no fork is left to fork again
                    for pid in self._processes()[1]:
                        with _gone_by_now():
                            os.kill(pid, signal.SIGKILL)
            except PermissionError as fault:
                self.blind = f"{fault.filename}: {fault.strerror}"
                return

    def _is_over(self) -> bool:
        first, theirs = self._processes()
        limit, shown = self._limit + sum(map(_resident, first)), sum(map(_resident, theirs))
        # What each one shows adds up to no less than what they use, and is thirty times cheaper to ask for. Once that
        # is over the limit, we look closer when it has grown, and every second: writing to shared pages adds to it.
        self._ticks += 1
        if shown <= limit or (shown < self._seen + self._limit // 10 and self._ticks < 5):
            return False
        self._seen, self._ticks = shown, 0
        return sum(map(_proportional, theirs)) > limit

    def _processes(self) -> tuple[list[int], list[int]]:
        """The first process of the submission, and those that run its code."""
        first = _children(self._unit)
        return first, [pid for top in first for pid in _below(top)]


def _gone_by_now() -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(FileNotFoundError, ProcessLookupError)


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    found = []
    with _gone_by_now():
        for thread in os.listdir(f"/proc/{pid}/task"):
            with _gone_by_now(), open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(child) for child in file.read().split()]
    return found


def _resident(pid: int) -> int:
    with _gone_by_now(), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def _proportional(pid: int) -> int:
    with _gone_by_now(), open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    return 0
