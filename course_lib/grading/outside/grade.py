"""The judge's side: asks a sandboxed process what an answer does, and decides here what that is worth.

Whatever comes back is data. A score can only come from values that match what the judge computes from inputs that were
drawn from a secret seed; a process that lies, dies or floods can only lose.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import shutil
import site
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import course_lib
from course_lib import exercises as registry
from course_lib.exercises import judging
from course_lib.exercises.contract import Case, Exercise, Judge
from course_lib.exercises.judging import Result, blank_result, judge_observations
from course_lib.exercises.messages import Message, register
from course_lib.exercises.observing import Failure, Observation, observe_all
from course_lib.grading.inside import sandbox, transport
from course_lib.grading.inside.sandbox import IsolationError, Limits
from course_lib.grading.outside import memory, results
from course_lib.grading.outside.submission import Malformed, Parsed, Released, Submission, parse

RESTARTS = 2  # how often a submission is started again without the cell that ended it
PRINTED_TOTAL = 200_000  # characters of output that a result keeps, all cells together
MEMORY_ERRORS = ("MemoryError", "OutOfMemoryError")
MEMORY_TEXT = re.compile(r"can't allocate memory|not enough memory|Cannot allocate memory|Unable to allocate")

SENTENCES = {
    "grading.not_defined": "Your notebook does not define `{name}`.",
    "grading.cell_error": "The cell that should define `{name}` stopped with {type}: {text}",
    "grading.timeout": "Your code was stopped after {seconds} seconds of computing or waiting.",
    "grading.memory": "Your code needed more memory than is allowed ({megabytes} MB).",
    "grading.crashed": "Your code ended the process it ran in.",
    "grading.unstable": "Your code gives other values each time it runs on the same inputs.",
}
for _id, _sentence in SENTENCES.items():
    register(_id, _sentence)


class GraderFault(RuntimeError):
    """Something of the grader's own does not work; not the fault of any submission."""


@dataclass(frozen=True)
class Options:
    """How to grade; everything here that can change a result is part of its key."""

    isolation: str = "auto"
    limits: Limits = field(default_factory=Limits)
    profile: str = "smoke"
    secret: bytes = field(default=b"", repr=False)  # never in a log
    exercise_folders: tuple[str, ...] = ()  # further folders of units, laid out as course_lib/exercises is
    protected: tuple[str, ...] = ()  # folders that no student's process may be able to read

    def packages(self) -> list[Path]:
        """The folder of course_lib, then the further folders of exercises."""
        return [Path(course_lib.__file__).parent, *map(Path, self.exercise_folders)]


def use_exercise_folders(folders: Sequence[str]) -> None:
    """Makes the units of further folders known in this process, their judges too."""
    for folder in folders:
        if folder not in registry.__path__:
            registry.__path__.append(folder)
            registry.forget_units()


# --- the sandboxed processes, seen from here ------------------------------------------------------------------------

_START = (
    "import sys, json; s = json.loads(sys.argv[1]); sys.path.insert(0, s['stage'] + '/library'); "
    "sys.path.extend(s['more']); from course_lib.grading.inside.zygote import main; main(s, int(sys.argv[2]))"
)


