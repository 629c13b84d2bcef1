"""Notebook 11a: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import pytest
from recorded_unit import RecordedUnit

from course_lib import records

UNIT = "11_beyond_one_model"
RECORDED = RecordedUnit(UNIT, "11a_adapters")
mean, always = RECORDED.mean, RECORDED.always
EXPERIMENTS = ("text", "images", "captions", "unnamed")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    # images, captions and weights all come from the seed
    RECORDED.runs(name, twice=name == "unnamed", varies=lambda key: key.endswith("_seconds"))


def values(experiment, key):
    return RECORDED.figure(experiment, key).values


def test_the_captions_say_what_the_text_says():
    """The prose claims directions; a record that turns round must fail here and be read again."""
    for few, many in (("tenth", "third"), ("third", "all"), ("exchanged", "all")):
        assert always("captions", f"single_{many}", f"single_{few}")
    for kind in ("all", "third", "tenth", "exchanged"):
        assert always("captions", f"ensemble_{kind}", f"single_{kind}")
    for kind in ("all", "third"):  # zero-shot is above ten labels per class where names are frequent
        assert always("captions", f"ensemble_{kind}", f"probe_{kind}@10")
    assert always("captions", "probe_tenth@10", "ensemble_tenth")
    assert min(values("captions", "sides_tenth")) > 0.95
    # "thing" is said of the unnamed class alone, so the training is the same to the last digit
    assert values("captions", "loss_never") == values("captions", "loss_all")


def test_the_unnamed_class_hides_behind_the_word_that_takes_its_place():
    assert always("unnamed", "recall_thing", "recall") and min(values("unnamed", "recall_thing")) > 0.8
    assert max(values("unnamed", "recall")) - min(values("unnamed", "recall")) > 0.3, "accidental"
    assert min(values("unnamed", "named")) > 0.9


def test_the_adapters_say_what_the_text_says():
    for k in (10, 50):
        assert all(always("text", f"full@{k}", f"{name}@{k}") for name in ("head", "biases", "lora", "bottleneck"))
    for name in ("biases", "lora", "bottleneck"):  # they reach what the head reaches
        assert abs(mean("text", f"{name}@10") - mean("text", "head@10")) < 0.02
    assert always("text", "head@10", "lora1@10") and always("text", "lora@50", "head@50")
    assert always("text", "random_full@10", "random_lora@10") and always("text", "random_full@10", "random_biases@10")
    assert mean("text", "random_lora@10") - mean("text", "random_head@10") < 0.04
    assert mean("text", "head@10") - mean("text", "random_full@10") > 0.15
    assert mean("text", "lora_seconds") > mean("text", "full_seconds") * 0.9, "no time is saved"


def test_the_image_encoder_says_what_the_text_says():
    for k in (10, 50):
        for name in ("lora", "bottleneck"):
            assert always("images", f"full@{k}", f"{name}@{k}") and always("images", f"{name}@{k}", f"head@{k}")
    assert always("images", "random_full@10", "lora@10") and always("images", "random_full@10", "bottleneck@10")


def test_the_text_quotes_every_experiment_that_is_recorded_and_three_seeds():
    recorded = {record.experiment for record in records.all_records() if record.unit == UNIT}
    assert RECORDED.shown() == set(EXPERIMENTS) <= recorded
    RECORDED.assert_every_seed_is_recorded()
