"""Watches the memory of all processes of a submission together: the kernel's own limit counts each for itself.

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


class MemoryMonitor:
    """Ends a submission whose processes use more than its limit together, until it is closed.

    The kernel limits at once what one process alone may have; this looks at the sum, five times per second. Memory that
    processes share is counted once (their proportional set sizes), so a fork as such costs nothing.

    Args:
        unit: the process that the submission was forked from; no other submission is, at the time.
        limit: bytes, beyond what the loaded libraries take.

    Attributes:
        exceeded: whether the submission was ended.
        unwatched: why memory could not be seen; empty when it could.
    """

    def __init__(self, unit: int, limit: int) -> None:
        self._unit, self._limit = unit, limit
        self.exceeded, self.unwatched = False, ""
        self._last_sum = self._ticks = 0
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
                        with _unless_gone():
                            os.kill(pid, signal.SIGKILL)
            except PermissionError as fault:
                self.unwatched = f"{fault.filename}: {fault.strerror}"
                return

    def _is_over(self) -> bool:
        keepers, theirs = self._processes()
        limit, resident = self._limit + sum(map(_resident, keepers)), sum(map(_resident, theirs))
        # Resident sizes add up to no less than what they use, and are thirty times cheaper to ask for. Once those are
        # over the limit, we look closer when they have grown, and every second: writing to shared pages adds to them.
        self._ticks += 1
        if resident <= limit or (resident < self._last_sum + self._limit // 10 and self._ticks < 5):
            return False
        self._last_sum, self._ticks = resident, 0
        return sum(map(_proportional, theirs)) > limit

    def _processes(self) -> tuple[list[int], list[int]]:
        """The keeper of the submission, and the processes that run its code."""
        keepers = _children(self._unit)
        return keepers, [pid for keeper in keepers for pid in _descendants(keeper)]


def _unless_gone() -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(FileNotFoundError, ProcessLookupError)


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found = []
    with _unless_gone():
        for thread in os.listdir(f"/proc/{pid}/task"):
            with _unless_gone(), open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(child) for child in file.read().split()]
    return found


def _resident(pid: int) -> int:
    with _unless_gone(), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def _proportional(pid: int) -> int:
    with _unless_gone(), open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    return 0
