"""Unit 05: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import pytest
from recorded_unit import RecordedUnit

from course_lib.authoring import recording

UNIT = "05_contrastive"
RECORDED = RecordedUnit(UNIT, UNIT)
figure, mean = RECORDED.figure, RECORDED.mean
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["inside", "collapse", "augmentations", "protocol"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    # views, batches and weights all come from the seed
    RECORDED.runs(name, twice=name in ("collapse", "augmentations"))


def test_outputs_collapse_without_a_stop_gradient_and_a_batch_norm_hides_it():
    assert max(figure("collapse", "spread_open@100").values) < 0.15
    assert max(figure("collapse", "spread_distance@100").values) < 0.15
    assert min(figure("collapse", "spread_stopped@100").values) > 0.5
    assert min(figure("collapse", "spread_statistics@100").values) > 0.5
    assert min(figure("collapse", "spread_open_normed@100").values) > 0.5
    # the loss of the collapsed network is the better one
    pairs = zip(figure("collapse", "loss_open").values, figure("collapse", "loss_stopped").values, strict=True)
    assert all(collapsed < usual - 0.2 for collapsed, usual in pairs)


def test_the_lower_loss_has_the_worse_features():
    losses, probes = (
        [mean("augmentations", f"{name}_{kind}") for name in ("nothing", "brightness_contrast")]
        for kind in ("loss", "probe")
    )
    assert losses[1] < 0.7 * losses[0] and probes[1] < probes[0] - 0.05


def test_the_features_are_ahead_of_rotation():
    ours, theirs = (figure("protocol", f"{name}_frozen@10").values for name in ("contrastive", "rotation"))
    assert len(ours) >= 3 and all(a > b for a, b in zip(ours, theirs, strict=True))
    blocks = [mean("inside", f"contrastive_block{block}_probe") for block in (1, 2, 3)]
    assert blocks == sorted(blocks)
    assert mean("inside", "random_block3_probe") < blocks[2] - 0.2


def _ahead(first, second, budgets):
    """Whether a row of the table is ahead of another one on every seed, at these numbers of labels per class."""
    pairs = [[figure("protocol", f"{name}@{k}").values for name in (first, second)] for k in budgets]
    return all(a > b for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True))


def test_fine_tuned_they_are_behind_rotation_and_the_kept_head_helps_with_few_labels():
    assert _ahead("rotation_weak", "contrastive_weak", (1, 5, 10, 50))
    assert _ahead("contrastive_head_lp_ft_weak", "contrastive_lp_ft_weak", (1, 5))
    assert not _ahead("contrastive_head_lp_ft_weak", "contrastive_lp_ft_weak", (50,))


def test_the_text_quotes_every_experiment_for_three_seeds():
    assert RECORDED.shown() == set(recording.load_experiments(UNIT).EXPERIMENTS)
    assert all(figure(name, key, **where).n >= 3 for name, key, where in RECORDED.quoted())
