"""The class of `make demo`, through the real nbgrader."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import jupytext
import pytest
import tiny_course
import torch

from course_lib.authoring import release
from course_lib.desk import demo_class

UNIT = tiny_course.UNIT


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Path, str]:
    """A project whose demo was played once, and what it printed. An instructor's data lay in class/ before."""
    root = tiny_course.write_project(tmp_path_factory.mktemp("project"))
    kept = root / "class" / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb"
    kept.parent.mkdir(parents=True)
    kept.write_text("an instructor's data")
    old = root / "class" / "demo" / "old.txt"
    old.parent.mkdir()
    old.write_text("of an earlier demo")
    done = tiny_course.run_course(root, "demo", "97_gone")
    assert done.returncode == 2 and "There is no unit 97_gone; the units are" in done.stderr and old.exists()
    done = tiny_course.run_course(root, "demo", UNIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept.read_text() == "an instructor's data" and not old.exists()
    assert not (root / "class" / "gradebook.db").exists()
    return root, done.stdout


def lines_of(printed: str, student: str) -> list[str]:
    start = printed.index(f"\n{student}\n")
    return [" ".join(line.split()) for line in printed[start:].strip().splitlines()[1:6]]


def test_the_gradebook_is_what_the_judges_say(played):
    _, printed = played
    assert lines_of(printed, "reference") == [
        "90_tiny 5 / 5",
        "double 3 / 3 right",
        "total 2 / 2 right",
        "why - / 3 awaiting a person",
        "autograded 5 / 5",
    ]
    half = lines_of(printed, "half-right")
    assert half[0] == "90_tiny 3 / 5" and half[1].startswith("double 3 / 3 right")
    assert re.match(r"total 0 / 2 wrong \(handed in: mistake \w+\)", half[2])
    assert lines_of(printed, "blank") == [
        "90_tiny 0 / 5",
        "double 0 / 3 not_attempted",
        "total 0 / 2 not_attempted",
        "why - / 3 no answer",
        "autograded 0 / 5",
    ]
    assert "As it must be" in printed and "DIFFERS" not in printed


def test_feedback_and_grades_are_where_it_says(played):
    root, printed = played
    for student in demo_class.STUDENTS:
        assert (root / "class" / "demo" / "feedback" / student / UNIT / f"{UNIT}.html").is_file()
    path = Path(re.search(r"Grades: +(\S+)", printed)[1])
    with open(path, newline="") as file:
        raw = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert raw == {"reference": 5.0, "half-right": 3.0, "blank": 0.0}


def test_no_source_travels_with_a_submission(played):
    root, _ = played
    assert not list((root / "class" / "demo").glob("*/*/*/*.py"))


@pytest.fixture
def lines(monkeypatch, tmp_path) -> list[demo_class.Line]:
    """The lines of a class in which everything went as it must."""
    exercises = tiny_course.install(monkeypatch)
    tiny_course.write_unit(tmp_path)
    solved = release.solution_notebooks(UNIT, root=tmp_path, exercises=exercises)[UNIT]
    made = [
        line
        for student in demo_class.STUDENTS
        for line in demo_class.plan_for(student, UNIT, solved, exercises, first_turn=1).lines
    ]
    for line in made:
        states = {"right": "right", "blank": "not_attempted"}
        line.awarded, line.state = line.expected, states.get(line.plan, "wrong")
        if line.written:
            line.state = "no answer" if line.student == "blank" else "awaiting a person"
    return made


def test_half_right_takes_turns_and_hands_in_the_best_known_mistake(lines):
    mine = [line for line in lines if line.student == "half-right"]
    assert [line.plan for line in mine] == ["mistake in_place", "blank", "written"]
    assert [line.expected for line in mine] == [2.0, 0.0, 0.0]


def test_a_difference_in_points_or_state_is_found(lines):
    assert demo_class.differences(lines) == []
    for position, changes, said in [
        (0, {"awarded": 2.5}, "nbgrader recorded 2.5 points, the judge gives 3"),
        (1, {"awarded": None}, "recorded no grade"),
        (3, {"state": "right"}, "the card says right, expected wrong"),
        (6, {"state": "error"}, "the card says error, expected not_attempted"),
        (2, {"state": "no answer"}, "expected awaiting a person"),
    ]:
        changed = list(lines)
        changed[position] = dataclasses.replace(lines[position], **changes)
        (difference,) = demo_class.differences(changed)
        assert said in difference


def test_an_answer_cell_made_of_a_mistake_runs_alone():
    def mean(x):
        return x.mean() + F.relu(x).mean() if len(x) > 1 else mean(torch.cat([x, x]))  # noqa: F821

    source = demo_class.as_answer(mean, "average")
    namespace: dict = {}
    exec(source, namespace)
    assert "def mean" not in source and "mean" not in namespace
    assert namespace["average"](torch.ones(1)) == 2.0


LEANING = """
# %% tags=["setup"]
%matplotlib inline
from torch.nn.functional import (
    relu,
)
import torch as pt

# %% nbgrader={"grade_id": "double", "solution": true}
def double(x):
    return x + x

# %% nbgrader={"grade_id": "total", "solution": true}
def total(x):
    return float(relu(double(x)).sum() - relu(-double(x)).sum()) / 2
"""


def test_a_right_answer_that_calls_a_wrong_one_is_expected_to_earn_less(monkeypatch):
    exercises = tiny_course.install(monkeypatch)
    solved = jupytext.reads(LEANING, fmt="py:percent")
    total = solved.cells[-1].source

    alone = demo_class._Company(solved)
    assert alone.points_of(exercises["double"], solved.cells[-2].source) == 3.0
    assert alone.points_of(exercises["total"], total) == 2.0

    misled = demo_class._Company(solved)
    misled.add_wrong("double", "def double(x):\n    return pt.zeros_like(x)\n")
    assert misled.points_of(exercises["total"], total) < 2.0
