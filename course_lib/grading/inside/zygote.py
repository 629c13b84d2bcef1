"""The sandboxed side: a process with torch loaded, forked for each unit, submission and exercise.

    loader              torch, pyplot and an IPython shell loaded; not isolated, since it runs nobody's code
      zygote            isolated; forked once a worker, so that submissions at the same time share no namespace
        unit            the release's setup cells have run; forked once a unit
          first         process 1 of a submission's namespaces; trusted; ends everything when the judge hangs up
            submission  runs the student's cells; then waits for exercises
              observer  observes answers on the judge's cases and sends back raw values: a first one all answers, a
                        second one those that were not right, in the other order, and one each what then differs

A student's code runs in the last two. Each speaks over a channel of its own, and all that any of them can say is data.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from course_lib.grading.inside import sandbox as sandboxing
from course_lib.grading.inside.sandbox import Limits, Sandbox

if TYPE_CHECKING:
    from course_lib.exercises.observing import Observation


def main(settings: dict[str, Any], control: int) -> None:
    """Loads everything, then forks a zygote whenever the judge asks for one, until it hangs up."""
    channel = socket.socket(fileno=control)
    _load()
    from course_lib.grading.inside import transport

    sandbox = Sandbox(settings["level"], settings["stage"], settings["readable"])
    _tidy_memory()  # before /proc is out of sight
    with contextlib.suppress(transport.Closed):
        while True:
            _, descriptors = transport.receive_with_descriptors(channel)
            _fork(functools.partial(_enter, descriptors[0], sandbox), channel)
            os.close(descriptors[0])
            _reap()
    os._exit(0)


def _enter(descriptor: int, sandbox: Sandbox) -> None:
    """Enters the sandbox and serves the judge; namespaces ask for a process of one thread, which a fork is."""
    from course_lib.grading.inside import transport

    channel = socket.socket(fileno=descriptor)
    try:
        sandbox.enter()
    except Exception as fault:
        transport.send(channel, {"ready": False, "reason": f"{type(fault).__name__}: {fault}"})
        os._exit(1)
    sandboxing.prctl(sandboxing.PR_SET_CHILD_SUBREAPER, 1)
    transport.send(channel, {"ready": True, "level": sandbox.level, "landlock": sandboxing.landlock_version()})
    with contextlib.suppress(transport.Closed):
        _serve(channel, sandbox)
    os._exit(0)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _load() -> None:
    """Imports what notebooks need, with one thread: a fork of a process whose pool has started would hang."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot
    import torch
    import torch.nn.functional

    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
    torch.set_num_threads = torch.set_num_interop_threads = lambda *_: None

    from course_lib import exercises
    from course_lib.exercises import checking, observing

    exercises.units()
    observing.CapturedOutput = CapturedOutput  # type: ignore[misc, assignment]
    # A check that a student calls in a cell of their own does nothing: there is no judge here.
    checking.Checks._show = lambda self, exercise, fn: None  # type: ignore
    checking.Checks.needs = lambda self, *names, borrow=False: None  # type: ignore
    _warm_up()
    _shell()


def _warm_up() -> None:
    """Does once what torch and the exercises put off until they are first used, a second or more, before any fork."""
    import importlib

    import torch
    from torch import nn

    from course_lib import exercises
    from course_lib.exercises.observing import observe_all

    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 2, 2, 2),
        nn.Flatten(), nn.Linear(2 * 8 * 8, 3),
    )  # fmt: skip
    for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        steps = optimizer(network.parameters(), lr=0.01)
        nn.functional.cross_entropy(network(torch.rand(2, 1, 8, 8)), torch.tensor([0, 1])).backward()
        steps.step()

    def nothing(*args: object, **kwargs: object) -> None:
        raise NotImplementedError

    for exercise in exercises.exercises().values():
        for name in exercise.library:
            importlib.import_module(name.rpartition(".")[0])
        observe_all(exercise, nothing, list(exercise.cases(0)), guard=False)


