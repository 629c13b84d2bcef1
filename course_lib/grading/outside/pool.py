"""Grades many submissions: workers that each hold a zygote, resumption, and a second, quiet try before a timeout.

The workers judge; only this process writes. A worker that dies takes its submission's turn with it and nothing else:
the submission is graded again, alone, before it counts as failed.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.grading.outside import results, workers
from course_lib.grading.outside.cluster import Cluster
from course_lib.grading.outside.options import GraderFault, Options
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.submission import Submission, unpacked
from course_lib.grading.outside.workers import ReleasedBy, Task, Worker
from course_lib.grading.outside.zygotes import SiblingZygote, Zygote


@dataclass
class Report:
    """What a run of the grader did.

    Attributes:
        results: in order of units, notebooks and students.
        kept: how many of them were there already.
        failed: why a submission could not be graded, by "student/unit/notebook".
        isolation: the level obtained.
        lines: what the gradebook's writer has to say.
        not_read: a sentence for each file or folder in which a student's work may be and that was not read.
        not_recorded: students whose grades the gradebook cannot take.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    isolation: str = ""
    lines: list[str] = field(default_factory=list)
    not_read: Sequence[str] = ()
    not_recorded: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """Which submissions of a class are graded, by whom, and where to. No result depends on it.

    Attributes:
        out: the folder of results.
        workers: processes.
        fresh: also grade again what is graded already.
        shard: (k, n) takes the k-th of n parts, so that n machines with a shared folder grade a class together.
        scheduler: the address of a Dask scheduler, whose workers then grade instead of processes here.
    """

    out: Path
    workers: int = 1
    fresh: bool = False
    shard: tuple[int, int] | None = None
    scheduler: str | None = None


def grade_all(
    submissions: Sequence[Submission],
    released: ReleasedBy,
    options: Options,
    plan: Plan,
    *,
    progress: Callable[[dict[str, Any]], None] = lambda result: None,
) -> Report:
    """Grades what is not graded yet and writes each result as soon as it is known.

    Args:
        released: the released notebook of each (unit, notebook).
        progress: called with each result.

    Raises:
        ClusterError: the cluster cannot be used, or went away; results written before are kept.
        IsolationError, GraderFault: nothing can be graded here.
        ResultsError: a result cannot be written; those written before are kept.
    """
    run = _Run(released, options, plan, progress)
    tasks = run.tasks_of(submissions)
    with results.only_grader(plan.out, plan.shard), contextlib.ExitStack() as stack:
        if plan.scheduler is not None and tasks:
            run.cluster = stack.enter_context(contextlib.closing(Cluster(plan.scheduler)))
        again = run.grade(tasks, plan.workers)
        # Alone, on a machine that does nothing else for us: who is out of time now is out of time.
        failed = run.grade(again, 1, last=True)
    assert not failed
    run.report.results.sort(key=lambda r: (r["unit"], r["notebook"], r["student"]))
    return run.report


def keys_of(submissions: Sequence[Submission], released: ReleasedBy, options: Options) -> list[str]:
    """The key of each submission's result: a hash of everything that the result is computed from."""
    shared = {
        "schema": results.SCHEMA,
        **workers.code_and_packages(options),
        "secret": results.key_of(secret=options.secret.hex()),
        "profile": options.profile,
        "limits": dataclasses.asdict(options.limits),
        "isolation": options.isolation,
    }
    return [
        results.key_of(
            **shared,
            student=one.student,
            release=released[one.unit, one.notebook].digest,
            notebook=one.notebook,
            data=hashlib.sha256(unpacked(one.data)).hexdigest(),
            problem=one.problem,
            notes=one.notes,
        )
        for one in submissions
    ]


