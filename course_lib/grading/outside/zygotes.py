"""The sandboxed processes that submissions are forked from, as they are started and asked from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import site
import socket
import subprocess
import sys
import time
from typing import Any

from course_lib.grading.inside import transport
from course_lib.grading.inside.protocol import Isolation, Request
from course_lib.grading.outside import isolation, staging
from course_lib.grading.outside.options import GraderFault, Options
from course_lib.grading.outside.submission import Released

SECONDS_TO_START = 300

_PROGRAM = """
import json, sys
settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["stage"] + "/library")
sys.path.extend(settings["more"])
from course_lib.grading.inside import arenas
kept = arenas.take(160)
from course_lib.grading.inside.zygote import main
main(settings, int(sys.argv[2]))
"""


class Zygote:
    """A sandboxed process with everything loaded, from which submissions are forked. Use as a context manager.

    It is itself forked from a loader, a process of its own that is not isolated and runs no student's code.

    Raises:
        IsolationError: the isolation asked for is not to be had; the text says how to get it.
        GraderFault: the loader does not start.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.level = Isolation.NONE
        self._units: dict[str, socket.socket] = {}
        self._unit_pids: dict[str, int] = {}
        self._control: socket.socket | None = None
        self._loader: subprocess.Popen[bytes] | None = None
        self._loader_control: socket.socket | None = None
        self._folder = staging.stage_folder()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        options, stage = self.options, self._folder
        readable = staging.readable_paths()
        levels = isolation.levels_for(options.isolation)
        if levels != (Isolation.NONE,):
            package = options.packages()[0]
            staging.check_apart(readable, [str(package), *options.protected])
        staging.stage_library(options.packages(), stage / "library")
        (stage / "scratch").mkdir()
        (stage / "scratch").chmod(0o1777)
        reasons: dict[Isolation, str] = {}
        for level in levels:
            reason = self._try(level, readable)
            if not reason:
                self.level = level
                return
            reasons[level] = reason
        raise isolation.refusal(options.isolation, reasons)

    def _try(self, level: Isolation, readable: list[str]) -> str:
        """Starts a loader and a zygote at a level; returns the reason why not, or nothing."""
        self._loader_control, theirs = socket.socketpair()
        settings = {
            "level": level,
            "stage": str(self._folder),
            "readable": readable,
            "more": [site.getusersitepackages()] if site.ENABLE_USER_SITE else [],
        }
        with theirs, open(self._folder / "log", "wb") as log:
            command = [sys.executable, "-s", "-P", "-B", "-c", _PROGRAM, json.dumps(settings), str(theirs.fileno())]
            self._loader = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            ready = self._fork_from(self._loader_control)
        except transport.TransportError:
            tail = (self._folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
            raise GraderFault(f"the sandboxed process did not start: {' '.join(tail)[:500]}") from None
        return "" if ready["ready"] else str(ready["reason"])

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
            "PYTHONBREAKPOINT": "0",  # a breakpoint() left in an answer would wait for input
            "MPLBACKEND": "agg",
            "TORCHDYNAMO_DISABLE": "1",  # for ways to the compiler other than `torch.compile`, which is replaced inside
            "TORCHINDUCTOR_CACHE_DIR": "/",  # loading it makes this folder, and inside there may be none to make one in
            "COURSE_PROFILE": self.options.profile,
            "COURSE_DEVICE": "cpu",
            "COURSE_THREADS": "1",
        }

    def _fork_from(self, loader_control: socket.socket) -> dict[str, Any]:
        """Has an isolated process forked from the loader; whether it is ready."""
        self._control, theirs = socket.socketpair()
        with theirs:
            transport.send(loader_control, {"op": Request.ZYGOTE.value}, [theirs.fileno()])
        ready: dict[str, Any] = transport.receive(self._control, deadline=time.monotonic() + SECONDS_TO_START)
        return ready

    def unit(self, released: Released) -> socket.socket:
        """A channel to the process in which a released notebook's setup cells have run.

        Raises:
            GraderFault: they do not run in the sandbox.
        """
        if released.digest not in self._units:
            assert self._control is not None
            ours, theirs = socket.socketpair()
            with theirs:
                request = {"op": Request.UNIT.value, "setup": released.setup}
                transport.send(self._control, request, [theirs.fileno()])
            try:
                answer = transport.receive(ours, deadline=time.monotonic() + SECONDS_TO_START)
            except transport.TransportError as fault:
                raise GraderFault(f"the setup cells of {released.unit} ended their process: {fault}") from None
            if answer["problem"]:
                raise GraderFault(
                    f"the setup cells of {released.unit} do not run where answers are graded: {answer['problem']}"
                )
            self._units[released.digest] = ours
            self._unit_pids[released.digest] = int(answer["pid"])
        return self._units[released.digest]

    def unit_pid(self, released: Released) -> int:
        """The process of a unit, whose children are the keepers of submissions."""
        self.unit(released)
        return self._unit_pids[released.digest]

    def close(self) -> None:
        """Ends every process and removes the files made for them."""
        self._hang_up()
        if self._loader_control is not None:
            self._loader_control.close()
        if self._loader is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._loader.wait(10)
            self._loader.kill()
            self._loader.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hang_up(self) -> None:
        for channel in (*self._units.values(), self._control):
            if channel is not None:
                channel.close()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SiblingZygote(Zygote):
    """A zygote forked from the loader of another one and isolated from that; for a fork of its owner.

    Args:
        zygote: the other one.
        lock: held by the process that asks their loader.

    Raises:
        GraderFault: there is none to be had any more.
    """

    def __init__(self, zygote: Zygote, lock: contextlib.AbstractContextManager[Any]) -> None:
        self.options, self.level = zygote.options, zygote.level
        self._units, self._unit_pids = {}, {}
        self._loader_control = zygote._loader_control
        assert self._loader_control is not None
        try:
            with lock:
                ready = self._fork_from(self._loader_control)
        except transport.TransportError:
            raise GraderFault("the sandboxed process has ended") from None
        if not ready["ready"]:
            raise GraderFault(f"the sandboxed process could not be isolated: {ready['reason']}")

    def close(self) -> None:
        """Ends its own processes; the loader and its files are the other zygote's."""
        self._hang_up()
