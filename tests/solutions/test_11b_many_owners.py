"""Unit 11, second notebook: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import itertools

import pytest
from recorded_unit import RecordedUnit, numbers_in

from course_lib.authoring import recording

UNIT = "11_beyond_one_model"
RECORDED = RecordedUnit(UNIT, "11b_many_owners")
figure, mean = RECORDED.figure, RECORDED.mean
MINE = tuple(recording.load_experiments(UNIT).EXPERIMENTS_B)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", MINE)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    figures = RECORDED.runs(name, twice=name in ("privacy", "leak"))
    assert all(-1 <= number <= 1.001 for number in numbers_in(figures))


def test_the_text_quotes_what_is_recorded():
    assert RECORDED.shown() == set(MINE)
    RECORDED.assert_every_seed_is_recorded()


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""
    even, alone, pooled = (mean("rounds", key) for key in ("rotation_iid@10", "rotation_alone", "rotation_pooled"))
    assert even > 2 * alone and pooled - even < 0.2, "far better than alone, and close to pooled"
    assert min(figure("rounds", "rotation_two@10").values) > 0.3, "above what two classes of ten allow"
    assert min(figure("leak", "images@1").values) > 0.999 < min(figure("leak", "noise@0").values)
    assert max(figure("leak", "noise@0.03").values) < 0.2 < min(figure("leak", "noise@0.01").values)
    noisy = [figure("privacy", f"noise@{noise}").values for noise in ("0", "0.01", "0.03", "0.1")]
    assert all(a > b for less, more in itertools.pairwise(noisy) for a, b in zip(less, more)), "more noise costs more"
    for style in ("filled", "outlined"):
        averaged, local = (figure("styles", f"{way}_{style}").values for way in ("averaged", "local"))
        assert all(a > b for a, b in zip(averaged, local)), "FedBN does not help here"
