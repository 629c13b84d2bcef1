"""Grades many submissions: workers that each hold a zygote, resumption, and a second, quiet try before a timeout.

The workers judge; only this process writes. A worker that dies takes its submission's turn with it and nothing else:
the submission is graded again, alone, before anything is said about it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
import multiprocessing.util
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.grading.inside import sandbox
from course_lib.grading.inside.sandbox import IsolationError
from course_lib.grading.outside import grade, results
from course_lib.grading.outside.cluster import Cluster, ClusterError
from course_lib.grading.outside.grade import GraderFault, Options, Twin, Zygote, grade_submission
from course_lib.grading.outside.submission import Released, Submission

LEARNT_BEFORE = 20  # submissions from which on the judges' own functions run before the workers start
ZYGOTES_PER_WORKER = 200  # submissions after which a worker's zygote is replaced


@dataclass
class Report:
    """What a run of the grader did: results in order, how many were there already, and what could not be graded."""

    results: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    isolation: str = ""
    lines: list[str] = field(default_factory=list)  # what the gradebook's writer has to say


def keys_of(
    submissions: Sequence[Submission], released: dict[tuple[str, str], Released], options: Options
) -> list[str]:
    """The key of each submission's result: a hash of everything that the result is computed from."""
    shared = {
        "schema": results.SCHEMA,
        **_here(options),
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
            data=results.hashlib.sha256(one.data).hexdigest(),
            problem=one.problem,
            notes=one.notes,
        )
        for one in submissions
    ]


def _here(options: Options) -> dict[str, Any]:
    """What a result owes to the machine that it is computed on."""
    return {"code": results.hash_of_code(options.packages()), "environment": grade.environment()}


def grade_all(
    submissions: Sequence[Submission],
    released: dict[tuple[str, str], Released],
    options: Options,
    *,
    out: Path,
    workers: int = 1,
    fresh: bool = False,
    shard: tuple[int, int] | None = None,
    scheduler: str | None = None,
    progress: Callable[[dict[str, Any]], None] = lambda result: None,
) -> Report:
    """Grades what is not graded yet and writes each result as soon as it is known.

    Args:
        released: the released notebook of each (unit, notebook).
        out: the folder of results.
        workers: processes; the results do not depend on how many.
        fresh: also grade again what is graded already.
        shard: (k, n) takes the k-th of n parts, so that n machines with a shared folder grade a class together.
        scheduler: the address of a Dask scheduler, whose workers then grade instead of processes here.
        progress: called with each result.

    Raises:
        ClusterError: the cluster cannot be used, or went away; results written before are kept.
        IsolationError, GraderFault: nothing can be graded here.
        ResultsError: a result cannot be written; those written before are kept.
    """
    report = Report()
    tasks: list[tuple[Submission, str]] = []
    for one, key in zip(submissions, keys_of(submissions, released, options), strict=True):
        if not results.in_shard(f"{one.student}/{one.unit}/{one.notebook}", shard):
            continue
        old = None
        if not fresh:
            old = results.still_good(out, unit=one.unit, notebook=one.notebook, student=one.student, key=key)
        if old is not None:
            report.results.append(old)
            report.kept += 1
            progress(old)
        else:
            tasks.append((one, key))

    def done(result: dict[str, Any]) -> None:
        report.isolation = result["isolation"]
        results.write(out, result)
        report.results.append(result)
        progress(result)

    with results.only_grader(out, shard), contextlib.ExitStack() as stack:
        cluster = None
        if scheduler is not None and tasks:
            cluster = stack.enter_context(contextlib.closing(Cluster(scheduler)))
        again = _grade(tasks, released, options, min(workers, len(tasks)), done, report, cluster)
        # Alone, on a machine that does nothing else for us: who is out of time now is out of time.
        failed = _grade(again, released, options, min(1, len(again)), done, report, cluster, last=True)
    assert not failed
    report.results.sort(key=lambda r: (r["unit"], r["notebook"], r["student"]))
    return report


_Task = tuple[Submission, str]


def _grade(
    tasks: Sequence[_Task],
    released: dict[tuple[str, str], Released],
    options: Options,
    workers: int,
    done: Callable[[dict[str, Any]], None],
    report: Report,
    cluster: Cluster | None = None,
    *,
    last: bool = False,
) -> list[_Task]:
    """Grades tasks and gives those that deserve another try."""
    again: list[_Task] = []

    def settle(task: _Task, result: dict[str, Any] | None, fault: BaseException | None) -> None:
        one = task[0]
        if fault is not None and not isinstance(fault, (GraderFault, BrokenProcessPool)):
            raise fault
        if not last and (fault is not None or _out_of_time(result or {})):
            again.append(task)
        elif fault is not None:
            report.failed[f"{one.student}/{one.unit}/{one.notebook}"] = str(fault)
        else:
            assert result is not None
            done(result)

    if cluster is not None:
        shared = (options, released, _here(options))
        for task, result, fault in cluster.run(_on_cluster, tasks, shared, one_by_one=last):
            settle(task, result, fault)
        return again
    if workers <= 1:
        worker = _Worker(options, released)
        try:
            for task in tasks:
                try:
                    result = worker.grade(task)
                except GraderFault as caught:
                    settle(task, None, caught)
                else:
                    settle(task, result, None)
        finally:
            worker.close()
        return again
    with _started(workers, tasks, options, released) as pool:
        waiting = {pool.submit(_in_worker, task): task for task in tasks}
        try:
            for future in concurrent.futures.as_completed(waiting):
                fault = future.exception()
                settle(waiting[future], None if fault else future.result(), fault)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return again


