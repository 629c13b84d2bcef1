"""One start of a submission in the sandbox, as seen from outside: its cells, then observers of its answers.

Whatever comes back is data. A process that lies, dies or floods can only lose.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.exercises.messages import Message
from course_lib.grading.inside import transport
from course_lib.grading.inside.protocol import Isolation, Report, Request
from course_lib.grading.outside import staging
from course_lib.grading.outside.memory import MemoryMonitor
from course_lib.grading.outside.options import GraderFault
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.submission import Released
from course_lib.grading.outside.zygotes import Zygote

PRINTED = 25_000  # characters of a cell's output that are taken
TEXT = 500  # characters of an error's text that are taken
SOURCE = 200  # characters of a line of code
NOT_RUN = 10  # statements of a cell


@dataclass(frozen=True)
class Ending:
    """How a process of a student ended, as a verdict; and the sentence for it."""

    verdict: Verdict
    message: Message


@dataclass(frozen=True)
class Loaded:
    """What became of a submission's cells.

    Attributes:
        cells: what each cell printed, its error and what of it did not run, by id.
        culprit: the cell that ended the process, if one did.
        ending: how the process ended, if it did.
        redefined: exercises whose name the notebook has defined anew below the cell of the answer.
        changed: exercises for which that may matter, because it has defined any name anew.
    """

    cells: dict[str, dict[str, Any]]
    culprit: str | None = None
    ending: Ending | None = None
    redefined: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()


class Session:
    """One start of a submission: its cells, then exercises, until something ends it."""

    def __init__(self, zygote: Zygote, released: Released) -> None:
        self.limits, self._level = zygote.options.limits, zygote.level
        self._keeper, keepers_end = socket.socketpair()
        self._channel, theirs = socket.socketpair()
        self.alive = True
        with keepers_end, theirs:
            try:
                transport.send(
                    zygote.unit(released),
                    {"op": Request.SUBMISSION.value, "limits": dataclasses.asdict(self.limits)},
                    [keepers_end.fileno(), theirs.fileno()],
                )
            except transport.Closed:
                raise GraderFault("the sandboxed process has ended") from None
        self._memory = MemoryMonitor(zygote.unit_pid(released), self.limits.memory_bytes)

    def load(self, cells: Sequence[tuple[str, str]], answers: Mapping[str, str]) -> Loaded:
        """Runs cells, given as (id, code), in order.

        Args:
            answers: the exercises whose answers stand in a cell, by the cell's id.
        """
        done: dict[str, dict[str, Any]] = {}
        names = {name for name, _ in cells}
        running: str | None = None
        deadline = time.monotonic() + self.limits.wall_seconds
        try:
            given = [{"id": name, "source": source, "answer": answers.get(name, "")} for name, source in cells]
            transport.send(self._channel, {"cells": given}, deadline=deadline)
            while True:
                report = self._report(deadline)
                begun, ran = (_cell_name(report.get(key), names) for key in (Report.RUNNING, Report.RAN))
                if begun is not None:
                    running = begun
                elif ran is not None:
                    done[ran], running = _cell_record(report), None
                elif report.get(Report.LOADED) is True:
                    redefined, changed = (_names(report.get(key), answers) for key in ("redefined", "changed"))
                    return Loaded(done, redefined=redefined, changed=changed)
                else:
                    raise transport.TransportError("not a report of a submission")
        except transport.TransportError as fault:
            self.alive = False
            return Loaded(done, running, self._ending_after(fault, self.limits.cells_seconds))

    def _report(self, deadline: float) -> dict[str, Any]:
        frame = transport.receive_frame(self._channel, deadline=deadline, ended=self._keeper.fileno())
        return fields_of(frame)

    def _ending_after(self, fault: transport.TransportError, cpu_limit: int) -> Ending:
        """How the process of the cells ended, when nothing more could be read from it."""
        if isinstance(fault, transport.Late):
            return self._ending(Verdict.TIMEOUT, self.limits.wall_seconds)
        if not isinstance(fault, transport.Closed):
            return self._ending(Verdict.CRASHED)
        try:
            report = transport.receive(self._keeper, deadline=time.monotonic() + 30)
        except transport.TransportError:
            if self._level != Isolation.NAMESPACES:  # there, its code may have killed its own keeper
                return self._ending(Verdict.CRASHED)
            raise GraderFault("a submission's first process has ended by itself") from None
        if Report.FAULT in report:
            raise GraderFault(f"a submission could not be isolated: {report[Report.FAULT]}")
        return self._from_status(report.get(Report.ENDED), cpu_limit) or self._ending(Verdict.CRASHED)

    def _from_status(self, ended: Any, cpu_limit: int) -> Ending | None:
        """A verdict from how a process ended; None if it left as it should."""
        if not isinstance(ended, dict):  # forged: where a student's code ran, it may write to the same channel
            return self._ending(Verdict.CRASHED)
        number, cpu = ended.get("signal"), ended.get("cpu_seconds")
        cpu = cpu if type(cpu) is float else 0.0
        if ended.get("slept") is True:
            return self._ending(Verdict.TIMEOUT, self.limits.wall_seconds)
        # Code may ignore SIGXCPU; SIGKILL comes a second later.
        if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu >= cpu_limit - 0.5):
            return self._ending(Verdict.TIMEOUT, cpu_limit)
        return self._ending(Verdict.CRASHED) if number or ended.get("status") else None

    def _ending(self, verdict: Verdict, seconds: float = 0) -> Ending:
        if self._memory.exceeded:  # then it was us who ended it
            fields: dict[str, Any] = {"megabytes": self.limits.memory_bytes >> 20}
            return Ending(Verdict.MEMORY, Message("grading.memory", fields))
        fields = {"seconds": f"{seconds:g}"} if verdict == Verdict.TIMEOUT else {}
        return Ending(verdict, Message(f"grading.{verdict}", fields))

    @property
    def unwatched(self) -> str:
        """Why the memory of all its processes together could not be seen; empty when it could."""
        return self._memory.unwatched

    def close(self) -> None:
        """Ends every process of the submission; returns once they are gone, so that their memory is free again."""
        self._memory.close()
        with contextlib.suppress(OSError):
            self._keeper.shutdown(socket.SHUT_WR)
        for channel in (self._keeper, self._channel):  # the keeper lets go of its end before the others are ended
            with channel, contextlib.suppress(OSError):
                channel.settimeout(10)
                while channel.recv(65536):
                    pass


class Observer:
    """A process forked from a session that observes answers, one after another, until it ends or is let go.

    Args:
        wall_seconds: how long it may take on the clock; as all else it may use, a limit of the session's if not given.
    """

    def __init__(self, session: Session, wall_seconds: float | None = None) -> None:
        self._session = session
        self._cpu = session.limits.exercise_seconds
        self._wall = session.limits.wall_seconds if wall_seconds is None else wall_seconds
        # The process that it was forked from ends it earlier, unless that is stopped too.
        self._deadline = time.monotonic() + self._wall + 10
        self._fault: transport.TransportError | None = None
        self._channel, theirs = socket.socketpair()
        request = {"cpu_seconds": self._cpu, "wall_seconds": self._wall}
        with theirs:
            try:
                transport.send(session._channel, request, [theirs.fileno()], deadline=self._deadline)
            except transport.TransportError as fault:
                self._fault = fault

    def ask(self, request: Sequence[bytes]) -> transport.Frame | None:
        """The reply to a packed request, unread; None when nothing more can be read."""
        if self._fault is not None:
            return None
        try:
            transport.send_packed(self._channel, request, deadline=self._deadline)
            return self._receive()
        except transport.TransportError as fault:
            self._fault = fault
            return None

    def _receive(self) -> transport.Frame:
        # The session's own channel becomes readable when this process has ended.
        return transport.receive_frame(self._channel, deadline=self._deadline, ended=self._session._channel.fileno())

    def end(self) -> Ending | None:
        """Lets the process go: how it ended, if not as it should.

        A reply too many is such an end: another process wrote too, and whose reply is read would be a matter of time.
        """
        session = self._session
        with self._channel:
            if self._fault is None:
                try:
                    self._channel.shutdown(socket.SHUT_WR)
                    self._receive()
                    self._fault = transport.TransportError("more than was asked for")
                except OSError:
                    pass
                except transport.TransportError as fault:
                    self._fault = fault
        if isinstance(self._fault, transport.Late):
            session.alive = False
            return session._ending(Verdict.TIMEOUT, self._wall)
        if self._fault is not None and not isinstance(self._fault, transport.Closed):
            session.alive = False  # it does not keep to the form: nothing that it sends later is read
            return session._ending(Verdict.CRASHED)
        try:
            return session._from_status(session._report(self._deadline).get(Report.ENDED), self._cpu)
        except transport.TransportError as fault:
            session.alive = False
            return session._ending_after(fault, session.limits.cells_seconds)


# --- what arrived -----------------------------------------------------------------------------------------------------


def fields_of(frame: transport.Frame) -> dict[str, Any]:
    """The message of a frame, which must be a dict.

    Raises:
        TransportError: it is not.
    """
    message = frame.message()
    if not isinstance(message, dict):
        raise transport.TransportError("not what was asked for")
    return message


def same_each_time(text: Any) -> str:
    """Text without memory addresses and the sandbox's folder, which would make a result another one each time."""
    if not isinstance(text, str):
        return ""
    return re.sub(r"\b0x[0-9a-fA-F]{6,16}\b", "0x...", staging.without_stage(text))


def line_number(line: Any) -> int | None:
    """A line's number, or None for anything else."""
    return line if type(line) is int else None


def _cell_name(name: Any, known: Collection[str]) -> str | None:
    return name if isinstance(name, str) and name in known else None


def _names(listed: Any, answers: Mapping[str, str]) -> frozenset[str]:
    """Exercises that a process lists, of those it has cells of."""
    named = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return frozenset(named) & frozenset(answers.values())


def _cell_record(report: dict[str, Any]) -> dict[str, Any]:
    """What became of a cell; the list of what did not run is there only where something did not."""
    error, not_run = report.get("error"), report.get("not_run")
    record: dict[str, Any] = {
        "printed": same_each_time(report.get("printed"))[:PRINTED],
        "error": _failed_line(error) if isinstance(error, dict) else None,
    }
    if isinstance(not_run, list) and not_run:
        record["not_run"] = [_failed_line(each) for each in not_run[:NOT_RUN] if isinstance(each, dict)]
    return record


def _failed_line(error: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": same_each_time(error.get("type"))[:100],
        "text": same_each_time(error.get("text"))[:TEXT],
        "line": line_number(error.get("line")),
        "source": same_each_time(error.get("source"))[:SOURCE],
    }