class _Run:
    """One run of the grader: what it grades with, and the report that grows."""

    def __init__(
        self, released: ReleasedBy, options: Options, plan: Plan, progress: Callable[[dict[str, Any]], None]
    ) -> None:
        self.released, self.options, self.plan, self.progress = released, options, plan, progress
        self.report = Report()
        self.cluster: Cluster | None = None

    def tasks_of(self, submissions: Sequence[Submission]) -> list[Task]:
        """What is to be graded; results that are still good go to the report."""
        tasks: list[Task] = []
        for one, key in zip(submissions, keys_of(submissions, self.released, self.options), strict=True):
            if not results.in_shard(one.name, self.plan.shard):
                continue
            old = None
            if not self.plan.fresh:
                names = {"unit": one.unit, "notebook": one.notebook, "student": one.student}
                old = results.still_good(self.plan.out, **names, key=key)
            if old is not None:
                self.report.results.append(old)
                self.report.kept += 1
                self.progress(old)
            else:
                tasks.append((one, key))
        return tasks

    def grade(self, tasks: Sequence[Task], count: int, *, last: bool = False) -> list[Task]:
        """Grades tasks with so many workers; returns those that deserve another try, which is none at the last."""
        again: list[Task] = []
        with contextlib.closing(self._outcomes(tasks, min(count, len(tasks)), last)) as outcomes:
            for task, result, fault in outcomes:
                if fault is not None and not isinstance(fault, (GraderFault, BrokenProcessPool)):
                    raise fault
                if not last and (result is None or out_of_time(result)):
                    again.append(task)
                elif result is None:
                    self.report.failed[task[0].name] = str(fault)
                else:
                    self._write(result)
        return again

    def _outcomes(self, tasks: Sequence[Task], count: int, last: bool) -> Generator[workers.Outcome, None, None]:
        if self.cluster is not None:
            shared = (self.options, self.released, workers.code_and_packages(self.options))
            yield from self.cluster.run(workers.on_cluster, tasks, shared, one_by_one=last)
        elif count <= 1:
            with contextlib.closing(Worker(self.options, self.released)) as worker:
                for task in tasks:
                    yield worker.outcome(task)
        else:
            yield from self._outcomes_of_processes(tasks, count)

    def _outcomes_of_processes(self, tasks: Sequence[Task], count: int) -> Iterator[workers.Outcome]:
        with _started(count, self.options, self.released) as pool:
            waiting = {pool.submit(workers.in_worker, task): task for task in _apart(tasks, count)}
            try:
                for future in concurrent.futures.as_completed(waiting):
                    fault = future.exception()
                    yield waiting[future], None if fault else future.result(), fault
            except BaseException:  # GeneratorExit too, when a result could not be written
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _write(self, result: dict[str, Any]) -> None:
        self.report.isolation = result["isolation"]
        results.write(self.plan.out, result)
        self.report.results.append(result)
        self.progress(result)


def _apart(tasks: Sequence[Task], count: int) -> list[Task]:
    """Tasks in an order in which each of `count` workers, taking the next one, tends to stay with its own units.

    Then setup cells, references and known mistakes of a unit run in one worker: `course demo` takes 62 CPU s, not 103.
    """
    size = -(-len(tasks) // count)  # rounded up
    parts = [tasks[first : first + size] for first in range(0, len(tasks), size)]
    return [task for together in itertools.zip_longest(*parts) for task in together if task is not None]


def out_of_time(result: Mapping[str, Any]) -> bool:
    """Whether anything was stopped for want of time; a busy machine may have had its part in it."""
    stopped = any(cell["error"] and cell["error"]["type"] == Verdict.TIMEOUT for cell in result["cells"].values())
    return stopped or any(exercise["verdict"] == Verdict.TIMEOUT for exercise in result["exercises"])


# --- worker processes -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _started(count: int, options: Options, released: ReleasedBy) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Workers. What loads once for all of them is loaded here, where this process may be forked."""
    executor = functools.partial(concurrent.futures.ProcessPoolExecutor, count, initializer=workers.start_worker)
    if not _has_one_thread():
        with executor(mp_context=multiprocessing.get_context("spawn"), initargs=(options, released)) as pool:
            yield pool
        return
    context = multiprocessing.get_context("fork")
    with Zygote(options) as zygote:
        make_first = functools.partial(SiblingZygote, zygote, context.Lock())
        with executor(mp_context=context, initargs=(options, released, make_first)) as pool:
            yield pool


def _has_one_thread() -> bool:
    """Whether a fork of this process is whole: a thread of it, of torch's too, would be missing from the fork."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
