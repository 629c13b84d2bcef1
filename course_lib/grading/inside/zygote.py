"""The trusted processes of the sandbox: everything is loaded once, then forked for each unit and submission.

    loader              torch, pyplot and an IPython shell loaded; not isolated, since it runs no student's code
      zygote            isolated; forked once per worker, so that submissions at the same time share no namespace
        unit            the release's setup cells have run; forked once per unit
          keeper        process 1 of a submission's namespaces; ends everything when the outside hangs up
            submission  runs the student's cells; then waits for exercises
              observer  observes answers on hidden cases and sends back raw values: a first one all answers, a second
                        one those that were not right, in the other order, and one each what then differs

A student's code runs in the last two (student_code.py). Each speaks over a channel of its own, and all that any of them
can say is data.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import os
import re
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot
import torch
import torch.nn.functional
from torch import nn

from course_lib import exercises
from course_lib.exercises.observing import observe_all, resolve
from course_lib.grading.inside import system_calls as system
from course_lib.grading.inside import transport
from course_lib.grading.inside.protocol import Isolation, Limits, Report, Request
from course_lib.grading.inside.sandbox import Sandbox
from course_lib.grading.inside.shell import run_cell, the_shell
from course_lib.grading.inside.student_code import capture, how_it_ended, run_submission

MANY = 16  # submissions of a unit, from which on forks are made cheap
# What setup cells load, here instead of once per unit: the modules themselves, or what lazy functions of theirs load.
USED_BY_UNITS = ("course_lib.widgets", "course_lib.protocol", "course_lib.text_protocol", "sklearn.linear_model")


def main(settings: dict[str, Any], control: int) -> None:
    """Loads everything, then forks a zygote whenever the outside asks for one, until it hangs up.

    Args:
        settings: "level" of isolation, "stage" and "readable", as `Sandbox` takes them.
        control: the descriptor of a socket on which the outside asks.
    """
    channel = socket.socket(fileno=control)
    _load()
    sandbox = Sandbox(Isolation(settings["level"]), settings["stage"], settings["readable"])
    _keep_from_collection()
    _find_huge_pages()  # before /proc is out of sight
    with contextlib.suppress(transport.Closed):
        while True:
            _, descriptors = transport.receive_with_descriptors(channel)
            _fork(functools.partial(_run_zygote, descriptors[0], sandbox), channel)
            os.close(descriptors[0])
            _reap()
    os._exit(0)


def _run_zygote(descriptor: int, sandbox: Sandbox) -> None:
    """Enters the sandbox and serves the outside; namespaces ask for a process of one thread, which a fork is."""
    channel = socket.socket(fileno=descriptor)
    try:
        sandbox.enter()
    except Exception as fault:
        transport.send(channel, {"ready": False, "reason": f"{type(fault).__name__}: {fault}"})
        os._exit(1)
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    transport.send(channel, {"ready": True})
    with contextlib.suppress(transport.Closed):
        _serve(channel, sandbox)
    os._exit(0)


def _serve(channel: socket.socket, sandbox: Sandbox) -> None:
    submissions = 0
    while True:
        request, descriptors = transport.receive_with_descriptors(channel)
        if request["op"] == Request.UNIT:
            _fork(functools.partial(_run_unit, request, descriptors, sandbox), channel)
        elif request["op"] == Request.SUBMISSION:
            submissions += 1
            if submissions == MANY:
                _gather_in_huge_pages()
            _start_submission(request, descriptors, sandbox, channel)
        for descriptor in descriptors:
            os.close(descriptor)
        _reap()


def _run_unit(request: dict[str, Any], descriptors: list[int], sandbox: Sandbox) -> None:
    """Runs the release's setup cells once, then serves the submissions of this unit."""
    channel = socket.socket(fileno=descriptors[0])
    problem = ""
    for source in request["setup"]:
        error = run_cell(source, Limits().printed)["error"]
        if error:
            problem = f"{error['type']}: {error['text']}"
            break
    _keep_from_collection()
    transport.send(channel, {"problem": problem, "pid": os.getpid()})
    with contextlib.suppress(transport.Closed):
        _serve(channel, sandbox)
    os._exit(0)


# --- the keeper of a submission ---------------------------------------------------------------------------------------


def _start_submission(
    request: dict[str, Any], descriptors: list[int], sandbox: Sandbox, channel: socket.socket
) -> None:
    try:
        pid = system.clone_into(sandbox.clone_flags)
    except OSError as fault:  # it is the machine that is short of something; this unit's other submissions go on
        with socket.socket(fileno=os.dup(descriptors[0])) as control, contextlib.suppress(transport.TransportError):
            transport.send(control, {Report.FAULT: str(fault)})
        return
    if pid:
        return
    try:
        channel.close()
        _run_keeper(request, socket.socket(fileno=descriptors[0]), socket.socket(fileno=descriptors[1]), sandbox)
    finally:
        os._exit(70)


