"""Judging in a process of its own, with limits: a judge that never ends, or takes all memory, costs its exercise alone.

A judgement depends on nothing but the exercise and the bytes of what was observed. Therefore it is made once for the
same bytes, from any student: right answers and common mistakes of a class often give the same values.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import hashlib
import json
import math
import os
import signal
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from course_lib.exercises.messages import Message
from course_lib.grading.inside import transport
from course_lib.grading.inside.protocol import Limits
from course_lib.grading.outside.hidden_cases import ExerciseUnderTest, Record, under_test
from course_lib.grading.outside.options import Options
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.sessions import fields_of

SECONDS = 20  # CPU seconds of a judgement; the first one of an exercise also runs its reference and known mistakes
WALL_SECONDS = 10 * SECONDS
MEMORY = 2 << 30  # bytes, beyond what the process has when it starts
KEPT = 2_000  # judgements
_LENGTH = struct.Struct(">Q")


class Judges:
    """The process that judges for a worker: forked when it is first needed, and anew after it had to be ended."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._pid = 0
        self._channel: socket.socket | None = None
        self._kept: dict[bytes, Record | None] = {}
        self._prepared: set[str] = set()

    def prepare(self, names: Sequence[str]) -> None:
        """Has the references of exercises run, before any student's process waits for a judgement."""
        new = [name for name in names if name not in self._prepared]
        self._prepared.update(new)
        for name in new:
            with contextlib.suppress(_Lost):  # then it is lost again, and said, where an answer is to be judged
                self._ask({"prepare": name, "sizes": []}, [])

    def judged(
        self,
        exercise: ExerciseUnderTest,
        frames: Sequence[transport.Frame],
        earlier: Mapping[str, str] | None = None,
    ) -> Record | None:
        """The record of an answer from what its process replied, each time; None where nothing has its name.

        Args:
            earlier: the names of mistakes in the answers to earlier exercises that this one calls, by exercise.
        """
        key = _digest(json.dumps([exercise.name, sorted((earlier or {}).items())]), frames)
        if key not in self._kept:
            try:
                record = self._asked(exercise, frames, earlier or {})
            except _Lost as lost:  # the judge's own fault: no other grade may depend on it
                return exercise.not_judged(str(lost))
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = record
        return copy.deepcopy(self._kept[key])

    def _asked(
        self, exercise: ExerciseUnderTest, frames: Sequence[transport.Frame], earlier: Mapping[str, str]
    ) -> Record | None:
        parts = [part for frame in frames for part in (frame.body, *frame.blobs)]
        head = {
            "exercise": exercise.name,
            "earlier": dict(earlier),
            "frames": [len(frame.blobs) for frame in frames],
            "sizes": [len(part) for part in parts],
        }
        record: Record | None = self._ask(head, parts)["record"]
        return record

    def _ask(self, head: dict[str, Any], parts: Sequence[bytes]) -> dict[str, Any]:
        if self._channel is None:
            self._start()
        assert self._channel is not None
        try:
            self._channel.settimeout(WALL_SECONDS)
            _write(self._channel, json.dumps(head).encode(), *parts)
            answer: dict[str, Any] = json.loads(_read(self._channel))
        except OSError:  # it has ended, or, as a TimeoutError, it has not answered in time
            raise _Lost(self._end()) from None
        return answer

    def _start(self) -> None:
        # A worker may have a thread that watches memory, and a Dask worker has more of them. The judge's process uses
        # nothing that they could hold, and computes with one thread.
        self._channel, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            try:
                _serve(theirs, self.options)
            finally:
                os._exit(70)
        theirs.close()

    def _end(self) -> str:
        """Ends the process; why it gave no judgement."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        with contextlib.suppress(OSError):
            if not os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.1)  # it has closed its channel and is about to end, or it sleeps
            os.kill(self._pid, signal.SIGKILL)
            _, status, _ = os.wait4(self._pid, 0)
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            if number == signal.SIGXCPU:
                return f"the judge was stopped after {SECONDS} seconds of computing"
            if number == signal.SIGKILL:
                return f"the judge was stopped after {WALL_SECONDS} seconds"
            return f"the judge's process ended by itself (signal {number})"
        return "the judge's process is gone"

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._channel is not None:
            self._end()


class _Lost(Exception):
    """There is no judgement; the text says why."""


def _digest(asked: str, frames: Sequence[transport.Frame]) -> bytes:
    digest = hashlib.sha256(asked.encode())
    for frame in frames:
        for part in (frame.body, *frame.blobs):
            digest.update(_LENGTH.pack(len(part)))
            digest.update(part)
        digest.update(b"frame")
    return digest.digest()


# --- the process that judges ------------------------------------------------------------------------------------------


def _serve(channel: socket.socket, options: Options) -> None:
    """Judges what the worker asks about until that hangs up or is gone; ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not one of the worker's channels: a sandboxed process ends when the last one that holds its channel hangs up.
    os.closerange(3, channel.fileno())
    os.closerange(channel.fileno() + 1, min(os.sysconf("SC_OPEN_MAX"), 4096))
    torch.set_num_threads(1)
    gc.freeze()
    _limit_memory(MEMORY)
    while True:
        try:
            head, *parts = _received(channel)
        except OSError:
            os._exit(0)
        _limit_cpu(SECONDS)
        if "prepare" in head:
            with contextlib.suppress(Exception):
                under_test(head["prepare"], options.secret).prepare()
            _write(channel, b"{}")
            continue
        exercise = under_test(head["exercise"], options.secret)
        record = _record(exercise, _frames(head["frames"], parts), options.limits, head["earlier"])
        _write(channel, json.dumps({"record": record}).encode())


