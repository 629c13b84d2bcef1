"""The class of `make demo`, through the real nbgrader."""

from __future__ import annotations

import copy
import csv
import dataclasses
import functools
import os
import re
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pytest
import tiny_course
import torch

from course_lib import notebooks
from course_lib.authoring import release
from course_lib.desk import demo_answers, demo_class, demo_tables
from course_lib.desk.demo_answers import Recorded
from course_lib.desk.demo_commands import Command, stopped_at_the_end
from course_lib.desk.errors import DemoError

UNIT = tiny_course.UNIT


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project of one small unit. An instructor's data lies in its class/, and an earlier demo."""
    root = tiny_course.write_project(tmp_path_factory.mktemp("project"))
    kept = root / "class" / "submitted" / "ada" / UNIT / f"{UNIT}.ipynb"
    kept.parent.mkdir(parents=True)
    kept.write_text("an instructor's data")
    old = root / "class" / "demo" / "old.txt"
    old.parent.mkdir()
    old.write_text("of an earlier demo")
    done = tiny_course.run_course(root, "demo", "97_gone")
    assert done.returncode == 2 and "There is no unit 97_gone; the units are" in done.stderr and old.exists()
    return root


@pytest.fixture(scope="module")
def played(project) -> tuple[Path, str]:
    """The project whose demo was played once as a whole, and what it printed."""
    secrets = project / "secrets"
    done = tiny_course.run_course(project, "demo", "--all", XDG_CONFIG_HOME=str(secrets))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "class/submitted/ada" / UNIT / f"{UNIT}.ipynb").read_text() == "an instructor's data"
    assert not (project / "class/demo/old.txt").exists()
    assert not (project / "class" / "gradebook.db").exists() and not secrets.exists()
    return project, done.stdout


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
    _, printed = played
    page = Path(re.search(r"what a student gets back +(.+)", printed)[1])
    assert "data-exercise=" in page.read_text(encoding="utf-8")
    path = Path(re.search(r"grades as a table +(.+)", printed)[1])
    with open(path, newline="") as file:
        totals = {row["student"]: float(row[f"{UNIT}:total"]) for row in csv.DictReader(file)}
    assert totals == {"reference": 5.0, "half-right": 3.0, "blank": 0.0}


def test_the_two_graders_agree(played):
    root, _ = played
    with open(root / "class/demo/stock/grades.csv", newline="") as file:
        raw = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert raw == {"reference": 5.0, "half-right": 3.0, "blank": 0.0}
    for student in demo_answers.STUDENTS:
        pages = [root / "class/demo" / part / "autograded" / student / UNIT / f"{UNIT}.ipynb" for part in ("", "stock")]
        assert len({tuple(demo_class.states_in(page).items()) for page in pages}) == 1


def test_no_source_travels_with_a_submission(played):
    root, _ = played
    assert {path.name for path in (root / "class" / "demo").rglob("*.py")} == {"nbgrader_config.py"}


def test_without_a_word_one_unit_goes_through_nbgrader_and_all_through_course_grade(tmp_path, monkeypatch):
    """What is started, with commands that only pretend; that both graders work is tested above."""
    exercises = tiny_course.install(monkeypatch)
    tiny_course.write_unit(tmp_path)
    monkeypatch.setattr(release, "exercises_by_name", lambda unit: exercises)
    monkeypatch.setattr(release, "build_unit", functools.partial(release.build_unit, exercises=exercises))
    monkeypatch.setattr(demo_class, "_read_back", lambda lines, folder, grader: read.append((len(lines), grader)))
    started, read = [], []

    class Pretended:
        status, failures = 0, iter((2, 0))

        def __init__(self, module, words, **_):
            started.append([module, *words])
            self.status = next(self.failures) if module == "course_lib" else 0

        def goes_on(self):
            return False

        def last_lines(self):
            return "isolation 'auto' is not to be had on this machine"

        wait = stop = goes_on

    monkeypatch.setattr(demo_class, "Command", Pretended)
    said: list[str] = []
    assert demo_class.run(units=[UNIT], root=tmp_path, say=said.append) == 0
    grade = ["course_lib", "grade", "submitted", "--release", "release", "--out", "results"]
    assert started == [
        ["nbgrader", "autograde", UNIT], grade, [*grade, "--isolation", "none"], ["nbgrader", "generate_feedback", UNIT]
    ]  # fmt: skip
    assert read == [(9, "nbgrader"), (9, "course grade")]
    assert any("grading without" in line for line in said) and said[-1].startswith("Took")

    del started[:], read[:]
    monkeypatch.setattr(demo_class, "has_course_grade", lambda: False)
    assert demo_class.run(units=[UNIT], root=tmp_path, say=said.append) == 0
    assert [words[1] for words in started] == ["autograde", "generate_feedback", "export"]
    assert read == [(9, "nbgrader")] and any("needs Linux or WSL2" in line for line in said)


