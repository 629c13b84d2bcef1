"""Keeps workers at work: starts them, starts them again, and puts back what a dead one had taken.

One server at a time serves a class folder; it holds a lock on it. So when a server starts, whatever is marked as
running belongs to a worker that is no more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sqlalchemy import select

from course_lib.grading.outside.locks import try_lock
from course_lib.grading.outside.submission import BadSubmissions
from course_lib.serving import queue, roster
from course_lib.serving.classroom import Classroom
from course_lib.serving.database import DatabaseError, attempts

LOOK = 0.25  # seconds between two looks at the workers
LOOK_AT_FILES = 20.0
LONGEST = 30 * 60.0  # seconds that a worker may take over one attempt before it is ended
CANNOT_GRADE = 3  # the exit code of a worker on a machine that cannot grade
REST = 30.0  # seconds until a worker is started again that could not grade

_log = logging.getLogger("course.serve")


@contextlib.contextmanager
def only_server(folder: Path) -> Iterator[IO[str]]:
    """Holds a class folder against a second server.

    Raises:
        BadSubmissions: another one serves it.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "server.lock", "w") as file:
        if not try_lock(file):
            raise BadSubmissions(
                f"another `course serve` serves {folder.parent}. Stop it first, or give another --class."
            )
        yield file


class Worker:
    """A worker process, and the name that its claims begin with."""

    def __init__(self, room: Classroom) -> None:
        self.name = f"worker-{secrets.token_hex(6)}"
        told = {"place": room.place.as_json(), "name": self.name, "server": os.getpid()}
        command = [sys.executable, "-m", "course_lib.serving.worker", json.dumps(told)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)


class Keeper(threading.Thread):
    """Looks after the workers until it is stopped.

    Attributes:
        fault: why nothing is graded now; "" while all is well.
    """

    def __init__(self, room: Classroom, count: int) -> None:
        super().__init__(name="keeper")
        self.room, self.count, self.fault = room, count, ""
        self.workers: list[Worker] = []
        self._stop_asked = threading.Event()
        self._start_at = 0.0
        self._files_at = 0.0
        self._since: dict[str, float] = {}  # claims, and when they were first seen

    def run(self) -> None:
        """Until `stop` is called."""
        try:
            while not self._stop_asked.wait(LOOK):
                try:
                    self.look()
                except DatabaseError as fault:
                    self.fault = str(fault)
                    _log.error("%s", fault)
                    self._stop_asked.wait(5)
                except Exception:  # the keeper must not end: nothing would be graded any more
                    _log.exception("the keeper of the workers stumbled, and goes on")
                    self._stop_asked.wait(5)
        finally:
            self._end_all()

    def look(self) -> None:
        """One look: at the processes, at how long they take, and now and then at the files."""
        for worker in list(self.workers):
            code = worker.process.poll()
            if code is not None:
                self.workers.remove(worker)
                back = queue.put_back(self.room.database, worker.name)
                if code == CANNOT_GRADE:
                    self.fault = "The workers cannot grade on this machine; what they say is in the server's terminal."
                    self._start_at = time.monotonic() + REST
                else:
                    _log.warning("a worker ended (%s); put back: %s", code, back)
        if time.monotonic() >= self._start_at:
            self.workers += [Worker(self.room) for _ in range(self.count - len(self.workers))]
            if time.monotonic() >= self._start_at + REST:
                self.fault = ""
        if time.monotonic() >= self._files_at:
            self._files_at = time.monotonic() + LOOK_AT_FILES
            self._look_at_files()
        self.room.clock.now()

    def _look_at_files(self) -> None:
        lost = roster.enter_lost_attempts(self.room)
        if lost:
            _log.warning("attempts that lay in class/attempts and were not in the data base, entered now: %s", lost)
        with self.room.database.reading() as connection:
            running = select(attempts.c.claim).where(attempts.c.state == queue.State.RUNNING)
            claims = {str(row.claim) for row in connection.execute(running)}
        self._since = {claim: self._since.get(claim, time.monotonic()) for claim in claims}
        for claim, since in self._since.items():
            if time.monotonic() - since > LONGEST:
                for worker in self.workers:
                    if claim.startswith(f"{worker.name}/"):
                        _log.error("a worker is ended: it took more than %d minutes", LONGEST / 60)
                        worker.process.kill()

    def stop(self) -> None:
        """Ends the workers; what they had taken waits for the next start."""
        self._stop_asked.set()
        self.join()

    def _end_all(self) -> None:
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            try:
                worker.process.wait(10)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        with contextlib.suppress(DatabaseError):
            queue.put_back(self.room.database, None)
