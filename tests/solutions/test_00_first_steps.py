"""Unit 00: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import math

import pytest
from recorded_unit import RecordedUnit

from course_lib import records

UNIT = "00_first_steps"
RECORDED = RecordedUnit(UNIT, UNIT)
figure, mean = RECORDED.figure, RECORDED.mean
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["label_curve", "failures"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    figures = RECORDED.runs(name, twice=name == "failures")
    assert all(0 <= value <= 1 for key, value in figures.items() if "loss" not in key and key != "softmax_floor")
    if name == "failures":
        assert figures["softmax_floor"] == pytest.approx(math.log(1 + 9 / math.e))
    else:
        for prefix in ("scratch", "random_probe", "pixels_knn"):
            assert {f"{prefix}@{budget}" for budget in (1, 2, 5, 10, 20, 50)} <= figures.keys()


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""
    assert figure("label_curve", "scratch@10").n >= 3
    curve = records.curve(UNIT, "label_curve", "scratch").mean
    assert list(curve) == sorted(curve)
    assert curve[0] < 0.3 and mean("label_curve", "full_labels") > 0.95
    assert mean("label_curve", "scratch@10") > mean("label_curve", "pixels_knn@10") > 0.2
    assert mean("label_curve", "full_labels") - mean("label_curve", "scratch@5") > 0.2
    assert mean("failures", "softmax_loss") > mean("failures", "softmax_floor") > 3 * mean("failures", "logits_loss")
    assert mean("failures", "softmax_accuracy") > 0.8
    assert mean("failures", "train_mode_sorted_accuracy") < 0.5 < mean("failures", "logits_accuracy")
    assert mean("failures", "loss_by_batch_means") > 5 * mean("failures", "loss_of_all_images")
