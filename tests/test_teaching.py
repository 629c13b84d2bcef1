"""docs/teaching.md: every exercise, written answer and mistake that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from course_lib.exercises import exercises, judge_module, judge_of

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
MISTAKES = re.findall(r"\[`(\w+)\.(\w+)`\]\(([^)]+)\)", TEXT)
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "solutions").glob("*/*.py"))
WRITTEN = set(re.findall(r'\[markdown\] nbgrader=\{"grade_id": "(\w+)"', SOURCES))
# The tables whose rows name exercises: two plans, and the outcomes across notebooks.
HEADS = (
    "| week | notebook | graded | in class |",
    "| week | notebook | graded | what to leave out",
    "| students can |",
)


def table(head: str) -> list[str]:
    """The rows below a table's first line that begins like this."""
    lines = TEXT.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(head)) + 2
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    return lines[start:end]


@pytest.mark.parametrize("head", HEADS)
def test_a_table_names_exercises_and_written_answers_that_are_there(head):
    named = re.findall(r"`(\w+)`", "\n".join(table(head)))
    assert len(named) > 10
    unknown = set(named) - set(exercises()) - WRITTEN
    assert not unknown, f"docs/teaching.md names what the course does not have (any more): {sorted(unknown)}"


def test_every_written_answer_belongs_to_an_outcome():
    assert set(re.findall(r"`(\w+)`", "\n".join(table("| students can |")))) >= WRITTEN


def test_both_plans_have_as_many_weeks_as_they_say():
    weeks = [re.findall(r"\d+", row.split("|")[1]) for row in table(HEADS[0])]
    assert [week for row in weeks for week in row] == [str(week) for week in range(1, 13)]
    assert len(table(HEADS[1])) == 6


def test_no_exercise_is_graded_twice_in_a_plan():
    for head in HEADS[:2]:
        graded = re.findall(r"`(\w+)`", " ".join(row.split("|")[3] for row in table(head)))
        assert len(graded) == len(set(graded)) > 10


def test_two_dozen_mistakes_are_listed_each_once():
    assert len(MISTAKES) >= 24 and len(MISTAKES) == len(set(MISTAKES))


@pytest.mark.parametrize(("exercise", "mistake", "link"), MISTAKES, ids=[".".join(row[:2]) for row in MISTAKES])
def test_a_mistake_is_one_of_its_exercise_and_its_link_leads_there(exercise, mistake, link):
    found = exercises().get(exercise)
    assert found is not None, f"there is no exercise {exercise} (any more)"
    assert mistake in {each.name for each in judge_of(found).mistakes}
    beside = Path(judge_module(found).__file__ or "").with_name("mistakes.md")
    assert (ROOT / "docs" / link).resolve() == beside.resolve()