def _run_keeper(
    request: dict[str, Any], control: socket.socket, submission_channel: socket.socket, sandbox: Sandbox
) -> None:
    """Starts the student's process, waits until it ends or the outside hangs up, and ends whatever is left of it."""
    limits = Limits(**request["limits"])
    try:
        scratch = sandbox.prepare_submission()
    except OSError as fault:
        transport.send(control, {Report.FAULT: str(fault)})
        return
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if not child:
        try:
            control.close()
            run_submission(submission_channel, sandbox, limits, scratch)
        finally:
            os._exit(70)
    submission_channel.close()
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(control, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    if control.fileno() not in ready:
        _, status, usage = os.wait4(child, 0)
        with contextlib.suppress(transport.TransportError):
            transport.send(control, {Report.ENDED: how_it_ended(status, usage.ru_utime + usage.ru_stime)})
    if sandbox.level != Isolation.NAMESPACES:  # there, all processes of a namespace end with its first
        _end_descendants()
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def _end_descendants() -> None:
    """Kills children and, as they become ours, theirs, until none is left."""
    for _ in range(1000):
        try:
            with open("/proc/thread-self/children") as file:
                children = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        if not children:
            return
        for pid in children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.001)


# --- loading ----------------------------------------------------------------------------------------------------------


def _load() -> None:
    """Loads what notebooks need, with one thread: a fork of a process whose pool has started would hang."""
    matplotlib.use("agg")
    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
    # The attributes of another module that the course replaces. After set_num_threads(2) and a backward in a cell,
    # backward hangs in an observer, which is a fork of that process. OMP_THREAD_LIMIT=1 instead would be worse: the
    # convolutions of the cell itself then wait without end for the second thread that oneDNN has planned with.
    torch.set_num_threads = torch.set_num_interop_threads = _ignore  # type: ignore[assignment]
    # There is no compiler inside. torch's own switch for that still loads all of the compiler: seven seconds.
    torch.compile = _as_it_is
    for module in USED_BY_UNITS:
        importlib.import_module(module)
    exercises.units()
    exercises.silence_checks()  # a check that a student calls in a cell of their own
    _warm_up()
    the_shell()


def _ignore(*_: object) -> None:
    """Stands for torch's `set_num_threads` in the sandbox."""


def _as_it_is(model: Callable[..., Any] | None = None, **_: object) -> Callable[..., Any]:
    """Stands for `torch.compile` in the sandbox, as a function and as a decorator with options."""
    return _as_it_is if model is None else model


def _warm_up() -> None:
    """Does once what torch and the exercises put off until they are first used, a second or more, before any fork."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 2, 2, 2),
        nn.Flatten(), nn.Linear(2 * 8 * 8, 3),
    )  # fmt: skip
    for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        steps = optimizer(network.parameters(), lr=0.01)
        nn.functional.cross_entropy(network(torch.rand(2, 1, 8, 8)), torch.tensor([0, 1])).backward()
        steps.step()

    def not_attempted(*args: object, **kwargs: object) -> None:
        raise NotImplementedError

    for exercise in exercises.exercises().values():
        for name in exercise.library:
            resolve(name)
        observe_all(exercise, not_attempted, list(exercise.cases(0)), guard=False, capture=capture)


_huge_pages: list[int] = []  # addresses of whole huge pages of this process; inside the sandbox /proc is out of sight
HUGE = 2 << 20


def _keep_from_collection() -> None:
    """Leaves what is loaded to no garbage collection any more, which would copy its pages in each fork."""
    gc.collect()
    gc.freeze()


def _find_huge_pages() -> None:
    with contextlib.suppress(OSError), open("/proc/self/maps") as file:
        for low, high in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ 00:00 0", file.read(), re.M):
            _huge_pages.extend(range(-(-int(low, 16) // HUGE) * HUGE, int(high, 16) // HUGE * HUGE, HUGE))


def _gather_in_huge_pages() -> None:
    """Makes forks cheap, 6 ms instead of 14, where the kernel gives huge pages.

    It takes a second or two, and a submission has several forks, so it is worth it for classes alone.
    """
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for address in _huge_pages:  # some cannot be had; a fork and its end cost 14 ms if we stop there
        libc.madvise(address, HUGE, 25)  # MADV_COLLAPSE


# --- forks ------------------------------------------------------------------------------------------------------------


def _fork(body: Callable[[], None], channel: socket.socket) -> None:
    """Runs `body` in a fork that has nothing to do with the channel."""
    if os.fork():
        return
    try:
        channel.close()
        body()
    finally:
        os._exit(70)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