@contextlib.contextmanager
def _started(
    workers: int, tasks: Sequence[_Task], options: Options, released: dict[tuple[str, str], Released]
) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Workers. What loads once for all of them is loaded here, where this process may be forked."""
    executor = functools.partial(concurrent.futures.ProcessPoolExecutor, workers, initializer=_start_worker)
    if not _has_one_thread():
        with executor(mp_context=multiprocessing.get_context("spawn"), initargs=(options, released)) as pool:
            yield pool
        return
    context = multiprocessing.get_context("fork")
    notebooks = [released[which] for which in sorted({(one.unit, one.notebook) for one, _ in tasks})]
    learn = functools.partial(_learn, notebooks if len(tasks) >= LEARNT_BEFORE else [], options)
    with Zygote(options, meanwhile=learn) as zygote:
        make_first = functools.partial(Twin, zygote, context.Lock())
        with executor(mp_context=context, initargs=(options, released, make_first)) as pool:
            yield pool


def _has_one_thread() -> bool:
    """Whether a fork of this process is whole: a thread of it, of torch's too, would be missing from the fork."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _learn(notebooks: Sequence[Released], options: Options) -> None:
    """Runs what judges compare with, with one thread: those of a pool would stay."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for notebook in notebooks:
        for name in notebook.answers:
            with contextlib.suppress(Exception):  # a judge that fails is reported with a submission
                grade.bench(name, options.secret).learn()
    torch.set_num_threads(threads)


def _out_of_time(result: dict[str, Any]) -> bool:
    """Whether anything was stopped for want of time; a busy machine may have had its part in it."""
    stopped = any(cell["error"] and cell["error"]["type"] == "timeout" for cell in result["cells"].values())
    return stopped or any(exercise["verdict"] == "timeout" for exercise in result["exercises"])


class _Worker:
    """A zygote that is started when first needed and replaced now and then, or when it breaks."""

    def __init__(
        self,
        options: Options,
        released: dict[tuple[str, str], Released],
        make: Callable[[], Zygote] | None = None,
    ) -> None:
        self.options, self.released = options, released
        self._zygote: Zygote | None = None
        self._make = make or functools.partial(Zygote, options)
        self._graded = 0
        grade.use_exercise_folders(options.exercise_folders)

    def grade(self, task: _Task) -> dict[str, Any]:
        one, key = task
        self._graded += 1
        try:
            if self._zygote is None:
                self._zygote = self._make()
            result = grade_submission(self._zygote, self.released[one.unit, one.notebook], one, key=key)
        except BaseException:
            self.close()
            self._make = functools.partial(Zygote, self.options)  # what it was forked from may be broken as well
            raise
        if self._graded % ZYGOTES_PER_WORKER == 0:
            self.close()
        return result

    def close(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None


_worker: _Worker | None = None


def _start_worker(
    options: Options,
    released: dict[tuple[str, str], Released],
    make: Callable[[], Zygote] | None = None,
) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was interrupted ends us
    with contextlib.suppress(OSError, AttributeError):
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)  # and when it was killed, nothing of ours lives on
    _new_worker(options, released, make)


def _new_worker(
    options: Options,
    released: dict[tuple[str, str], Released],
    make: Callable[[], Zygote] | None = None,
) -> None:
    global _worker
    import torch

    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _worker = _Worker(options, released, make)
    multiprocessing.util.Finalize(_worker, _worker.close, exitpriority=1)  # a fork does not come by atexit


def _in_worker(task: _Task) -> dict[str, Any]:
    assert _worker is not None
    return _worker.grade(task)


_one_at_a_time = threading.Lock()  # a Dask worker may have several threads; a zygote and the judges serve one


def _on_cluster(task: _Task, shared: tuple[Options, dict[tuple[str, str], Released], dict[str, Any]]) -> dict[str, Any]:
    """`_in_worker` in a process that was not started by us."""
    options, released, there = shared
    with _one_at_a_time:
        if _worker is None or (_worker.options, _worker.released) != (options, released):
            here = _here(options)
            differ = [part for part in there if there[part] != here[part]]
            if differ:
                raise ClusterError(
                    f"a Dask worker's {' and '.join(differ)} is not that of this machine, so its results would not be "
                    "the same. Install the same course, Python, torch and numpy on all machines."
                )
            if _worker is not None:
                _worker.close()
            _new_worker(options, released)
        return _in_worker(task)


__all__ = ["ClusterError", "GraderFault", "IsolationError", "Report", "grade_all", "keys_of"]
