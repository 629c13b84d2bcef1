"""The two processes that run a student's code: one runs the cells, forks of it observe the answers.

Nothing is decided here: what they send is raw values, and neither holds an expected value to compare them with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import os
import random
import select
import signal
import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from course_lib.exercises import exercise_named
from course_lib.exercises.contract import Case, Other
from course_lib.exercises.observing import CapturedOutput, Observation, default_modes, observe_all
from course_lib.grading.inside import system_calls as system
from course_lib.grading.inside import transport
from course_lib.grading.inside.names import Names
from course_lib.grading.inside.protocol import Limits, Report, View
from course_lib.grading.inside.sandbox import Sandbox
from course_lib.grading.inside.shell import MemorySink, run_cell, the_shell

capture = functools.partial(CapturedOutput, sink=MemorySink)  # no student's process needs a file of its own for that


def run_submission(channel: socket.socket, sandbox: Sandbox, limits: Limits, scratch: str) -> None:
    """Runs the cells, then forks an observer whenever it is asked for one; ends the process."""
    _close_others(channel.fileno())
    sandbox.confine(limits, scratch)
    cells = transport.receive(channel)["cells"]
    _fresh_random_state()
    myself = os.getpid()
    names = Names(the_shell().user_ns, the_shell().user_ns_hidden)
    for cell in cells:
        transport.send(channel, {Report.RUNNING: cell["id"]})
        done = run_cell(cell["source"], limits.printed)
        if os.getpid() != myself:  # a fork that the cell made and left behind
            os._exit(0)
        if cell["answer"]:
            names.keep(cell["answer"])
        transport.send(channel, {Report.RAN: cell["id"], **done})
    names.end()
    transport.send(channel, {Report.LOADED: True, "redefined": names.redefined(), "changed": names.changed()})
    gc.freeze()
    while True:
        try:
            request, descriptors = transport.receive_with_descriptors(channel)
        except transport.TransportError:
            os._exit(0)
        child = os.fork()
        if not child:
            try:
                channel.close()
                system.limit_cpu(request["cpu_seconds"])
                _serve_observations(socket.socket(fileno=descriptors[0]), names)
                os._exit(0)
            finally:
                os._exit(70)
        os.close(descriptors[0])
        transport.send(channel, {Report.ENDED: _wait_for(child, request["wall_seconds"])})


def how_it_ended(status: int, cpu_seconds: float) -> dict[str, Any]:
    """What is reported of a process that has ended; `signal` is 0 for one that left by itself."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"signal": number, "status": os.WEXITSTATUS(status) if not number else 0, "cpu_seconds": cpu_seconds}


def _wait_for(child: int, seconds: float) -> dict[str, Any]:
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    slept = not poll.poll(seconds * 1000)
    if slept:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    os.close(ended)
    return {**how_it_ended(status, usage.ru_utime + usage.ru_stime), "slept": slept}


def _close_others(kept: int) -> None:
    """Leaves a student's process with its channel and an empty stdin, stdout and stderr."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, kept)
    os.closerange(kept + 1, min(os.sysconf("SC_OPEN_MAX"), 4096))


def _fresh_random_state() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


# --- the observer -----------------------------------------------------------------------------------------------------


def _serve_observations(channel: socket.socket, names: Names) -> None:
    """Observes the answers that are asked for, one per request, until the other side hangs up."""
    myself = os.getpid()
    before: dict[str, Any] = {}
    while True:
        with default_modes():  # tensors of a request too are made as if no cell had switched anything
            try:
                request = transport.receive(channel)
            except transport.Closed:
                return
            if "again" in request:
                request = {**before, "cases": [before["cases"][number] for number in request["again"]]}
            else:
                before = request
            reply = _observation_of(request, names)
        if os.getpid() != myself:  # a fork that the answer made and left behind
            return
        transport.send_packed(channel, reply)


def _observation_of(request: dict[str, Any], names: Names) -> list[bytes]:
    """What an answer does on the cases of a request: raw values, packed."""
    exercise = exercise_named(request["exercise"])
    cases = [Case(given["name"], given["inputs"]) for given in request["cases"]]
    names.show(exercise.name, View(request["view"]))
    live = the_shell().user_ns
    if exercise.name not in live:
        return transport.pack({"defined": False})
    fn = live[exercise.name]
    if not callable(fn):
        return transport.pack({"defined": True, "callable": False, "given": type(fn).__name__})
    return _packed(observe_all(exercise, fn, cases, capture=capture))


def _packed(observations: Sequence[Observation]) -> list[bytes]:
    """Observations as they can be sent: at once, or, if that cannot be, without what is too large or no data."""
    caps = transport.CAPS
    with contextlib.suppress(Exception):  # nested too deep, or of a kind that is not data
        chunks = transport.pack(_reply(observations, [one.values for one in observations]))
        _, body, *blobs = chunks
        if len(body) <= caps.json_bytes and len(blobs) <= caps.tensors and sum(map(len, blobs)) <= caps.tensor_bytes:
            return chunks
    room = [caps.tensor_bytes, caps.json_bytes // 2]
    return transport.pack(_reply(observations, [_sendable(one.values, room) for one in observations]))


def _reply(observations: Sequence[Observation], values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    listed = [
        {
            "values": kept,
            "error": _clipped(dataclasses.asdict(one.error)) if one.error else None,
            "printed": one.printed,
            "changed": one.changed,
            "left": one.left,
        }
        for one, kept in zip(observations, values)
    ]
    return {"defined": True, "callable": True, "observations": listed}


def _clipped(error: dict[str, Any]) -> dict[str, Any]:
    return {key: value[:500] if isinstance(value, str) else value for key, value in error.items()}


def _sendable(values: dict[str, Any], room: list[int]) -> dict[str, Any]:
    """Values as they can be sent; one that cannot, or has no room left, is only named."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        try:
            _, body, *blobs = transport.pack(value)
        except Exception:  # nested too deep, or of a kind that is not data
            kept[key] = Other(type(value).__name__)
            continue
        needed = [sum(map(len, blobs)), len(body)]
        if needed[0] <= room[0] and needed[1] <= room[1] and len(blobs) <= 100:
            room[:] = room[0] - needed[0], room[1] - needed[1]
            kept[key] = value
        else:
            kept[key] = Other(f"{type(value).__name__}, too large")
    return kept
