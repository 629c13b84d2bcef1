"""Notebook 11a: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import math
import re

import pytest

from course_lib import records
from course_lib.authoring import recording, release

UNIT, NOTEBOOK = "11_beyond_one_model", "11a_adapters"
EXPERIMENTS = ("text", "images", "captions", "unnamed")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    def run():
        module = recording.load_experiments(UNIT)  # afresh: it keeps trained networks
        figures = module.EXPERIMENTS[name](dataset="glyphs", profile="smoke", seed=3)
        return {key: value for key, value in figures.items() if not key.endswith("_seconds")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        figures = run()
        if name == "unnamed":  # images, captions and weights all come from the seed
            assert figures == run()
    assert figures and all(math.isfinite(number) for number in figures.values())


def values(experiment, key):
    found = records.figure(UNIT, experiment, key)
    assert found.n >= 3
    return found.values


def always(experiment, larger, smaller):
    return all(a > b for a, b in zip(values(experiment, larger), values(experiment, smaller), strict=True))


def mean(experiment, key):
    return sum(values(experiment, key)) / len(values(experiment, key))


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


_SOURCE = release.folder_of(UNIT).joinpath(f"{NOTEBOOK}.py").read_text().replace("\n# ", " ")
_QUOTED = set(re.findall(r'result\(\s*"(\w+)"', _SOURCE)) | set(
    re.findall(r'figures_table\([^}]*\}, \([\d, ]+\), "(\w+)"', _SOURCE)
)


def test_the_text_quotes_every_experiment_that_is_recorded():
    recorded = {record.experiment for record in records.all_records() if record.unit == UNIT}
    assert "captions" in recorded and recorded & set(EXPERIMENTS) <= _QUOTED
