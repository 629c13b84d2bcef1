"""A process that grades what waits, one attempt after another, in the sandbox of `course grade`.

    python -m course_lib.serving.worker '{"place": {...}, "name": "w1", "server": PID}'

The keeper starts it. It ends with the server, and what it had taken then is graded again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from typing import Any

from course_lib.grading.outside import pages, pool, results, workers
from course_lib.grading.outside.cluster import Cluster, ClusterError
from course_lib.grading.outside.gradebook_access import GradebookError
from course_lib.grading.outside.isolation import IsolationError
from course_lib.grading.outside.options import GraderFault, use_exercise_folders
from course_lib.grading.outside.pages import GradedNotebook
from course_lib.grading.outside.submission import Released
from course_lib.serving import handing_in, queue, recording
from course_lib.serving.classroom import Classroom, Place
from course_lib.serving.database import DatabaseError
from course_lib.serving.feedback_page import blocks
from course_lib.serving.keeper import CANNOT_GRADE

IDLE = 0.3  # seconds between two questions whether something waits
RECORD_EVERY = 60.0  # seconds, where something always waits
AFTER_A_FAULT = 15.0
UNITS_LOADED = 2  # before anyone hands in
AT_ONCE = 32  # attempts that a cluster is given

_log = logging.getLogger("course.serve")


class ServingWorker:
    """Grades for a server until that ends.

    Args:
        name: what its claims begin with.
        server: the process that started it.
    """

    def __init__(self, place: Place, name: str, server: int) -> None:
        use_exercise_folders(place.exercise_folders)
        self.room, self.name, self.server = Classroom(place), name, server
        self.options = self.room.options()
        self._worker = workers.Worker(self.options, self.room.released)
        self._record_at = time.monotonic() + RECORD_EVERY
        self._cold = [] if place.scheduler else self._in_use()

    def _in_use(self) -> list[Released]:
        """The notebooks to load before the first one comes: of the units that are open and due next."""
        calendar, now = self.room.calendar(), self.room.clock.now()
        dated = [
            (each.due, unit) for unit, each in calendar.items() if each.due and each.is_open(now) and each.due > now
        ]
        units = [unit for _, unit in sorted(dated) if unit in self.room.by_unit][:UNITS_LOADED]
        return [each for unit in units[::-1] for each in self.room.by_unit[unit]]

    def run(self) -> None:
        """Grades until the server ends.

        Raises:
            IsolationError, ClusterError: nothing can be graded here.
        """
        with contextlib.closing(self._worker):
            while os.getppid() == self.server:
                try:
                    busy = self.step()
                except DatabaseError as fault:
                    _log.error("%s", fault)
                    time.sleep(1)
                    continue
                if not busy:
                    time.sleep(IDLE)

    def step(self) -> bool:
        """Grades what waits next, or records what is graded; whether there was anything to grade."""
        taken = self._take()
        if taken:
            self._grade(taken)
        if not taken or time.monotonic() > self._record_at:
            self._record()
        if not taken and self._cold:
            with contextlib.suppress(GraderFault):  # it will be said of an attempt, if it lasts
                self._worker.warm_up(self._cold.pop())
            return True
        return bool(taken)

    def _take(self) -> list[queue.Claim]:
        most = AT_ONCE if self.room.place.scheduler else 1
        taken: list[queue.Claim] = []
        while len(taken) < most:
            claim = queue.claim(self.room.database, self.name)
            if claim is None:
                break
            taken.append(claim)
        return taken

    def _grade(self, taken: list[queue.Claim]) -> None:
        """Grades and records each as soon as it is known; one that was out of time has a second try."""
        again: list[queue.Claim] = []
        for claim, result, _ in self._outcomes(taken, last=False):
            if result is None or pool.out_of_time(result):
                again.append(claim)
            else:
                self._finish(claim, result)
        for claim, result, fault in self._outcomes(again, last=True):
            if result is None:
                _log.error("%s could not be graded: %s", claim.student, fault)
                queue.fail(self.room.database, claim, f"The grader could not grade it ({fault}).")
            else:
                self._finish(claim, result)

    def _outcomes(self, taken: list[queue.Claim], *, last: bool) -> Any:
        found = [recording.submission_of(self.room, each.student, each.which, each.number) for each in taken]
        tasks = list(zip(found, pool.keys_of(found, self.room.released, self.options), strict=True)) if found else []
        if not self.room.place.scheduler:
            for claim, task in zip(taken, tasks):
                yield claim, *self._worker.outcome(task)[1:]
        elif tasks:
            claims = {id(task): claim for task, claim in zip(tasks, taken)}
            shared = (self.options, self.room.released, workers.code_and_packages(self.options))
            with contextlib.closing(Cluster(self.room.place.scheduler)) as cluster:
                for task, result, fault in cluster.run(workers.on_cluster, tasks, shared, one_by_one=last):
                    if isinstance(fault, ClusterError):
                        raise fault
                    yield claims[id(task)], result, fault

    def _finish(self, claim: queue.Claim, result: dict[str, Any]) -> None:
        released = pages.read_released(self.room.place.release, claim.which.unit, claim.which.notebook)
        data = recording.submission_of(self.room, claim.student, claim.which, claim.number).data
        texts = (results.text_of(result), json.dumps(blocks(GradedNotebook(result, data or None), released)))
        handing_in.put_out(self.room, claim.student, claim.which)
        while True:
            try:
                if not queue.finish(self.room.database, claim, result, texts):
                    _log.warning("a result of %s is not recorded: another worker has it", claim.student)
                return
            except DatabaseError as fault:  # nothing that was graded is thrown away for a lock
                if os.getppid() != self.server:
                    raise
                _log.error("%s", fault)
                time.sleep(1)

    def _record(self) -> None:
        self._record_at = time.monotonic() + RECORD_EVERY
        try:
            recording.record(self.room)
        except (GradebookError, results.ResultsError, OSError) as fault:
            _log.error("%s", fault)
            time.sleep(AFTER_A_FAULT if self._may_wait() else 0)

    def _may_wait(self) -> bool:
        with self.room.database.reading() as connection:
            return not queue.counts(connection)[queue.State.QUEUED]


def main(told: str) -> int:
    """Runs a worker; its exit code."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    about = json.loads(told)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with contextlib.suppress(OSError, AttributeError, ImportError):  # and when it was killed, we end with it
        from course_lib.grading.inside import system_calls

        system_calls.prctl(system_calls.PR_SET_PDEATHSIG, signal.SIGKILL)
    import torch

    torch.set_num_threads(1)
    try:
        ServingWorker(Place.from_json(about["place"]), about["name"], about["server"]).run()
    except (IsolationError, ClusterError, GraderFault, results.ResultsError, DatabaseError) as fault:
        _log.error("grading stopped: %s", fault)
        return CANNOT_GRADE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