def _record(
    exercise: ExerciseUnderTest, frames: Sequence[transport.Frame], limits: Limits, earlier: Mapping[str, str]
) -> Record | None:
    try:
        replies = [fields_of(frame) for n, frame in enumerate(frames) if n == 0 or frame != frames[0]]
        if replies[0].get("defined") is False:
            return None
        if replies[0].get("callable") is False:
            fields = {"name": exercise.name, "given": f"a {str(replies[0].get('given'))[:60]}"}
            return exercise.blank(Verdict.WRONG, Message("contract.not_callable", fields))
        return exercise.judged(replies, limits, earlier)
    except transport.TransportError:
        return exercise.blank(Verdict.CRASHED, Message("grading.crashed"))


def _received(channel: socket.socket) -> list[Any]:
    head = json.loads(_read(channel))
    return [head, *(_exactly(channel, size) for size in head["sizes"])]


def _frames(counts: Sequence[int], parts: Sequence[bytes]) -> list[transport.Frame]:
    frames, at = [], 0
    for count in counts:
        body, blobs = parts[at], tuple(parts[at + 1 : at + 1 + count])
        frames.append(transport.Frame(body, blobs, json.loads(body)))
        at += 1 + count
    return frames


def _limit_memory(more: int) -> None:
    import resource  # not on Windows, where this module is imported to say so

    from course_lib.grading.inside import system_calls as system

    with open("/proc/self/status") as file:
        used = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData:"))
    system.limit(resource.RLIMIT_DATA, used + more)
    system.limit(resource.RLIMIT_CORE, 0)


def _limit_cpu(seconds: int) -> None:
    """So many CPU seconds from now; SIGXCPU ends the process."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


# --- bytes between worker and judge -----------------------------------------------------------------------------------


def _write(channel: socket.socket, first: bytes, *more: bytes) -> None:
    channel.sendall(b"".join([_LENGTH.pack(len(first)), first, *more]))


def _read(channel: socket.socket) -> bytes:
    return _exactly(channel, _LENGTH.unpack(_exactly(channel, _LENGTH.size))[0])


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        piece = channel.recv(min(count - len(parts), 1 << 20))
        if not piece:
            raise ConnectionError("the other side is gone")
        parts += piece
    return bytes(parts)
