"""Unit 01: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import pytest
from recorded_unit import RecordedUnit, numbers_in

from course_lib.authoring import recording

UNIT = "01_autoencoders"
RECORDED = RecordedUnit(UNIT, UNIT)
mean = RECORDED.mean
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["label_curve", "linear_pca", "denoising", "anomaly", "closeness"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    figures = RECORDED.runs(name, twice=name != "label_curve")  # which is the longest
    assert all(number >= 0 for number in numbers_in(figures))
    if name == "label_curve":
        for prefix in ("random_frozen", "autoencoder_frozen", "autoencoder_finetuned", "scratch"):
            assert {f"{prefix}@{budget}" for budget in (1, 2, 5)} <= figures.keys()


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""
    RECORDED.assert_every_seed_is_recorded()
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
    assert 0 < gain < 0.03, "the text says that fine-tuning gained about two points at ten labels"
    assert mean("label_curve", "autoencoder_frozen@10") > mean("label_curve", "random_frozen@10") + 0.1
    assert mean("label_curve", "autoencoder_frozen@10") < mean("label_curve", "scratch@10") - 0.1
    assert mean("label_curve", "autoencoder_frozen@1") > mean("label_curve", "scratch@1") + 0.02
    assert mean("closeness", "other_class_closer") > 0.5


def test_the_text_quotes_every_experiment():
    of_the_text = set(recording.load_experiments(UNIT).EXPERIMENTS) - {"protocol"}  # which is for the table
    assert {name for name, *_ in RECORDED.quoted()} == of_the_text
