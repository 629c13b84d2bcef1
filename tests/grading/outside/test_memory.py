"""Memory of a submission: each process is limited by the kernel, all of them together by a watch from outside."""

from __future__ import annotations

import builtins
import time

import pytest
from class_notebooks import answered

from course_lib.grading.outside import command, memory, pool

FORKS = """
import os, time
def hog(count, megabytes):
    for _ in range(count):
        if os.fork() == 0:
            held = bytearray(megabytes << 20)
            time.sleep(30)
            os._exit(0)
"""
# each far below the 300 MB that the tests allow
IN_AN_ANSWER = FORKS + "def double(x):\n    hog(4, 150)\n    time.sleep(20)\n    return 2 * x\n"
DETACHED = (
    FORKS + "def double(x):\n    if os.fork() == 0:\n        os.setsid()\n        hog(4, 150)\n        os._exit(0)\n"
    "    time.sleep(20)\n    return 2 * x\n"
)
INHERITED = """
import os, time
held = bytearray(200 << 20)
def double(x):
    if not seen:
        seen.append(1)
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(0.5)
                os._exit(0)
        time.sleep(0.5)
    return 2 * x
seen = []
"""


@pytest.fixture(autouse=True)
def _needs_proc():
    if memory.why_not():
        pytest.skip(f"memory cannot be watched here: {memory.why_not()}")


@pytest.mark.parametrize("answer", [IN_AN_ANSWER, DETACHED], ids=["in an answer", "detached"])
def test_many_processes_that_each_stay_below_the_limit(graded, answer: str) -> None:
    began = time.monotonic()
    double, scale = graded(answered(answer))["exercises"]
    assert (double["verdict"], double["score"]) == ("memory", 0)
    assert double["message"] == {"id": "grading.memory", "fields": {"megabytes": 300}}
    assert (scale["verdict"], scale["score"]) == ("right", 2)
    assert time.monotonic() - began < 15, "ended by something else"


def test_in_a_cell_of_its_own_it_costs_that_cell_alone(graded) -> None:
    result = graded(answered(extra=FORKS + "hog(4, 150)\ntime.sleep(20)"))
    assert (result["verdict"], result["score"]) == ("right", 5)
    assert result["cells"]["3f2a1b"]["error"]["type"] == "memory"


def test_memory_that_forks_share_counts_once(graded) -> None:
    """Five processes show 200 MB each, and use them together."""
    result = graded(answered(INHERITED))
    assert (result["verdict"], result["score"]) == ("right", 5)
    assert "unwatched" not in result


def test_where_it_cannot_be_watched_the_result_says_so(graded, monkeypatch) -> None:
    def refused(path, *arguments, **options):
        if str(path).startswith("/proc/") and str(path).endswith("/children"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **options)

    opened = builtins.open
    monkeypatch.setattr(memory, "open", refused, raising=False)
    result = graded(answered("import time\ndef double(x):\n    time.sleep(0.1)\n    return 2 * x\n"))
    assert result["score"] == 5
    assert result["unwatched"].startswith("memory of all processes together: /proc/")
    monkeypatch.setattr(memory, "why_not", lambda: "there is no /proc/self/statm")
    result = graded(answered())
    assert result["unwatched"] == "memory of all processes together: there is no /proc/self/statm"
    assert "not watched: memory of all processes together" in command.summary(pool.Report([result]))
