"""The dates of units: one file, which all commands read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from course_lib.grading.outside import dates
from course_lib.grading.outside.submission import BadSubmissions

NOON = datetime(2026, 10, 12, 12, tzinfo=UTC)


def test_what_is_written_is_read_again_and_other_units_stay(tmp_path):
    dates.change(tmp_path, "01_a", open="2026-10-12 12:00 UTC", due="2026-10-19 23:59 UTC")
    dates.change(tmp_path, "02_b", solutions="never")
    dates.change(tmp_path, "01_a", due="2026-10-20 23:59 UTC")
    found = dates.read(tmp_path)
    assert found["01_a"].opens == NOON and found["01_a"].due == datetime(2026, 10, 20, 23, 59, tzinfo=UTC)
    assert not found["02_b"].shown and found["02_b"].solutions_from is None
    assert dates.of(found, "03_c") == dates.OPEN and dates.OPEN.is_open(NOON)


def test_a_file_that_a_person_wrote_with_a_spreadsheet(tmp_path):
    (tmp_path / dates.FILE).write_bytes("Unit;Open;Due\r\n01_a;2026-10-12 12:00 UTC;\r\n".encode("utf-16"))
    found = dates.read(tmp_path)["01_a"]
    assert found.opens == NOON and found.due is None


@pytest.mark.parametrize(
    ("before", "at", "dated"),
    [(False, True, dates.Dates(due=NOON)), (False, True, dates.Dates(solutions=NOON)),
     (False, False, dates.Dates(due=NOON, shown=False)), (False, False, dates.Dates()),
     (False, False, dates.Dates(opens=datetime(2100, 1, 1, tzinfo=UTC), solutions=NOON))],
)  # fmt: skip
def test_solutions_are_shown_from_their_date_or_the_deadline_on(before, at, dated):
    assert dated.shows_solutions(datetime(2026, 10, 12, 11, tzinfo=UTC)) is before
    assert dated.shows_solutions(NOON) is at


def test_late_is_after_the_deadline_and_not_at_it():
    dated = dates.Dates(due=NOON)
    assert not dated.is_late(NOON) and dated.is_late(datetime(2026, 10, 12, 12, 0, 1, tzinfo=UTC))
    assert not dates.Dates().is_late(NOON)


def test_held_back_until_the_second(tmp_path):
    dates.change(tmp_path, "01_a", open="2026-10-12 12:00 UTC")
    assert dates.held_back(tmp_path, datetime(2026, 10, 12, 11, 59, 59, tzinfo=UTC)) == {"01_a": NOON}
    assert dates.held_back(tmp_path, NOON) == {} and dates.held_back(tmp_path / "nowhere", NOON) == {}


@pytest.mark.parametrize("changed", [{"due": "tomorrow"}, {"open": "2026-13-45"}, {"due": "never"},
                                     {"open": "2026-10-12", "due": "2026-10-11"}])  # fmt: skip
def test_what_is_no_date_is_named_and_not_written(tmp_path, changed):
    with pytest.raises(BadSubmissions, match=r"is not a date|before it opens"):
        dates.change(tmp_path, "01_a", **changed)
    assert not (tmp_path / dates.FILE).exists()


def test_a_table_without_units_is_refused(tmp_path):
    (tmp_path / dates.FILE).write_text("when,what\n2026-10-12,x\n")
    with pytest.raises(BadSubmissions, match="expected are the columns unit, open, due, solutions"):
        dates.read(tmp_path)
