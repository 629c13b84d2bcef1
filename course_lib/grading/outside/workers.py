"""One worker: a process that grades submissions one after another, with a zygote that is started when first needed."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing.util
import os
import threading
from collections.abc import Callable
from typing import Any

from course_lib.grading.outside import grade, results
from course_lib.grading.outside.cluster import ClusterError
from course_lib.grading.outside.judges import Judges
from course_lib.grading.outside.options import GraderFault, Options, use_exercise_folders
from course_lib.grading.outside.submission import Released, Submission
from course_lib.grading.outside.zygotes import Zygote

SUBMISSIONS_PER_ZYGOTE = 200

Task = tuple[Submission, str]  # and the key of its result
ReleasedBy = dict[tuple[str, str], Released]  # by (unit, notebook)
Outcome = tuple[Task, dict[str, Any] | None, BaseException | None]  # with a result, or with what was raised


class Worker:
    """Grades with a zygote that is replaced now and then, or when it breaks.

    Args:
        make_first: makes the first zygote; the later ones are started anew.
    """

    def __init__(self, options: Options, released: ReleasedBy, make_first: Callable[[], Zygote] | None = None) -> None:
        self.options, self.released = options, released
        self._zygote: Zygote | None = None
        self._judges = Judges(options)
        self._make = make_first or functools.partial(Zygote, options)
        self._graded = 0
        use_exercise_folders(options.exercise_folders)

    def grade(self, task: Task) -> dict[str, Any]:
        """The result of a task.

        Raises:
            GraderFault, IsolationError: it cannot be graded.
        """
        one, key = task
        self._graded += 1
        try:
            if self._zygote is None:
                self._zygote = self._make()
            released = self.released[one.unit, one.notebook]
            result = grade.grade_submission(self._zygote, released, one, key=key, judges=self._judges)
        except BaseException:
            self.close()
            self._make = functools.partial(Zygote, self.options)  # what it was forked from may be broken as well
            raise
        if self._graded % SUBMISSIONS_PER_ZYGOTE == 0:
            self._close_zygote()
        return result

    def warm_up(self, released: Released) -> None:
        """Grades a notebook as it was released, so that a first submission need not wait for what is loaded once.

        Raises:
            GraderFault, IsolationError: nothing can be graded.
        """
        blank = Submission("", released.unit, released.notebook, b'{"nbformat": 4, "nbformat_minor": 5, "cells": []}')
        self.grade((blank, ""))

    def outcome(self, task: Task) -> Outcome:
        """The task with its result, or with what of the grader's own does not work."""
        try:
            return task, self.grade(task), None
        except GraderFault as fault:
            return task, None, fault

    def close(self) -> None:
        """Ends the zygote and the judge."""
        self._judges.close()
        self._close_zygote()

    def _close_zygote(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None


def code_and_packages(options: Options) -> dict[str, Any]:
    """What a result owes to the machine that it is computed on."""
    return {"code": results.hash_of_code(options.packages()), "environment": grade.environment()}


# --- the one worker of a process --------------------------------------------------------------------------------------

_worker: Worker | None = None


def start_worker(options: Options, released: ReleasedBy, make_first: Callable[[], Zygote] | None = None) -> None:
    """Makes this process, which was started for that, a worker."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was interrupted ends us
    with contextlib.suppress(OSError, AttributeError, ImportError):  # and when it was killed, we end with it
        from course_lib.grading.inside import system_calls

        system_calls.prctl(system_calls.PR_SET_PDEATHSIG, signal.SIGKILL)
    _new_worker(options, released, make_first)


def in_worker(task: Task) -> dict[str, Any]:
    """Grades a task in this process, which is a worker."""
    assert _worker is not None
    return _worker.grade(task)


def _new_worker(options: Options, released: ReleasedBy, make_first: Callable[[], Zygote] | None = None) -> None:
    global _worker
    import torch

    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _worker = Worker(options, released, make_first)
    multiprocessing.util.Finalize(_worker, _worker.close, exitpriority=1)  # a fork does not come by atexit


_one_at_a_time = threading.Lock()  # a Dask worker may have several threads; a zygote and the judges serve one


def on_cluster(task: Task, shared: tuple[Options, ReleasedBy, dict[str, Any]]) -> dict[str, Any]:
    """`in_worker` in a process that was not started by us.

    Raises:
        ClusterError: the code or the packages of this machine are not those of the machine that asks.
    """
    options, released, theirs = shared
    with _one_at_a_time:
        if _worker is None or (_worker.options, _worker.released) != (options, released):
            ours = code_and_packages(options)
            differ = [part for part in theirs if theirs[part] != ours[part]]
            if differ:
                raise ClusterError(
                    f"a Dask worker's {' and '.join(differ)} is not that of this machine, so its results would not be "
                    "the same. Install the same course, Python, torch and numpy on all machines."
                )
            if _worker is not None:
                _worker.close()
            _new_worker(options, released)
        return in_worker(task)
