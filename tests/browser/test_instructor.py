"""An instructor in a browser: formgrader, in the JupyterLab of the project's folder, on a class that is graded."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from in_lab import faintest

from course_lib import notebooks
from course_lib.authoring import conversion
from course_lib.desk import jupyterlab
from course_lib.exercises import exercise_named, exercises_of, judge_of
from course_lib.exercises.checking import check_file

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent.parent
UNIT = "00_first_steps"
WRITTEN = 3  # points of the written answer, which waits for a person
IN_PERCENT = "def accuracy(logits, labels):\n    return 100 * (logits.argmax(dim=1) == labels).float().mean().item()\n"


def hand_in(submitted: Path) -> None:
    """Three students: one answers all, one the same but for a known mistake, one nothing."""
    blank = json.loads((ROOT / "notebooks" / UNIT / f"{UNIT}.ipynb").read_text(encoding="utf-8"))
    (solved,) = conversion.solution_notebooks(UNIT, root=ROOT).values()
    answers = {cell.id: cell.source for cell in solved.cells if notebooks.kind_of(cell) == "answer"}
    for student, given in {"ada": answers, "ben": {**answers, "accuracy": IN_PERCENT}, "cy": {}}.items():
        notebook = copy.deepcopy(blank)
        for cell in notebook["cells"]:
            cell["source"] = given.get(cell["id"], cell["source"])
        path = submitted / student / UNIT / f"{UNIT}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def formgrader(course, serve) -> Any:
    """A class that `course grade` has graded, nbgrader's feedback pages, and `jupyter lab` in the project's folder."""
    shutil.copy(ROOT / "nbgrader_config.py", course.root)
    hand_in(course.root / "class/submitted")
    course.run("grade", "class/submitted", "--unit", UNIT)
    course.nbgrader("generate_feedback", UNIT)
    port = jupyterlab.free_port(9400)
    return serve("jupyterlab", "--no-browser", f"--port={port}", "--allow-root")


def test_formgrader_lists_a_graded_class_and_opens_a_submission_and_its_feedback(
    formgrader, page, screenshots, tmp_path
):
    (tmp_path / "accuracy.py").write_text(IN_PERCENT)
    full = sum(exercise.points for exercise in exercises_of(UNIT))
    lost = exercise_named("accuracy").points - check_file("accuracy", tmp_path / "accuracy.py").points
    assert lost > 0
    page.goto(f"{formgrader.address}/lab?reset&token={formgrader.token}")
    page.locator(".lm-MenuBar-itemLabel:text-is('Nbgrader')").click()
    page.locator(".lm-Menu-itemLabel:text-is('Formgrader')").click()
    frame = page.frame_locator("iframe[src*='formgrader']")
    row = frame.get_by_role("row").filter(has_text=UNIT)
    row.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "formgrader_assignments.png")
    row.get_by_role("link", name="3", exact=True).click()  # as many were handed in
    for student, points in {"ada": full, "ben": full - lost, "cy": 0}.items():
        line = frame.get_by_role("row").filter(has_text=student)
        line.get_by_text("graded", exact=True).wait_for()
        assert f"{points:g} / {full + WRITTEN}" in line.inner_text()
    page.screenshot(path=screenshots / "formgrader_submissions.png")

    frame.get_by_role("row").filter(has_text="ben").get_by_role("link").first.click()
    frame.get_by_role("link", name=UNIT, exact=True).last.click()
    mistake = next(each for each in judge_of(exercise_named("accuracy")).mistakes if each.name == "percent")
    card = frame.locator(".course-card[data-exercise='accuracy']")
    assert mistake.text in card.inner_text()
    card.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "formgrader_submission.png")

    page.goto((formgrader.course.root / "class/feedback/ben" / UNIT / f"{UNIT}.html").as_uri())
    card = page.locator(".course-card[data-exercise='accuracy']")
    assert mistake.text in card.inner_text() and card.get_attribute("data-state") == "wrong"
    contrast, text = faintest(card)
    assert contrast >= 4.5, f"{text!r} has a contrast of {contrast:.2f}"
    card.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "feedback_page.png")
