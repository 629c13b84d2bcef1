"""What a submission's processes report is data: whatever it is, it ends in a verdict and never stops the grader."""

from __future__ import annotations

import json

import pytest
from class_notebooks import RIGHT_DOUBLE, answered

# Sends a report over the channel of the submission, as its own code would, from the cell or whenever it is next free.
FORGES = """
import json, os, socket, stat, threading, time
from course_lib.grading.inside import transport
def forge(report):
    for number in range(3, 100):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                transport.send(socket.socket(fileno=os.dup(number)), report)
        except OSError:
            pass
"""
REPORTS = [
    [],
    "text",
    {},
    {"running": []},
    {"running": {"a": 1}},
    {"running": "no such cell"},
    {"ran": ["double"]},
    {"ran": "double", "error": [], "printed": 7},
    {"ran": "double", "error": {"type": [], "text": {}, "line": "x"}},
    {"ended": None},
    {"ended": "x"},
    {"ended": {"signal": "nine"}},
    {"ended": {"signal": float("nan"), "cpu_seconds": "x"}},
    {"ended": {"cpu_seconds": float("inf"), "status": 0}},
]


@pytest.mark.parametrize("report", REPORTS, ids=json.dumps)
def test_a_report_that_is_forged_in_a_cell(graded, report) -> None:
    result = graded(answered(extra=f"{FORGES}forge(json.loads({json.dumps(report)!r}))"))
    assert {exercise["verdict"] for exercise in result["exercises"]} <= {"right", "crashed"}
    assert result["score"] <= 5


@pytest.mark.parametrize("report", [r for r in REPORTS if "ended" in r or not isinstance(r, dict)], ids=json.dumps)
def test_a_report_that_is_forged_while_an_answer_is_observed(graded, report) -> None:
    """By a thread that the cell has left behind, in the process that reports how an observer ended."""
    later = (
        f"threading.Thread(target=lambda: (time.sleep(0.3), forge(json.loads({json.dumps(report)!r}))), daemon=True)"
    )
    slow = RIGHT_DOUBLE.replace("    return", "    import time; time.sleep(0.2)\n    return")
    result = graded(answered(slow, after=f"{FORGES}{later}.start()"))
    assert {exercise["verdict"] for exercise in result["exercises"]} <= {"right", "crashed"}
