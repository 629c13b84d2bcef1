"""Late work costs what nbgrader's own plugin says, in the gradebook, in nbgrader's export and in grades.csv."""

from __future__ import annotations

import csv
import datetime

import pytest
import small_class
from nbgrader.api import Gradebook
from small_class import UNIT

from course_lib.grading.outside import exports, late
from course_lib.grading.outside.gradebook import as_lines
from course_lib.grading.outside.gradebook_access import GradebookError

ZERO = "c = get_config()\nc.LateSubmissionPlugin.penalty_method = 'zero'\n"
ONE_PER_HOUR = """
from nbgrader.plugins import BasePlugin

class PerHour(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return total_seconds_late / 3600

c = get_config()
c.AssignLatePenalties.plugin_class = PerHour
"""


@pytest.fixture
def due(desk, released):
    """A unit that is due at noon, handed in by ada in time and by bo two hours later; `due(config)` grades it."""

    def publish(config: str = "") -> tuple[dict[str, dict[str, str]], list[str]]:
        if config:
            (desk.folder / "nbgrader_config.py").write_text(config)
        with Gradebook(f"sqlite:///{desk.book}") as book:
            book.update_or_create_assignment(UNIT, duedate="2026-03-01 12:00:00 UTC")
        ada, bo = (small_class.right(released, student) for student in ("ada", "bo"))
        in_time, too_late = (f"2026-03-01 {hour}:00:00 UTC" for hour in (11, 14))
        handed_in = [
            small_class.submission(each.student, each.data, each.result["exercises"], timestamp=time)
            for each, time in ((ada, in_time), (bo, too_late))
        ]
        report = exports.publish(handed_in, released=released, folder=desk.folder)
        table = list(csv.DictReader((desk.folder / "grades.csv").open()))
        return {row["student"]: row for row in table}, as_lines(report)

    return publish


def test_by_default_late_work_is_named_and_costs_nothing(due):
    rows, lines = due()
    assert rows["bo"][f"{UNIT}:total"] == "5" and f"{UNIT}:late" not in rows["bo"]
    assert [line for line in lines if "Late" in line] == [f"Late: bo, {UNIT}: 2.0 hours late, 0 points off."]


def test_the_plugins_own_setting_takes_all_points(due, desk):
    rows, _ = due(ZERO)
    assert (rows["bo"][f"{UNIT}:total"], rows["bo"][f"{UNIT}:late"]) == ("0", "5")
    assert (rows["ada"][f"{UNIT}:total"], rows["ada"][f"{UNIT}:late"]) == ("5", "")
    with Gradebook(f"sqlite:///{desk.book}") as book:  # as nbgrader's export and formgrader read it
        assert book.find_submission(UNIT, "bo").late_submission_penalty == 5


def test_a_plugin_of_ones_own_and_an_extension_given_later(due, desk):
    rows, _ = due(ONE_PER_HOUR)
    assert (rows["bo"][f"{UNIT}:total"], rows["bo"][f"{UNIT}:late"]) == ("3", "2")
    with Gradebook(f"sqlite:///{desk.book}") as book:
        book.grant_extension(UNIT, "bo", hours=3)
    assert late.assign(desk.book, [UNIT], desk.folder) == [] and late.penalties(desk.book) == {}


def test_a_deadline_that_is_taken_out_costs_nothing_any_more(due, desk):
    due(ONE_PER_HOUR)
    with Gradebook(f"sqlite:///{desk.book}") as book:
        book.update_or_create_assignment(UNIT, duedate=None)
    assert late.assign(desk.book, [UNIT], desk.folder) == [] and late.penalties(desk.book) == {}


def test_a_setting_that_does_not_run_is_told_and_the_grades_are_kept(due, desk):
    with pytest.raises(GradebookError, match=r"nbgrader_config.py does not run \(SyntaxError.*All grades are written"):
        due("c = = 1")
    assert desk.grades("bo")


def test_days_are_told_as_days():
    assert "3.0 days late" in str(late.Late("bo", UNIT, datetime.timedelta(days=3).total_seconds(), 1.0))
