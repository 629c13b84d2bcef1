"""Unit 00 as a learner with all answers right sees it: the whole notebook runs, every check is full, every picture
speaks; and the experiment behind its numbers runs."""

from __future__ import annotations

import math
import os

import pytest
from nbclient import NotebookClient

from course_lib import records, release
from course_lib.exercises import exercises_of

UNIT = "00_first_steps"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["glyphs", "mnist"])
def executed(request, tmp_path_factory):
    """The solution notebook with its outputs, run once in the smoke profile; on MNIST too, where that is at hand."""
    (notebook,) = release.solution_notebooks(UNIT).values()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        patch.setenv("COURSE_DATASET", request.param)
        if request.param == "mnist":
            patch.setenv("COURSE_DATA", os.fspath(request.getfixturevalue("shared_data")))
        folder = tmp_path_factory.mktemp("notebook")
        NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def outputs(notebook, kind: str):
    return [(cell, output) for cell in notebook.cells if release.kind_of(cell) == kind for output in cell.outputs]


def test_every_check_gives_full_points(executed):
    checks = [cell for cell in executed.cells if release.kind_of(cell) == "check"]
    assert [c.metadata["nbgrader"]["grade_id"] for c in checks] == [f"check_{e.name}" for e in exercises_of(UNIT)]
    for cell, exercise in zip(checks, exercises_of(UNIT), strict=True):
        (output,) = cell.outputs  # a byte on stderr would be an output of its own
        assert float(output.data["text/plain"]) == exercise.points == cell.metadata["nbgrader"]["points"]
        assert 'data-state="right"' in output.data["text/html"]


def test_every_picture_has_alt_text(executed):
    pictures = [
        output
        for cell in executed.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 6
    for output in pictures:
        assert len(output.data["text/plain"]) > 30
        assert ' alt="' in output.data["text/html"]


def test_the_shape_of_the_unit(executed):
    words = sum(release.word_count(c.source.split("Sample answer")[0]) for c in executed.cells if c.cell_type != "code")
    assert 35 <= len(executed.cells) <= 50
    # Rendered, tables of numbers included, so a little more than the 1,800 words of prose that a unit may have.
    assert 1_200 <= words <= 2_100


def test_the_rubric_and_the_answers_stay_with_the_instructor():
    (released,) = (content for name, content in release.build_unit(UNIT).items() if name.endswith(".ipynb"))
    text = released.decode()
    assert "Sample answer" not in text and "Rubric" not in text
    assert "Written answer (3 points)" in text, "the question itself must stay"
    assert text.count("raise NotImplementedError(\\\"Exercise 0.") == len(exercises_of(UNIT))


@pytest.mark.parametrize("name", ["label_curve", "failures"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    experiment = records.load_experiments(UNIT).EXPERIMENTS[name]
    figures = experiment(dataset="glyphs", profile="smoke", seed=3)
    assert all(math.isfinite(value) for value in figures.values())
    assert all(0 <= value <= 1 for key, value in figures.items() if "loss" not in key and key != "softmax_floor")
    if name == "failures":
        assert figures == experiment(dataset="glyphs", profile="smoke", seed=3)
        assert figures["softmax_floor"] == pytest.approx(math.log(1 + 9 / math.e))
    else:
        for prefix in records.load_experiments(UNIT).TABLE_ROWS.values():
            assert {f"{prefix}@{budget}" for budget in (1, 2, 5, 10, 20, 50)} <= figures.keys()


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""

    def mean(experiment, key):
        return records.figure(UNIT, experiment, key).mean

    assert records.figure(UNIT, "label_curve", "scratch@10").n >= 3
    curve = records.curve(UNIT, "label_curve", "scratch").mean
    assert list(curve) == sorted(curve)
    assert curve[0] < 0.3 and mean("label_curve", "full_labels") > 0.95
    assert mean("label_curve", "scratch@10") > mean("label_curve", "pixels_knn@10") > 0.2
    assert mean("label_curve", "full_labels") - mean("label_curve", "scratch@5") > 0.2
    assert mean("failures", "softmax_loss") > mean("failures", "softmax_floor") > 3 * mean("failures", "logits_loss")
    assert mean("failures", "softmax_accuracy") > 0.8
    assert mean("failures", "train_mode_sorted_accuracy") < 0.5 < mean("failures", "logits_accuracy")
    assert mean("failures", "loss_by_batch_means") > 5 * mean("failures", "loss_of_all_images")
