"""A learner in a browser: a unit is opened and run, answers are typed, work outlives a restart and an update."""

from __future__ import annotations

import json
import re
import signal

import pytest
from in_lab import Notebook, faintest, pixels
from PIL import Image

from course_lib.exercises import exercise_named, exercises_of, judge_of

pytestmark = pytest.mark.browser

UNIT = "01_autoencoders/01_autoencoders.ipynb"
SETUP = ("cell-001", "cell-002")
EXERCISE = "reconstruction_loss"
CHECK = f"check_{EXERCISE}"
WRONG = f"def {EXERCISE}(x_hat, images):\n    return F.mse_loss(x_hat, images)"
RIGHT = f"def {EXERCISE}(x_hat, images):\n    return ((x_hat - images) ** 2).sum() / len(images)"


def standing(lab, exercise):
    rows = json.loads(lab.course.run("progress", "--json"))
    return next(row for row in rows if row["exercise"] == exercise)


def test_lab_opens_the_first_unit_and_unit_01_runs_to_its_first_open_exercise(lab, page, screenshots):
    page.goto(f"{lab.address}{lab.opens}?token={lab.token}")
    Notebook(page, lab, "00_first_steps/00_first_steps.ipynb", go=False)
    files = page.locator(".jp-DirListing-content")
    page.locator(".jp-BreadCrumbs-home").click()
    files.get_by_text("01_autoencoders", exact=True).dblclick()
    files.get_by_text("01_autoencoders.ipynb", exact=True).dblclick()
    notebook = Notebook(page, lab, UNIT, go=False)
    page.screenshot(path=screenshots / "unit_01_opened.png")
    # Nothing lies over the notebook, and what is for who teaches is not there.
    assert page.locator(".Toastify__toast").count() == 0
    assert "Nbgrader" not in page.locator("#jp-menu-panel").inner_text()
    notebook.run_all()
    notebook.save()
    assert notebook.card("Autoencoder").get_attribute("data-state") == "not_attempted"
    (error,) = notebook.errors()
    assert error.startswith("ExerciseNeeded: ") and "1.1" in error
    (stopped,) = [
        cell["id"]
        for cell in notebook.saved()["cells"]
        if any(output.get("ename") == "ExerciseNeeded" for output in cell.get("outputs", []))
    ]
    stopped = notebook.cell(stopped)
    stopped.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "unit_01_run_all.png")
    shown = Image.open(screenshots / "unit_01_run_all.png").convert("L").crop((300, 100, 1200, 860))
    assert len(shown.getcolors()) > 50, "the notebook is blank where it is scrolled to"


def test_a_wrong_answer_is_diagnosed_a_hint_opens_and_the_right_answer_counts(lab, page, screenshots):
    notebook = Notebook(page, lab, UNIT)
    notebook.run(*SETUP)
    before = lab.course.run("progress")
    notebook.write(EXERCISE, WRONG)
    notebook.run(EXERCISE, CHECK)
    card = notebook.card(EXERCISE)
    assert card.get_attribute("data-state") == "wrong"
    mistake = next(each for each in judge_of(exercise_named(EXERCISE)).mistakes if each.name == "mean_of_everything")
    assert mistake.text in card.inner_text()
    hint = exercise_named(EXERCISE).hints.concept.replace("`", "")
    assert hint not in card.inner_text()
    card.get_by_text("Hint 1 of 3").click()
    assert hint in card.inner_text() and "Hint 3 of 3" not in card.inner_text()
    pixels(card, screenshots / "card_wrong.png")
    row = standing(lab, EXERCISE)
    assert (row["state"], row["tries"]) == ("wrong", 1)

    notebook.write(EXERCISE, RIGHT)
    notebook.run(EXERCISE, CHECK)
    assert card.get_attribute("data-state") == "right" and card.get_by_text("3 of 3 points").is_visible()
    edge = card.evaluate("card => getComputedStyle(card).borderLeftColor")
    assert edge == "rgb(0, 158, 115)"  # green
    pixels(card, screenshots / "card_right.png")
    after = lab.course.run("progress")
    points = sum(exercise.points for exercise in exercises_of("01_autoencoders"))
    unit = re.compile(rf"01_autoencoders\W+(\d+) of {points} points")
    assert [unit.search(said)[1] for said in (before, after)] == ["0", "3"]


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_cards_can_be_read_in_both_themes_and_in_a_narrow_window(lab, page, screenshots, theme):
    notebook = Notebook(page, lab, UNIT)
    notebook.menu("Settings", "Theme", f"JupyterLab {theme}")
    page.locator(f"body[data-jp-theme-light='{str(theme == 'Light').lower()}']").wait_for(state="attached")
    notebook.run(*SETUP)
    answers = {
        "blank": f"def {EXERCISE}(x_hat, images):\n    raise NotImplementedError('Exercise 1.2: {EXERCISE}')",
        "error": f"def {EXERCISE}(x_hat, images):\n    print('so far so good')\n    return x_hat.no_such_thing",
        "wrong": WRONG,
        "right": RIGHT,
    }
    for state, answer in answers.items():
        notebook.write(EXERCISE, answer)
        notebook.run(EXERCISE, CHECK)
        card = notebook.card(EXERCISE)
        card.evaluate("card => card.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        contrast, text = faintest(card)
        assert contrast >= 4.5, f"{state}, {theme}: {text!r} has a contrast of {contrast:.2f}"
        pixels(card, screenshots / f"card_{state}_{theme.lower()}.png")
    page.screenshot(path=screenshots / f"lab_{theme.lower()}.png")

    page.get_by_role("tab", name="File Browser").click()  # folds the side bar away, as one does on a small screen
    page.set_viewport_size({"width": 480, "height": 800})
    notebook.write(EXERCISE, WRONG)
    notebook.run(EXERCISE, CHECK)
    card.evaluate("card => card.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    inside, needed, right = card.evaluate(
        "card => [card.clientWidth, card.scrollWidth, card.getBoundingClientRect().right]"
    )
    assert needed <= inside and right <= 480
    card.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / f"narrow_{theme.lower()}.png")


def test_work_outlives_a_restart_of_lab_and_an_update_of_the_unit(lab, page, screenshots):
    notebook = Notebook(page, lab, UNIT)
    mine = "def corrupt(images, noise, *, generator):\n    return images  # mine, half done"
    notebook.write("corrupt", mine)
    notebook.save()
    page.goto("about:blank")  # or the console would say that the server is gone

    released = lab.course.root / "notebooks" / UNIT
    newer = json.loads(released.read_text(encoding="utf-8"))
    newer["metadata"]["course"]["release"] = "fedcba9876543210"
    newer["cells"][0]["source"] = ["# Autoencoders, second edition"]
    lab.stop(by=signal.SIGTERM)
    released.write_text(json.dumps(newer), encoding="utf-8")
    lab.start()
    assert "There is a newer version of" in lab.said and "corrupt" in lab.said

    notebook = Notebook(page, lab, UNIT)
    assert "mine, half done" in notebook.text("corrupt")
    assert "second edition" not in notebook.text("cell-000")
    update = Notebook(page, lab, UNIT.replace(".ipynb", ".update-fedcba.ipynb"))
    assert "second edition" in update.text("cell-000")
    assert "mine, half done" in update.text("corrupt")
    page.screenshot(path=screenshots / "update_beside_mine.png")
