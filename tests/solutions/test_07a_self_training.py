"""Unit 07, first notebook: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import pytest
from recorded_unit import RecordedUnit, numbers_in

from course_lib import records

UNIT = "07_pseudo_labels"
RECORDED = RecordedUnit(UNIT, "07a_self_training")
figure, mean, gaps = RECORDED.figure, RECORDED.mean, RECORDED.gaps
EXPERIMENTS = ("label_curve", "rounds", "threshold", "temperature", "naive", "imbalance", "baselines")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    figures = RECORDED.runs(name, twice=name != "label_curve")  # which is the longest
    assert all(0 <= number <= 10 for number in numbers_in(figures))
    if name == "label_curve":
        for prefix in ("pseudo_label", "scratch"):
            assert {f"{prefix}@{budget}" for budget in (2, 5)} <= figures.keys()


def test_the_text_quotes_every_experiment():
    assert RECORDED.shown() == {*EXPERIMENTS, "protocol"}


def test_every_quoted_number_has_three_seeds():
    RECORDED.assert_every_seed_is_recorded()


def test_the_claim_of_the_notebook_holds_on_every_seed():
    """With weak views, three rounds gain from five labels per class on, and lose with one."""
    for budget, gain in ((5, 0.05), (10, 0.05), (20, 0.02)):
        assert min(gaps(f"protocol:self_training_weak@{budget}", f"protocol:scratch_weak@{budget}")) >= gain
    assert min(gaps("protocol:scratch_weak@1", "protocol:self_training_weak@1")) > 0
    assert min(gaps("label_curve:pseudo_label@10", "label_curve:scratch@10")) >= 0.05, "so does the shorter recipe"
    assert (
        mean("rounds", "restarted_chosen@1")
        < mean("rounds", "restarted_chosen@2")
        < mean("rounds", "restarted_chosen@3")
    )


def test_believing_everything_falls_on_every_seed_and_favors_some_classes():
    assert min(gaps("naive:naive@0", "naive:naive@5")) >= 0.15
    curve = records.curve(UNIT, "naive", "naive").mean
    assert list(curve) == sorted(curve, reverse=True), "round after round"
    assert mean("naive", "naive_right@1") > mean("naive", "naive_right@5") + 0.1
    assert mean("naive", "naive_largest@5") > mean("naive", "naive_largest@1") + 0.05
    assert mean("naive", "naive_smallest@5") < 0.01 < mean("naive", "naive_smallest@1")
    assert min(gaps("naive:threshold@3", "naive:naive@5")) >= 0.15


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""
    # few labels: bolder than they may be; ten: more modest
    assert mean("threshold", "precision_5@0.9") < 0.9 < mean("threshold", "precision_10@0.9")
    assert mean("threshold", "error_5") > mean("threshold", "error_10") + 0.03
    # the threshold is worth more than the restart
    continued, restarted = mean("rounds", "continued@3"), mean("rounds", "restarted@3")
    assert continued > mean("rounds", "own_argmax@3") + 0.02
    assert abs(continued - restarted) < continued - mean("rounds", "own_argmax@3")
    assert mean("rounds", "own_argmax@3") > mean("rounds", "restarted@0")
    # labeled images drowned
    assert min(gaps("label_curve:pseudo_label@20", "label_curve:once@20")) > 0.04
    assert min(gaps("label_curve:once@20", "label_curve:scratch@20")) < -0.03
    assert mean("label_curve", "right@5") < mean("label_curve", "right@20") - 0.1
    assert min(gaps("label_curve:pseudo_label@10", "label_curve:scratch@10", dataset="mnist")) > 0.02
    # scikit-learn's: far below on pixels, about the network's own on its features
    network = mean("baselines", "network")
    for kind in ("svc", "self_training", "propagation", "spreading"):
        assert mean("baselines", f"{kind}_pixels") < network - 0.15
        assert abs(mean("baselines", f"{kind}_features") - network) < 0.08
        assert mean("baselines", f"{kind}_features") < mean("label_curve", "pseudo_label@10") - 0.05
    # rare classes pay, and a limit repays them, at about the same accuracy
    assert mean("imbalance", "threshold_rare") < mean("imbalance", "scratch_rare") - 0.05
    assert min(gaps("imbalance:scratch_rare", "imbalance:threshold_rare")) > 0, "better on no seed"
    assert min(gaps("imbalance:balanced_rare", "imbalance:threshold_rare")) > 0.1
    assert abs(mean("imbalance", "balanced") - mean("imbalance", "threshold")) < 0.05
