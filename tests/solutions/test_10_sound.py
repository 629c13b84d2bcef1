"""Unit 10: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import pytest
from recorded_unit import RecordedUnit

from course_lib import records
from course_lib.authoring import recording

UNIT = "10_sound"
RECORDED = RecordedUnit(UNIT, UNIT, "words")
mean, always = RECORDED.mean, RECORDED.always
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", recording.load_experiments(UNIT).EXPERIMENTS)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    RECORDED.runs(name, twice=name == "negatives")  # recordings, labels and weights all come from the seed


def test_it_is_recorded_on_sound_and_stands_in_a_table_of_its_own():
    assert records.main_dataset(UNIT) == "words"
    table = records.results_table(columns={"words": records.COLUMNS["words"]})
    assert "on *words*" in table and "CPC, fine-tuned" in table and "SimCLR" not in table


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""
    for k in (5, 10, 50):
        assert always("label_curve", f"cpc@{k}", f"scratch@{k}") and always("label_curve", f"cpc@{k}", f"gru@{k}")
        assert always("label_curve", f"scratch@{k}", f"logmel@{k}") and always("label_curve", f"gru@{k}", f"logmel@{k}")
        assert always("label_curve", f"cpc_frozen@{k}", f"logmel@{k}")
        assert always("label_curve", f"cpc_frozen@{k}", f"random_frozen@{k}")
        assert mean("label_curve", f"cpc_frozen@{k}") < mean("label_curve", f"scratch@{k}")
    assert always("negatives", "guessed_others", "guessed_same")
    assert always("negatives", "finetuned_same@10", "finetuned_others@10")
    assert always("speakers", "logmel@10", "cpc_frozen@10") and always("speakers", "cpc_frozen@10", "random_frozen@10")
    # an untuned baseline doubles the gain, or more
    gain, looks = (mean("label_curve", "cpc@10") - mean("untuned", f"{name}@10") for name in ("tuned", "untuned"))
    assert looks > 2 * gain > 0
    # the rate and the steps from scratch are those that are best for the validation speakers, or as good
    tried = {
        name: mean("untuned", f"{name}_validation@10") for name in ("untuned", "middle", "longer", "tuned", "high")
    }
    assert tried["tuned"] > max(tried["untuned"], tried["middle"], tried["high"])
    assert not always("untuned", "longer_validation@10", "tuned_validation@10")


def test_the_text_quotes_every_experiment_and_three_seeds():
    assert RECORDED.shown() == set(recording.load_experiments(UNIT).EXPERIMENTS)
    RECORDED.assert_every_seed_is_recorded()
