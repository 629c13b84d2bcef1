"""Honest work earns the same from stock nbgrader, which runs the checks beside it, as from `course grade`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tiny_course
from tiny_course import UNIT

from course_lib.authoring import release
from course_lib.desk import demo_class
from course_lib.grading.outside.standings import standings

IN_PLACE = "def double(x):\n    x *= 2\n    return x\n"
TOTAL = "def total(x):\n    return float(x.sum())\n"
MEAN = "def total(x):\n    return float(x.mean())\n"
RIGHT, PARTIAL, MISTAKE, BLANK = ("right", 2), ("wrong", 2), ("wrong", 0), ("not_attempted", 0)

# Answers by student, then what each exercise must come out as: verdict and points. Two notebooks, since nbgrader takes
# seconds for each; a whole right one and a whole blank one go through it in test_demo_class.
CLASS = {
    "half-right": ({"double": IN_PLACE, "total": TOTAL}, {"double": PARTIAL, "total": RIGHT}),
    "unfinished": ({"total": MEAN}, {"double": BLANK, "total": MISTAKE}),
}
WANTED = {(student, name): said for student, (_, wanted) in CLASS.items() for name, said in wanted.items()}


def _points(gradebook: Path) -> dict[tuple[str, str], float | None]:
    """The check's points in a gradebook by (student, cell); None where a person has to give them."""
    return {(each.student, each.name): each.auto_score for each in standings(gradebook)}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A released course of one tiny unit, with its class's work handed in, and a gradebook for either grader."""
    root = tiny_course.write_project(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch, release.tools_on_path():
        tiny_course.install(patch)
        files = release.build_unit(UNIT, root=root, gradebook=root / "class" / "gradebook.db")
    release.write_atomically(root / "notebooks" / UNIT / f"{UNIT}.ipynb", files[f"{UNIT}.ipynb"])
    (root / "ours").mkdir()
    shutil.copy(root / "class" / "gradebook.db", root / "ours")
    blank = files[f"{UNIT}.ipynb"].decode()
    for student, (answers, _) in CLASS.items():
        page = nbformat.reads(blank, as_version=4)
        for cell in page.cells:
            cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        path = root / "class" / "submitted" / student / UNIT / f"{UNIT}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(page, path)
    return root


@pytest.fixture(scope="module")
def by_nbgrader(project) -> Path:
    """The class folder after `nbgrader autograde`."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    variables |= {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "1", "COURSE_PROFILE": "smoke"}
    with release.tools_on_path():
        variables["PATH"] = os.environ["PATH"]
    command = [sys.executable, "-m", "nbgrader", "autograde", UNIT]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return project / "class"


@pytest.fixture(scope="module")
def by_course_grade(project) -> Path:
    """A class folder of its own after `course grade`."""
    folder = project / "ours"
    arguments = ["grade", "class/submitted", "--workers", "1", "--out", str(folder / "results")]
    done = tiny_course.run_course(project, *arguments, COURSE_SECRET=str(project / "secret" / "file"))
    if done.returncode == 2 and "isolation" in done.stderr:
        pytest.skip(f"needs isolation: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_same_points_exercise_by_exercise_in_both_gradebooks(by_course_grade, by_nbgrader) -> None:
    theirs, ours = _points(by_nbgrader / "gradebook.db"), _points(by_course_grade / "gradebook.db")
    assert theirs == ours
    wanted = {(student, f"check_{name}"): points for (student, name), (_, points) in WANTED.items()}
    wanted |= {(student, "why"): 0 for student in CLASS}  # the written answer, which no student here gave
    assert ours == wanted


def test_the_same_verdicts_on_the_cards_and_in_the_results(by_course_grade, by_nbgrader) -> None:
    cards, results = {}, {}
    for student in CLASS:
        page = by_nbgrader / "autograded" / student / UNIT / f"{UNIT}.ipynb"
        cards |= {(student, name): state for name, state in demo_class.states_in(page).items()}
        record = json.loads((by_course_grade / "results" / UNIT / UNIT / f"{student}.json").read_text())
        results |= {(student, e["exercise"]): (e["verdict"], e["score"]) for e in record["exercises"]}
    assert results == WANTED
    assert cards == {key: verdict for key, (verdict, _) in WANTED.items()}