_places: list[int] = []  # where whole huge pages of our memory lie; inside the sandbox it cannot be asked any more


def _tidy_memory() -> None:
    """Makes forks cheap: no garbage collection of what is loaded, and huge pages where the kernel gives them."""
    import ctypes

    gc.collect()
    gc.freeze()
    huge = 2 << 20
    if not _places:
        with contextlib.suppress(OSError), open("/proc/self/maps") as file:
            for low, high in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ 00:00 0", file.read(), re.M):
                _places.extend(range(-(-int(low, 16) // huge) * huge, int(high, 16) // huge * huge, huge))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for address in _places:
        if libc.madvise(address, huge, 25) and ctypes.get_errno() == 22:  # MADV_COLLAPSE; no such advice here
            return


def _serve(channel: socket.socket, sandbox: Sandbox) -> None:
    from course_lib.grading.inside import transport

    while True:
        request, descriptors = transport.receive_with_descriptors(channel)
        if request["op"] == "unit":
            _fork(functools.partial(_unit, request, descriptors, sandbox), channel)
        elif request["op"] == "submission":
            _start_submission(request, descriptors, sandbox, channel)
        for descriptor in descriptors:
            os.close(descriptor)
        _reap()


def _fork(body: Callable[[], None], channel: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        channel.close()
        body()
    finally:
        os._exit(70)


# --- a unit ---------------------------------------------------------------------------------------------------------


def _unit(request: dict[str, Any], descriptors: list[int], sandbox: Sandbox) -> None:
    """Runs the release's setup cells once, then serves the submissions of this unit."""
    from course_lib.grading.inside import transport

    channel = socket.socket(fileno=descriptors[0])
    problem = ""
    for source in request["setup"]:
        error = run_cell(source, Limits().printed)["error"]
        if error:
            problem = f"{error['type']}: {error['text']}"
            break
    _tidy_memory()
    transport.send(channel, {"problem": problem, "pid": os.getpid()})
    with contextlib.suppress(transport.Closed):
        _serve(channel, sandbox)
    os._exit(0)


def _start_submission(
    request: dict[str, Any], descriptors: list[int], sandbox: Sandbox, channel: socket.socket
) -> None:
    from course_lib.grading.inside import transport

    try:
        pid = sandboxing.clone_into(sandbox.clone_flags)
    except OSError as fault:  # it is the machine that is short of something; this unit's other submissions go on
        with socket.socket(fileno=os.dup(descriptors[0])) as watch, contextlib.suppress(transport.TransportError):
            transport.send(watch, {"fault": str(fault)})
        return
    if pid:
        return
    try:
        channel.close()
        _first(request, socket.socket(fileno=descriptors[0]), socket.socket(fileno=descriptors[1]), sandbox)
    finally:
        os._exit(70)


# --- the first process of a submission ------------------------------------------------------------------------------


def _first(request: dict[str, Any], watch: socket.socket, channel: socket.socket, sandbox: Sandbox) -> None:
    """Starts the student's process and waits until it ends or the judge hangs up; then ends whatever is left of it."""
    from course_lib.grading.inside import transport

    limits = Limits(**request["limits"])
    try:
        scratch = sandbox.prepare_submission()
    except OSError as fault:
        transport.send(watch, {"fault": str(fault)})
        return
    sandboxing.prctl(sandboxing.PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if not child:
        try:
            watch.close()
            _submission(channel, sandbox, limits, scratch)
        finally:
            os._exit(70)
    channel.close()
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(watch, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if watch.fileno() in ready:
            break
        if ended in ready:
            _, status, usage = os.wait4(child, 0)
            with contextlib.suppress(transport.TransportError):
                transport.send(watch, {"ended": how_it_ended(status, usage.ru_utime + usage.ru_stime)})
            break
    if sandbox.level != "namespaces":  # there, all processes of a namespace end with its first
        _end_descendants()
        import shutil

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
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def how_it_ended(status: int, cpu_seconds: float) -> dict[str, Any]:
    """What is said of a process that has ended; `signal` is 0 for one that left by itself."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"signal": number, "status": os.WEXITSTATUS(status) if not number else 0, "cpu_seconds": cpu_seconds}


# --- a submission: the student's code from here on ------------------------------------------------------------------


def _submission(channel: socket.socket, sandbox: Sandbox, limits: Limits, scratch: str) -> None:
    """Runs the cells, then forks an observer whenever the judge asks for one."""
    from course_lib.grading.inside import transport

    _close_others(channel.fileno())
    sandbox.confine(limits, scratch)
    cells = transport.receive(channel)["cells"]
    _fresh_random_state()
    myself = os.getpid()
    for cell in cells:
        transport.send(channel, {"running": cell["id"]})
        done = run_cell(cell["source"], limits.printed)
        if os.getpid() != myself:  # a fork that the cell made and left behind
            os._exit(0)
        transport.send(channel, {"ran": cell["id"], **done})
    transport.send(channel, {"loaded": True})
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
                sandboxing.limit_cpu(request["cpu_seconds"])
                _observer(socket.socket(fileno=descriptors[0]))
                os._exit(0)
            finally:
                os._exit(70)
        os.close(descriptors[0])
        transport.send(channel, {"ended": _wait_for(child, request["wall_seconds"])})


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
    highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, kept)
    os.closerange(kept + 1, min(highest, 4096))


def _fresh_random_state() -> None:
    import random

    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def _observer(channel: socket.socket) -> None:
    """Observes the answers that the judge asks for, one look a request, until it hangs up."""
    from course_lib.grading.inside import transport

    myself = os.getpid()
    asked: dict[str, Any] = {}
    while True:
        try:
            request = transport.receive(channel)
        except transport.Closed:
            return
        if "again" in request:
            request = {**asked, "cases": [asked["cases"][number] for number in request["again"]]}
        else:
            asked = request
        reply = _observe(request)
        if os.getpid() != myself:  # a fork that the answer made and left behind
            return
        transport.send_packed(channel, reply)


def _observe(request: dict[str, Any]) -> list[bytes]:
    """One look at an answer on the cases of the judge: raw values, packed."""
    from course_lib.exercises import exercise_named
    from course_lib.exercises.contract import Case
    from course_lib.exercises.observing import observe_all
    from course_lib.grading.inside import transport

    exercise = exercise_named(request["exercise"])
    cases = [Case(given["name"], given["inputs"]) for given in request["cases"]]
    names = _shell().user_ns
    if request["exercise"] not in names:
        return transport.pack({"defined": False})
    fn = names[request["exercise"]]
    if not callable(fn):
        return transport.pack({"defined": True, "callable": False, "given": type(fn).__name__})
    return _packed(observe_all(exercise, fn, cases))


def _packed(seen: Sequence[Observation]) -> list[bytes]:
    """Observations as they can be sent: at once, or, if that cannot be, without what is too large or no data."""
    from course_lib.grading.inside import transport

    caps = transport.CAPS
    with contextlib.suppress(Exception):  # nested too deep, or of a kind that is not data
        chunks = transport.pack(_reply(seen, [one.values for one in seen]))
        _, body, *blobs = chunks
        if len(body) <= caps.json_bytes and len(blobs) <= caps.tensors and sum(map(len, blobs)) <= caps.tensor_bytes:
            return chunks
    room = [caps.tensor_bytes, caps.json_bytes // 2]
    return transport.pack(_reply(seen, [_sendable(one.values, room) for one in seen]))


def _reply(seen: Sequence[Observation], values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import dataclasses

    said = [
        {
            "values": kept,
            "error": _clipped(dataclasses.asdict(one.error)) if one.error else None,
            "printed": one.printed,
        }
        for one, kept in zip(seen, values)
    ]
    return {"defined": True, "callable": True, "observations": said}


def _clipped(error: dict[str, Any]) -> dict[str, Any]:
    return {key: value[:500] if isinstance(value, str) else value for key, value in error.items()}


def _sendable(values: dict[str, Any], room: list[int]) -> dict[str, Any]:
    """Values as they can be sent; one that cannot, or has no room left, is only named."""
    from course_lib.exercises.contract import Other
    from course_lib.grading.inside import transport

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


# --- the shell that cells run in ------------------------------------------------------------------------------------


class CapturedOutput:
    """Stands in for the one of `observing`: keeps the first part of what is printed, in memory, and drops the rest."""

    def __init__(self, limit: int = 20_000) -> None:
        self.limit, self.text = limit, ""

    def __enter__(self) -> CapturedOutput:
        self._kept = _Kept(self.limit)
        self._streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = io.TextIOWrapper(self._kept, "utf-8", "replace", write_through=True)
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout, sys.stderr = self._streams
        self.text = self._kept.text()


class _Kept(io.RawIOBase):
    """A stream that counts what it is given and keeps the beginning; closing it does nothing."""

    def __init__(self, limit: int) -> None:
        self._limit, self._kept, self._size, self._lock = limit, bytearray(), 0, threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = memoryview(data).cast("B")
        with self._lock:
            self._size += len(data)
            if len(self._kept) < self._limit:
                self._kept += data[: self._limit - len(self._kept)]
        return len(data)

    def close(self) -> None:
        """Nothing: whoever closes the output of a cell loses nothing."""

    def text(self) -> str:
        text = bytes(self._kept).decode("utf-8", "replace")
        return text if self._size <= self._limit else f"{text}\n[... {self._size - self._limit:,} more bytes of output]"


def run_cell(source: str, limit: int) -> dict[str, Any]:
    """Runs a cell as a notebook would: what it printed, and its error or None."""
    from course_lib.exercises.observing import failure_of

    with CapturedOutput(limit) as output:
        try:
            result = _shell().run_cell(source, store_history=False)
            fault = result.error_before_exec or result.error_in_exec
        except BaseException as caught:
            fault = caught
    error = None
    if fault is not None:
        try:
            failure = failure_of(fault, None)
            kind, text = failure.type, failure.text
        except BaseException:  # an exception that does not let itself be printed
            kind, text = "Exception", ""
        line = getattr(fault, "lineno", None)
        error = {"type": kind[:100], "text": text, "line": line if type(line) is int else None}
    return {"printed": output.text, "error": error}


_the_shell: Any = None


def _shell() -> Any:
    """The shell, without history, startup files, extensions of the user, or a display."""
    global _the_shell
    if _the_shell is not None:
        return _the_shell
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Nothing(DisplayPublisher):
        """Rich output is dropped: it could hold scripts, and nobody reads it."""

        def publish(self, *args: Any, **kwargs: Any) -> None:
            pass

    class Silent(DisplayHook):
        def __call__(self, result: Any = None) -> None:
            pass

    class Shell(InteractiveShell):
        display_pub_class = Nothing
        displayhook_class = Silent

        def enable_gui(self, gui: Any = None) -> None:
            """Nothing: `%matplotlib inline` asks for one."""

        def init_sys_path(self) -> None:
            """Nothing: modules in the current folder must not stand in for real ones."""

        def showtraceback(self, *args: Any, **kwargs: Any) -> None:
            """Nothing: errors are reported by the result of the cell."""

        def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
            """Nothing, as above."""

        def showindentationerror(self) -> None:
            """Nothing, as above."""

    settings = Config()
    settings.HistoryManager.enabled = False
    settings.HistoryManager.hist_file = ":memory:"
    settings.InteractiveShell.colors = "NoColor"
    settings.InteractiveShell.cache_size = 0
    settings.InteractiveShell.xmode = "Minimal"
    _the_shell = Shell.instance(config=settings)
    _the_shell.run_cell("pass", store_history=False)
    return _the_shell
