"""Unit 01 as a learner with all answers right sees it: the whole notebook runs, every check is full, every picture
speaks; and the experiments behind its numbers run and still say what the text says."""

from __future__ import annotations

import math
import os
import re

import pytest
from nbclient import NotebookClient

from course_lib import records, release
from course_lib.exercises import exercises_of

UNIT = "01_autoencoders"
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
    assert len(pictures) >= 9
    for output in pictures:
        assert len(output.data["text/plain"]) > 30
        assert ' alt="' in output.data["text/html"]


def test_the_shape_of_the_unit(executed):
    words = sum(release.word_count(c.source.split("Sample answer")[0]) for c in executed.cells if c.cell_type != "code")
    assert 35 <= len(executed.cells) <= 50
    # Rendered, tables of numbers included, so a little more than the 1,800 words of prose that a unit may have.
    assert 1_200 <= words <= 2_200


def test_the_rubric_and_the_answers_stay_with_the_instructor():
    (released,) = (content for name, content in release.build_unit(UNIT).items() if name.endswith(".ipynb"))
    text = released.decode()
    assert "Sample answer" not in text and "Rubric" not in text
    assert "Written answer (3 points)" in text, "the question itself must stay"
    for exercise in exercises_of(UNIT):
        assert f'raise NotImplementedError(\\"Exercise {exercise.number}: {exercise.name}\\")' in text


@pytest.mark.parametrize("name", ["label_curve", "linear_pca", "denoising", "anomaly", "closeness"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    module = records.load_experiments(UNIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        figures = module.EXPERIMENTS[name](dataset="glyphs", profile="smoke", seed=3)
        if name != "label_curve":  # the longest
            assert figures == module.EXPERIMENTS[name](dataset="glyphs", profile="smoke", seed=3)
    numbers = [n for value in figures.values() for n in (value if isinstance(value, list) else [value])]
    assert numbers and all(math.isfinite(number) and number >= 0 for number in numbers)
    if name == "label_curve":
        for prefix in module.TABLE_ROWS.values():
            assert {f"{prefix}@{budget}" for budget in (1, 2, 5)} <= figures.keys()


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""

    def mean(experiment, key):
        return records.figure(UNIT, experiment, key).mean

    assert all(records.figure(UNIT, name, key).n >= 3 for name, key in QUOTED)
    # a linear autoencoder spans PCA's subspace
    assert mean("linear_pca", "smallest_cosine") > 0.99
    assert mean("linear_pca", "error_linear") == pytest.approx(mean("linear_pca", "error_pca"), rel=0.01)
    # the denoiser beats every rival, doing nothing loses by far
    rivals = ("autoencoder", "mean_filter", "gaussian_filter")
    assert mean("denoising", "denoising") < min(mean("denoising", rival) for rival in rivals)
    assert mean("denoising", "nothing") > 3 * mean("denoising", "denoising")
    # PCA copies better, the autoencoder detects better
    assert mean("anomaly", "pca_error_normal") < mean("anomaly", "error_normal")
    assert mean("anomaly", "autoencoder") > mean("anomaly", "pca") + 0.05
    # reconstruction is not class information
    gain = mean("label_curve", "autoencoder_finetuned@10") - mean("label_curve", "scratch@10")
    assert abs(gain) < 0.03, "the text says that fine-tuning gained nothing at ten labels"
    assert mean("label_curve", "autoencoder_frozen@10") > mean("label_curve", "random_frozen@10") + 0.1
    assert mean("label_curve", "autoencoder_frozen@10") < mean("label_curve", "scratch@10") - 0.1
    assert mean("label_curve", "autoencoder_frozen@1") > mean("label_curve", "scratch@1") + 0.02
    assert mean("closeness", "other_class_closer") > 0.5


QUOTED = re.findall(r'result\("(\w+)", "([\w@]+)"', release.folder_of(UNIT).joinpath(f"{UNIT}.py").read_text())


def test_the_text_quotes_every_experiment():
    assert {name for name, _ in QUOTED} == set(records.load_experiments(UNIT).EXPERIMENTS)
