"""Unit 11, second notebook: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

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


def test_the_text_quotes_every_experiment_of_this_notebook():
    assert RECORDED.shown() == set(MINE)
    RECORDED.assert_every_seed_is_recorded()