def test_who_hands_in(tmp_path, monkeypatch):
    """All hand in the first unit; the others only one, unless all of it or a unit by its name is asked for."""
    played = []
    monkeypatch.setattr(release, "unit_folders", lambda root: ["a", "b"])
    monkeypatch.setattr(demo_class._Demo, "_hand_in", lambda self, *who, **_: played.append(who) or [])
    monkeypatch.setattr(demo_class._Demo, "_autograde", lambda self, unit: SimpleNamespace(goes_on=bool, wait=bool))
    monkeypatch.setattr(demo_class._Demo, "_nbgrader", lambda self, *_: SimpleNamespace(wait=bool))
    monkeypatch.setattr(demo_class._Demo, "_course_grade", lambda self, beside: None)
    monkeypatch.setattr(demo_class, "_read_back", lambda lines, folder, grader: None)
    for table in ("totals_table", "gradebook_table"):
        monkeypatch.setattr(demo_class, table, lambda lines, grader: [])
    everyone, one = demo_answers.STUDENTS, demo_answers.STUDENTS[:1]
    for options, second in (({}, one), ({"everything": True}, everyone), ({"units": ["a", "b"]}, everyone)):
        assert demo_class.run(root=tmp_path, say=lambda _: None, **options) == 0
        assert played == [("a", everyone), ("b", second)]
        played.clear()


def test_a_command_that_fails_or_is_left_alone(tmp_path):
    told: list[str] = []

    def command(*words: str) -> Command:
        variables = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
        log = tmp_path / "log.txt"
        return Command("timeit", words, folder=tmp_path, log=log, variables=variables, tell=told.append)

    failing = command("-n1", "-r1", "print('first\\nKurs 课'); raise ValueError('at last')")
    with pytest.raises(DemoError, match=r"(?s)timeit -n1 .* ended with status 1:.*ValueError: at last"):
        failing.wait()
    assert told[:2] == ["first", "Kurs 课"] and failing.status == 1
    with pytest.raises(KeyboardInterrupt), stopped_at_the_end() as running:
        running.append(command("-n1", "import time; time.sleep(60)"))
        raise KeyboardInterrupt
    assert running[0].status not in (None, 0)


@pytest.fixture
def lines(monkeypatch, tmp_path) -> list[demo_class.Line]:
    """The lines of a class in which everything went as it must."""
    exercises = tiny_course.install(monkeypatch)
    tiny_course.write_unit(tmp_path)
    solved = release.solution_notebooks(UNIT, root=tmp_path, exercises=exercises)[UNIT]
    made = [
        line
        for student in demo_answers.STUDENTS
        for line in demo_answers.plan_for(student, UNIT, solved, exercises, first_turn=1).lines
    ]
    for line in made:
        states = {"right": "right", "blank": "not_attempted"}
        state = states.get(line.plan, "wrong")
        if line.written:
            state = "no answer" if line.student == "blank" else "awaiting a person"
        line.recorded["nbgrader"] = Recorded(line.expected, state)
    return made


def test_half_right_takes_turns_and_hands_in_the_best_known_mistake(lines):
    mine = [line for line in lines if line.student == "half-right"]
    assert [line.plan for line in mine] == ["mistake in_place", "blank", "written"]
    assert [line.expected for line in mine] == [2.0, 0.0, 0.0]


def test_a_difference_in_points_or_state_is_found(lines):
    assert demo_tables.differences(lines) == []
    for position, changes, said in [
        (0, {"points": 2.5}, "nbgrader recorded 2.5 points, the judge gives 3"),
        (1, {"points": None}, "recorded no grade"),
        (3, {"state": "right"}, "the card of nbgrader says right, expected wrong"),
        (6, {"state": "error"}, "says error, expected not_attempted"),
        (2, {"state": "no answer"}, "expected awaiting a person"),
    ]:
        changed = copy.deepcopy(lines)
        changed[position].recorded["nbgrader"] = dataclasses.replace(lines[position].recorded["nbgrader"], **changes)
        (difference,) = demo_tables.differences(changed)
        assert said in difference


def test_the_table_of_totals(lines):
    table = [" ".join(line.split()) for line in demo_tables.totals_table(lines, "nbgrader")]
    assert table[0] == "autograded points reference half-right blank"
    assert table[1:] == [f"{UNIT} 5 / 5 2 / 5 0 / 5", "total 5 / 5 2 / 5 0 / 5"]


def test_an_answer_cell_made_of_a_mistake_runs_alone():
    def mean(x):
        return x.mean() + F.relu(x).mean() if len(x) > 1 else mean(torch.cat([x, x]))  # noqa: F821

    source = demo_answers.as_answer(mean, "average")
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
    setup = [cell.source for cell in solved.cells if notebooks.kind_of(cell) == "setup"]
    assert demo_answers.imports_of(*setup) == ["from torch.nn.functional import relu", "import torch as pt"]

    alone = demo_answers.Company(solved)
    assert alone.verdict_on(exercises["double"], solved.cells[-2].source) == (3.0, "right")
    assert alone.verdict_on(exercises["total"], total) == (2.0, "right")

    misled = demo_answers.Company(solved)
    misled.add_wrong("double", "def double(x):\n    return pt.zeros_like(x)\n")
    points, state = misled.verdict_on(exercises["total"], total)
    assert points < 2.0 and state == "wrong"

    unwritten = demo_answers.Company(solved)
    unwritten.add_wrong("double", demo_answers.STUB.format(exercise=exercises["double"]))
    assert unwritten.verdict_on(exercises["total"], total) == (0.0, "error"), "it is attempted"
