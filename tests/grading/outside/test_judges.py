"""A judge that never ends, takes all memory or dies costs its exercise alone, and an instructor is told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import class_notebooks as notebooks
import pytest
import torch
from class_notebooks import UNIT, answered

from course_lib.grading.outside import grade, hidden_cases, judges, pool
from course_lib.grading.outside.command import not_judged
from course_lib.grading.outside.judges import Judges
from course_lib.grading.outside.submission import Submission


def never_ends() -> None:
    while True:
        pass


FAULTS = {
    "computes": (never_ends, "stopped after 3 seconds of computing"),
    "waits": (lambda: time.sleep(1000), "stopped after 15 seconds"),
    "dies": (lambda: os.kill(os.getpid(), signal.SIGSEGV), "ended by itself (signal 11)"),
    "leaves": (lambda: os._exit(0), "ended by itself (signal 0)"),
    "takes 4 GB by torch": (lambda: torch.ones(1 << 30), "memory"),
    "takes 4 GB by Python": (lambda: bytearray(4 << 30), "MemoryError"),
}


@pytest.fixture
def faulty(monkeypatch, request):
    """The judge of `double` does what the test names; the limits of judges are short."""
    fault, said = FAULTS[request.param]
    real = hidden_cases.judge_observations

    def broken(exercise, judge, observed, **options):
        if exercise.name == "double":
            fault()
        return real(exercise, judge, observed, **options)

    monkeypatch.setattr(hidden_cases, "judge_observations", broken)
    monkeypatch.setattr(judges, "SECONDS", 3)
    monkeypatch.setattr(judges, "WALL_SECONDS", 15 if request.param == "waits" else 200)
    return said


@pytest.mark.parametrize("faulty", FAULTS, indirect=True)
def test_only_its_exercise_is_lost_and_that_is_said(graded, faulty: str) -> None:
    result = graded(answered())
    double, scale = result["exercises"]
    assert double["judge_failed"] and double["verdict"] == "error" and double["score"] == 0
    text = double["message"]["fields"]["text"]
    assert text.startswith("could not be judged: ") and faulty in text
    assert (scale["verdict"], scale["score"]) == ("right", scale["points"]), scale
    assert not_judged([result]) == [f"ada/{UNIT}: double {text}"]


@pytest.mark.parametrize("faulty", ["computes"], indirect=True)
def test_the_class_goes_on(options, release, tmp_path, faulty: str) -> None:
    ones = [Submission(name, UNIT, UNIT, notebooks.as_bytes(answered())) for name in ("ada", "bob")]
    # One worker is this process, where the judge is broken. Under xdist, whose processes have threads, others are
    # not forked from it.
    report = pool.grade_all(ones, {(UNIT, UNIT): release}, options, pool.Plan(tmp_path, workers=1))
    assert not report.failed
    for result in report.results:
        assert [e["verdict"] for e in result["exercises"]] == ["error", "right"]


def test_the_same_bytes_are_judged_once(zygote, release, monkeypatch) -> None:
    asked = []

    def counted(self, exercise, frames, earlier):
        asked.append(exercise.name)
        return real(self, exercise, frames, earlier)

    real = Judges._asked
    monkeypatch.setattr(Judges, "_asked", counted)
    one = Submission("ada", UNIT, UNIT, notebooks.as_bytes(answered()))
    process = Judges(zygote.options)
    try:
        first = grade.grade_submission(zygote, release, one, key="k", judges=process)
        assert grade.grade_submission(zygote, release, one, key="k", judges=process) == first
    finally:
        process.close()
    assert asked == ["double", "scale"] and first["score"] == first["points"], (asked, first)


def test_a_judge_keeps_none_of_its_workers_channels(zygote, release) -> None:
    """A sandboxed process ends when the last holder of its channel hangs up."""
    process = Judges(zygote.options)
    try:
        one = Submission("ada", UNIT, UNIT, notebooks.as_bytes(answered()))
        grade.grade_submission(zygote, release, one, key="k", judges=process)
        folder = Path(f"/proc/{process._pid}/fd")
        held = {os.readlink(file) for file in folder.iterdir() if int(file.name) > 2}
        assert len([name for name in held if name.startswith("socket")]) == len(held) == 1
    finally:
        process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process._pid, 0)