class Zygote:
    """A sandboxed process with everything loaded, from which submissions are forked. Use as a context manager.

    Args:
        meanwhile: called while the process loads.

    Raises:
        IsolationError: the isolation asked for is not to be had; the text says how to get it.
    """

    def __init__(self, options: Options, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.options = options
        self.level = ""
        self._meanwhile = meanwhile
        self._units: dict[str, socket.socket] = {}
        self._unit_pids: dict[str, int] = {}
        self._folder = sandbox.stage_folder()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        options, stage = self.options, self._folder
        readable = sandbox.readable_paths()
        levels = sandbox.levels_for(options.isolation)
        if levels != ("none",):
            package = options.packages()[0]
            sandbox.check_apart(readable, [str(package), *options.protected])
        sandbox.stage_library(options.packages(), stage / "library")
        (stage / "scratch").mkdir()
        (stage / "scratch").chmod(0o1777)
        reasons: dict[str, str] = {}
        for level in levels:
            reason = self._try(level, readable)
            if not reason:
                self.level = level
                return
            reasons[level] = reason
        raise sandbox.refusal(options.isolation, reasons)

    def _try(self, level: str, readable: list[str]) -> str:
        """Starts a process at a level; gives the reason why not, or nothing."""
        ours, theirs = socket.socketpair()
        settings = {
            "level": level,
            "stage": str(self._folder),
            "readable": readable,
            "more": [site.getusersitepackages()] if site.ENABLE_USER_SITE else [],
        }
        with theirs, open(self._folder / "log", "wb") as log:
            command = [sys.executable, "-s", "-P", "-B", "-c", _START, json.dumps(settings), str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._loader = ours
        self._meanwhile()
        try:
            ready = self._enter()
        except transport.TransportError:
            tail = (self._folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
            raise GraderFault(f"the sandboxed process did not start: {' '.join(tail)[:500]}") from None
        return "" if ready["ready"] else str(ready["reason"])

    def _enter(self) -> dict[str, Any]:
        """Has an isolated process forked from the loaded one; whether it is ready."""
        self._control, theirs = socket.socketpair()
        with theirs:
            transport.send(self._loader, {"op": "zygote"}, [theirs.fileno()])
        return transport.receive(self._control, deadline=time.monotonic() + 300)

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LD_LIBRARY_PATH", "TZ")}
        return kept | {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONHASHSEED": "0",
            "PYTHONBREAKPOINT": "0",  # one forgotten in an answer waits for nobody
            "MPLBACKEND": "agg",
            "COURSE_PROFILE": self.options.profile,
            "COURSE_DEVICE": "cpu",
            "COURSE_THREADS": "1",
        }

    def unit(self, released: Released) -> socket.socket:
        """The process in which a released notebook's setup cells have run.

        Raises:
            GraderFault: they do not run in the sandbox.
        """
        if released.digest not in self._units:
            ours, theirs = socket.socketpair()
            with theirs:
                transport.send(self._control, {"op": "unit", "setup": released.setup}, [theirs.fileno()])
            try:
                answer = transport.receive(ours, deadline=time.monotonic() + 300)
            except transport.TransportError as fault:
                raise GraderFault(f"the setup cells of {released.unit} ended their process: {fault}") from None
            if answer["problem"]:
                raise GraderFault(
                    f"the setup cells of {released.unit} do not run where answers are graded: {answer['problem']}"
                )
            self._units[released.digest] = ours
            self._unit_pids[released.digest] = int(answer["pid"])
        return self._units[released.digest]

    @property
    def pid(self) -> int:
        """The process that all others of this zygote descend from."""
        return self._process.pid

    def unit_pid(self, released: Released) -> int:
        """The process of a unit, whose children are the first processes of submissions."""
        self.unit(released)
        return self._unit_pids[released.digest]

    def close(self) -> None:
        """Ends every process and removes the files made for them."""
        for channel in (*self._units.values(), getattr(self, "_control", None), getattr(self, "_loader", None)):
            if channel is not None:
                channel.close()
        process = getattr(self, "_process", None)
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Twin(Zygote):
    """A zygote forked from the same loaded process, isolated from the first; for a fork of the first one's owner.

    Args:
        zygote: the first one.
        lock: held by whichever of the processes asks.

    Raises:
        GraderFault: there is none to be had any more.
    """

    def __init__(self, zygote: Zygote, lock: contextlib.AbstractContextManager[Any]) -> None:
        self.options, self.level = zygote.options, zygote.level
        self._process, self._loader = zygote._process, zygote._loader
        self._units, self._unit_pids = {}, {}
        try:
            with lock:
                ready = self._enter()
        except transport.TransportError:
            raise GraderFault("the sandboxed process has ended") from None
        if not ready["ready"]:
            raise GraderFault(f"the sandboxed process could not be isolated: {ready['reason']}")

    def close(self) -> None:
        """Ends its own processes; the first zygote and its files are somebody else's."""
        for channel in (*self._units.values(), self._control):
            channel.close()


@dataclass
class Ended:
    """How a process of a student ended, as a verdict; and the sentence for it."""

    verdict: str
    message: Message


class Session:
    """One start of a submission: its cells, then exercises, until something ends it."""

    def __init__(self, zygote: Zygote, released: Released) -> None:
        self.limits, self._level = zygote.options.limits, zygote.level
        self._watch, watch = socket.socketpair()
        self._channel, channel = socket.socketpair()
        self.alive = True
        with watch, channel:
            try:
                transport.send(
                    zygote.unit(released),
                    {"op": "submission", "limits": dataclasses.asdict(self.limits)},
                    [watch.fileno(), channel.fileno()],
                )
            except transport.Closed:
                raise GraderFault("the sandboxed process has ended") from None
        self._memory = memory.Watch(zygote.unit_pid(released), self.limits.memory_bytes)

    def load(self, cells: Sequence[tuple[str, str]]) -> tuple[dict[str, dict[str, Any]], str | None, Ended | None]:
        """Runs the cells: what each did, and the one that ended the process, with how."""
        done: dict[str, dict[str, Any]] = {}
        names, running = {name for name, _ in cells}, None
        deadline = time.monotonic() + self.limits.wall_seconds
        try:
            given = [{"id": name, "source": source} for name, source in cells]
            transport.send(self._channel, {"cells": given}, deadline=deadline)
            while True:
                said = self._receive(self._channel, deadline, self._watch.fileno())
                if said.get("running") in names:
                    running = said["running"]
                elif said.get("ran") in names:
                    done[said["ran"]], running = _cell_record(said), None
                elif said.get("loaded") is True:
                    return done, None, None
                else:
                    raise transport.TransportError("not what a submission says")
        except transport.TransportError as fault:
            self.alive = False
            return done, running, self._how_it_ended(fault, self.limits.cells_seconds)

    def _receive(self, channel: socket.socket, deadline: float, watch: int) -> dict[str, Any]:
        return _spoken(transport.receive_frame(channel, deadline=deadline, watch=watch))

    def _how_it_ended(self, fault: transport.TransportError, cpu_limit: int) -> Ended:
        if isinstance(fault, transport.Late):
            return self._ended("timeout", self.limits.wall_seconds)
        if not isinstance(fault, transport.Closed):
            return self._ended("crashed")
        try:
            said = transport.receive(self._watch, deadline=time.monotonic() + 30)
        except transport.TransportError:
            if self._level != "namespaces":  # there, its code may have killed its own keeper
                return self._ended("crashed")
            raise GraderFault("a submission's first process has ended by itself") from None
        if "fault" in said:
            raise GraderFault(f"a submission could not be isolated: {said['fault']}")
        return self._from_status(said["ended"], cpu_limit) or self._ended("crashed")

    def _from_status(self, ended: Any, cpu_limit: int) -> Ended | None:
        """A verdict from how a process ended; None if it left as it should."""
        number, cpu = int(ended.get("signal") or 0), float(ended.get("cpu_seconds") or 0.0)
        if ended.get("slept") is True:
            return self._ended("timeout", self.limits.wall_seconds)
        if number == 24 or (number == 9 and cpu >= cpu_limit - 0.5):  # SIGXCPU, or SIGKILL after it
            return self._ended("timeout", cpu_limit)
        return self._ended("crashed") if number or ended.get("status") else None

    def _ended(self, verdict: str, seconds: float = 0) -> Ended:
        if self._memory.exceeded:  # then it was us who ended it
            fields: dict[str, Any] = {"megabytes": self.limits.memory_bytes >> 20}
            return Ended("memory", Message("grading.memory", fields))
        fields = {"seconds": f"{seconds:g}"} if verdict == "timeout" else {}
        return Ended(verdict, Message(f"grading.{verdict}", fields))

    @property
    def blind(self) -> str:
        """Why the memory of all its processes together could not be seen; empty when it could."""
        return self._memory.blind

    def close(self) -> None:
        """Ends every process of the submission; returns once they are gone, so that their memory is free again."""
        self._memory.close()
        with contextlib.suppress(OSError):
            self._watch.shutdown(socket.SHUT_WR)
        for held in (self._watch, self._channel):  # the first process lets go of its end before the others are ended
            with held, contextlib.suppress(OSError):
                held.settimeout(10)
                while held.recv(65536):
                    pass


class Look:
    """A process forked from a session that observes answers, one after another, until it ends or is let go.

    Args:
        wall_seconds: how long it may take on the clock; as all else it may use, a limit of the session's if not given.
    """

    def __init__(self, session: Session, wall_seconds: float | None = None) -> None:
        self._session = session
        self._cpu = session.limits.exercise_seconds
        self._wall = session.limits.wall_seconds if wall_seconds is None else wall_seconds
        self._deadline = time.monotonic() + self._wall + 10  # its keeper ends it earlier, unless that is stopped too
        self._fault: transport.TransportError | None = None
        self._channel, theirs = socket.socketpair()
        request = {"cpu_seconds": self._cpu, "wall_seconds": self._wall}
        with theirs:
            try:
                transport.send(session._channel, request, [theirs.fileno()], deadline=self._deadline)
            except transport.TransportError as fault:
                self._fault = fault

    def ask(self, place: Bench) -> transport.Frame | None:
        """What an answer does on the hidden cases, as it was said; None when nothing more is to be heard."""
        return self._answer(place.request)

    def same_again(self, place: Bench, first: transport.Frame) -> bool:
        """Whether an answer, just asked, does the same a second time on the cases that are looked at twice."""
        second = self._answer(place.second_request)
        try:
            before, now = _spoken(first)["observations"], None if second is None else _spoken(second)["observations"]
        except (transport.TransportError, KeyError):
            return False
        return transport.pack([before[number] for number in place.twice]) == transport.pack(now)

    def _answer(self, request: Sequence[bytes]) -> transport.Frame | None:
        if self._fault is not None:
            return None
        try:
            transport.send_packed(self._channel, request, deadline=self._deadline)
            return self._heard()
        except transport.TransportError as fault:
            self._fault = fault
            return None

    def _heard(self) -> transport.Frame:
        return transport.receive_frame(self._channel, deadline=self._deadline, watch=self._session._channel.fileno())

    def end(self) -> Ended | None:
        """Lets the process go: how it ended, if not as it should.

        A reply too many is such an end: somebody else wrote too, and who is heard would be a matter of time.
        """
        session = self._session
        with self._channel:
            if self._fault is None:
                try:
                    self._channel.shutdown(socket.SHUT_WR)
                    self._heard()
                    self._fault = transport.TransportError("more than was asked for")
                except OSError:
                    pass
                except transport.TransportError as fault:
                    self._fault = fault
        if isinstance(self._fault, transport.Late):
            session.alive = False
            return session._ended("timeout", self._wall)
        if self._fault is not None and not isinstance(self._fault, transport.Closed):
            session.alive = False  # it does not keep to the form: nothing it says later is heard
            return session._ended("crashed")
        try:
            ended = session._receive(session._channel, self._deadline, session._watch.fileno())["ended"]
            return session._from_status(ended, self._cpu)
        except (transport.TransportError, KeyError, TypeError) as fault:
            session.alive = False
            if isinstance(fault, transport.TransportError):
                return session._how_it_ended(fault, session.limits.cells_seconds)
            return session._ended("crashed")


def _spoken(frame: transport.Frame) -> dict[str, Any]:
    said = frame.message()
    if not isinstance(said, dict):
        raise transport.TransportError("not what was asked for")
    return said


def _cell_record(said: dict[str, Any]) -> dict[str, Any]:
    error = said.get("error")
    if isinstance(error, dict):
        line = error.get("line")
        error = {
            "type": _same_each_time(error.get("type"))[:100],
            "text": _same_each_time(error.get("text"))[:500],
            "line": line if type(line) is int else None,
        }
    else:
        error = None
    return {"printed": _same_each_time(said.get("printed"))[:25_000], "error": error}


def _same_each_time(text: Any) -> str:
    """Text without memory addresses and the sandbox's folder, which would make a result another one each time."""
    if not isinstance(text, str):
        return ""
    return re.sub(r"\b0x[0-9a-fA-F]{6,16}\b", "0x...", sandbox.without_stage(text))


# --- judging --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """An exercise as it is judged here: its hidden cases, and what the judge's own functions give on them.

    Attributes:
        twice: the numbers of the cases on which an answer that is right is looked at a second time.
    """

    exercise: Exercise
    judge: Judge
    cases: tuple[Case, ...]
    twice: tuple[int, ...]
    known: dict[tuple[Any, str], Observation] = field(default_factory=dict)

    @functools.cached_property
    def request(self) -> list[bytes]:
        """What a student's process is asked, ready to be sent; it is the same for everyone."""
        given = [{"name": case.name, "inputs": case.inputs} for case in self.cases]
        return transport.pack({"exercise": self.exercise.name, "cases": given})

    @functools.cached_property
    def second_request(self) -> list[bytes]:
        """The cases of the request before that are to be observed once more."""
        return transport.pack({"again": list(self.twice)})

    def learn(self) -> None:
        """Runs the reference and the known mistakes now, which a class needs sooner or later."""
        with self.remembering():
            for fn in (self.judge.reference, *(mistake.fn for mistake in self.judge.mistakes)):
                judging.observe_all(self.exercise, fn, self.cases)

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """While open, the reference and the known mistakes run once a case: the cases are the same for everyone."""

        def remembered(exercise: Exercise, fn: Any, cases: Sequence[Case], **_: Any) -> list[Observation]:
            for case in cases:
                if (fn, case.name) not in self.known:
                    self.known[fn, case.name] = observe_all(exercise, fn, [case], guard=False)[0]
            return [self.known[fn, case.name] for case in cases]

        judging.observe_all = remembered  # type: ignore[assignment]
        try:
            yield
        finally:
            judging.observe_all = observe_all


@functools.cache
def bench(name: str, secret: bytes) -> Bench:
    """The exercise with its hidden cases, the same for the whole class."""
    exercise, seed = registry.exercise_named(name), results.seed_for(secret, name)
    cases = tuple(exercise.cases(seed))
    # An answer that is not the same each time would have had to be right on all of them once already.
    twice = tuple(range(seed % 2, len(cases), 2)) or (0,)
    return Bench(exercise, registry.judge_of(exercise), cases, twice)


def observations_of(reply: dict[str, Any], cases: Sequence[Case]) -> list[Observation]:
    """What a student's process said, beside the judge's own cases.

    Raises:
        TransportError: it is not of the agreed form.
    """
    said = reply.get("observations")
    if not isinstance(said, list) or len(said) != len(cases) or not all(isinstance(one, dict) for one in said):
        raise transport.TransportError("not an observation for each case")
    observed = []
    for case, one in zip(cases, said, strict=True):
        values, error, failure = one.get("values"), one.get("error"), None
        if isinstance(error, dict):
            line = error.get("line")
            texts = {k: _same_each_time(error.get(k))[:500] for k in ("type", "text", "source", "library_name")}
            failure = Failure(line=line if type(line) is int else None, **texts)
        if not isinstance(values, dict):
            raise transport.TransportError("values that are none")
        printed = _same_each_time(one.get("printed"))[:20_000]
        observed.append(Observation(case, {} if failure else values, failure, printed))
    return observed


def judge_replies(place: Bench, replies: Sequence[dict[str, Any]], limits: Limits) -> dict[str, Any]:
    """The record of an exercise from different things that its process said of it: the worst counts."""
    judged = [_judge_one(place, observations_of(reply, place.cases), limits) for reply in replies]
    worst = min(judged, key=lambda record: record["score"])
    if worst["score"] != max(record["score"] for record in judged):
        worst["message"] = {"id": "grading.unstable", "fields": {}}
        worst["mistake"] = None
    return worst


def _judge_one(place: Bench, observed: list[Observation], limits: Limits) -> dict[str, Any]:
    try:
        with place.remembering():
            result = judge_observations(place.exercise, place.judge, observed)
    except Exception as fault:  # the judge's own fault: nobody else's grade may depend on it
        message = Message("contract.judge_failed", {"text": f"{type(fault).__name__}: {fault}"[:300]})
        record = _record(blank_result(place.exercise, place.judge, "error", message))
        return {**record, "judge_failed": True}
    errors = [o.error for o in observed if o.error]
    record = _record(result)
    if len(errors) == len(observed) and any(e.type in MEMORY_ERRORS or MEMORY_TEXT.search(e.text) for e in errors):
        record["verdict"] = "memory"
        record["message"] = {"id": "grading.memory", "fields": {"megabytes": limits.memory_bytes >> 20}}
    return record


def _record(result: Result) -> dict[str, Any]:
    return {
        "exercise": result.exercise,
        "verdict": result.state,
        "score": float(result.score),
        "points": float(result.points),
        "mistake": result.mistake,
        "message": {"id": result.message.id, "fields": _plain_fields(result.message.fields)},
        "criteria": [{"name": c.name, "score": c.score, "points": c.points} for c in result.criteria],
        "printed": result.printed,
    }


def _plain_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as they can be kept: numbers and words; anything else as its text."""
    kept = {}
    for name, value in fields.items():
        finite = type(value) in (int, bool) or (type(value) is float and abs(value) < float("inf"))
        kept[name] = value if finite else _same_each_time(str(value))[:600].encode("utf-8", "replace").decode()
    return kept


def _blank(place: Bench, verdict: str, message: Message) -> dict[str, Any]:
    record = _record(blank_result(place.exercise, place.judge, "wrong", message))
    return {**record, "verdict": verdict}


# --- one submission -------------------------------------------------------------------------------------------------


def grade_submission(zygote: Zygote, released: Released, submission: Submission, *, key: str) -> dict[str, Any]:
    """Grades one submission: the record that is stored (the layout of results.SCHEMA). Never raises for its contents.

    Raises:
        GraderFault: the grader itself is broken.
    """
    options = zygote.options
    benches = [bench(name, options.secret) for name in released.answers]
    record: dict[str, Any] = {
        "schema": results.SCHEMA,
        "student": submission.student,
        "unit": submission.unit,
        "notebook": submission.notebook,
        "key": key,
        "isolation": zygote.level,
        "tampered": list(submission.notes),
        "problem": "",
        "cells": {},
        "written": [{"grade_id": cell.grade_id, "points": cell.points} for cell in released.written],
    }
    try:
        if submission.problem:
            raise Malformed(submission.problem)
        parsed = parse(submission.data, released)
    except Malformed as fault:
        record["problem"] = str(fault)
        message = Message("grading.malformed", {})
        records = [_blank(place, "malformed", message) for place in benches]
        return _finished(record, records, "malformed")
    record["tampered"] += parsed.tampered
    grading = _Grading(zygote, released, parsed)
    records, record["cells"] = grading.run(benches)
    if memory.why_not() or grading.blind:  # said only where it is so
        record["unwatched"] = f"memory of all processes together: {memory.why_not() or grading.blind}"
    return _finished(record, records, "")


register("grading.malformed", "The notebook that was handed in could not be read.")


def _finished(record: dict[str, Any], exercises: list[dict[str, Any]], verdict: str) -> dict[str, Any]:
    gravest = max((e["verdict"] for e in exercises), key=results.VERDICTS.index, default="right")
    return {
        **record,
        "exercises": exercises,
        "verdict": verdict or gravest,
        "score": round(sum(e["score"] for e in exercises), 2),
        "points": round(sum(e["points"] for e in exercises), 2),
    }


_Seen = tuple[transport.Frame, dict[str, Any]]  # what a process said of an exercise, and the record of that


class _Grading:
    """Runs a submission as often as it takes: a cell or an exercise that ends the process costs itself alone."""

    def __init__(self, zygote: Zygote, released: Released, parsed: Parsed) -> None:
        self.zygote, self.released, self.parsed = zygote, released, parsed
        self.cells: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, Ended] = {}  # cells that ended the process, and how
        self.given_up: Ended | None = None
        self.blind = ""  # why the memory of its processes could not be seen

    def run(self, benches: Sequence[Bench]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        session: Session | None = None
        found: dict[str, dict[str, Any]] = {}
        seen: dict[str, _Seen] = {}
        try:
            session = self._start()
            if session is not None and len(benches) > 1:
                found, seen = self._together(session, benches)
                others = [place for place in benches if place.exercise.name in seen]
                if len(others) > 1:
                    found |= self._together_again(session, others[::-1], seen)
            for place in benches:
                if place.exercise.name in found:
                    continue
                if session is None or not session.alive:
                    if session is not None:
                        session.close()
                    session = self._start()
                found[place.exercise.name] = self._alone(session, place, seen.get(place.exercise.name))
        finally:
            if session is not None:
                session.close()
                self.blind = session.blind
        return [found[place.exercise.name] for place in benches], _limited(self.cells)

    def _start(self) -> Session | None:
        """A session whose cells have run, without those that ended an earlier one; None if there is no use."""
        while self.given_up is None:
            session = Session(self.zygote, self.released)
            cells = [(name, source) for name, source in self.parsed.cells if name not in self.left_out]
            try:
                done, culprit, ended = session.load(cells)
            except BaseException:
                session.close()
                raise
            self.cells = {**self.cells, **done}
            if ended is None:
                return session
            session.close()
            if culprit is None or len(self.left_out) >= RESTARTS:
                self.given_up = ended
            if culprit is not None:
                self.left_out[culprit] = ended
                error = {"type": ended.verdict, "text": ended.message.render("en"), "line": None}
                self.cells[culprit] = {"printed": "", "error": error}
        return None

    def _together(
        self, session: Session, benches: Sequence[Bench]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, _Seen]]:
        """What is right, or not begun, when one process observes all exercises; and what was seen of the others.

        The others are looked at again, for an answer before may have disturbed them. It cannot have made one right:
        only values that match do, and a cell that the student added could put them there.
        """
        look = Look(session, self._wall_together)
        found: dict[str, dict[str, Any]] = {}
        others: dict[str, _Seen] = {}
        for place in benches:
            name, frame = place.exercise.name, look.ask(place)
            if frame is None:
                break
            record = self._judged(place, [frame])
            if record["verdict"] == "not_attempted" or (record["verdict"] == "right" and look.same_again(place, frame)):
                found[name] = record
            elif record["verdict"] != "right":
                others[name] = frame, record
        if look.end() is not None:
            session.alive = False  # who ended it is for each one's own process to show
            return {}, {}
        return found, others

    def _together_again(
        self, session: Session, benches: Sequence[Bench], seen: dict[str, _Seen]
    ) -> dict[str, dict[str, Any]]:
        """What does the same as before in a new process with other answers before it: nobody has disturbed that."""
        look = Look(session, self._wall_together)
        found = {}
        for place in benches:
            frame, record = seen[place.exercise.name]
            if look.ask(place) == frame:
                found[place.exercise.name] = record
        if look.end() is not None:
            session.alive = False
            return {}
        return found

    @property
    def _wall_together(self) -> float:
        limits = self.zygote.options.limits
        return min(limits.exercise_seconds, limits.wall_seconds)

    def _alone(self, session: Session | None, place: Bench, seen: _Seen | None) -> dict[str, Any]:
        """An exercise in a process of its own; looked at twice, together with what was seen of it before."""
        if session is None:
            assert self.given_up is not None
            return _blank(place, self.given_up.verdict, self.given_up.message)
        look = Look(session)
        frames = [look.ask(place)]
        if frames[0] is None or seen is None or frames[0] != seen[0]:
            frames.append(look.ask(place))
        ended = look.end()
        if ended is not None:
            session.alive = False  # what it left behind must not disturb the next exercise
            return _blank(place, ended.verdict, ended.message)
        heard = [frame for frame in frames if frame is not None]
        if len(heard) < len(frames):
            return _blank(place, "crashed", Message("grading.crashed"))
        return seen[1] if seen is not None and len(heard) == 1 else self._judged(place, heard)

    def _judged(self, place: Bench, frames: Sequence[transport.Frame]) -> dict[str, Any]:
        """The record of an exercise from what its process said, look for look."""
        name = place.exercise.name
        try:
            replies = [_spoken(frame) for n, frame in enumerate(frames) if n == 0 or frame != frames[0]]
            if replies[0].get("defined") is False:
                return self._undefined(place)
            if replies[0].get("callable") is False:
                given = str(replies[0].get("given"))[:60]
                return _blank(place, "wrong", Message("contract.not_callable", {"name": name, "given": f"a {given}"}))
            return judge_replies(place, replies, self.zygote.options.limits)
        except transport.TransportError:
            return _blank(place, "crashed", Message("grading.crashed"))

    def _undefined(self, place: Bench) -> dict[str, Any]:
        """Nothing has the exercise's name: because its cell stopped, is not there, or defines something else."""
        name = place.exercise.name
        own = self.parsed.answer_cells.get(name, ())
        for cell in own:
            if cell in self.left_out:
                return _blank(place, self.left_out[cell].verdict, self.left_out[cell].message)
        for cell in own:
            error = self.cells.get(cell, {}).get("error")
            if error:
                memory = error["type"] in MEMORY_ERRORS or MEMORY_TEXT.search(error["text"])
                fields = {"name": name, "type": error["type"], "text": error["text"]}
                return _blank(place, "memory" if memory else "error", Message("grading.cell_error", fields))
        sources = [source for cell, source in self.parsed.cells if cell in own]
        if not any(source.strip() for source in sources):
            return _blank(place, "not_attempted", Message("contract.not_attempted"))
        return _blank(place, "error", Message("grading.not_defined", {"name": name}))


def _limited(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    left, kept = PRINTED_TOTAL, {}
    for name, cell in cells.items():
        kept[name] = {**cell, "printed": cell["printed"][: max(left, 0)]}
        left -= len(cell["printed"])
    return kept


def environment() -> dict[str, str]:
    """The versions that a result may depend on."""
    import numpy as np

    return {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__}


__all__ = ["Bench", "GraderFault", "IsolationError", "Options", "Zygote", "grade_submission"]
