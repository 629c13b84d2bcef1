"""Unit 09: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import math
import re

import pytest

from course_lib import records
from course_lib.authoring import recording, release

UNIT = "09_text"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["label_curve", "all_tokens", "splits", "harder"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    def run():
        module = recording.load_experiments(UNIT)  # afresh: it keeps trained networks
        return module.EXPERIMENTS[name](dataset="docstrings", profile="smoke", seed=3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        figures = run()
        if name == "all_tokens":  # split, labels, weights and masks all come from the seed
            assert figures == run()
    assert figures and all(math.isfinite(number) for number in figures.values())


def test_it_is_recorded_on_text_and_says_which_versions_were_read():
    """Whatever is installed here: the records name what they were made with."""
    assert records.main_dataset(UNIT) == recording.load_experiments(UNIT).DATASET == "docstrings"
    for name in recording.load_experiments(UNIT).EXPERIMENTS:
        environment = records.read(UNIT, name, dataset="docstrings").environment
        assert {"numpy", "scipy", "sklearn", "torch", "sympy", "networkx", "sqlalchemy"} <= set(environment)


def values(experiment, key):
    found = records.figure(UNIT, experiment, key, dataset="docstrings")
    assert found.n >= 3
    return found.values


def mean(experiment, key):
    return sum(values(experiment, key)) / len(values(experiment, key))


def always(experiment, larger, smaller):
    return all(a > b for a, b in zip(values(experiment, larger), values(experiment, smaller), strict=True))


def test_the_recorded_numbers_say_what_the_text_says():
    """The prose claims directions; a record that turns one round must fail here and be read again."""
    # the transformer ties with counting at 50, and adds nothing to counted embeddings
    assert abs(mean("label_curve", "masked@50") - mean("label_curve", "counted@50")) < 0.02
    assert abs(mean("label_curve", "from_counted@10") - mean("label_curve", "counted@10")) < 0.02
    assert mean("label_curve", "masked_frozen@50") < mean("label_curve", "counted@50")
    assert always("label_curve", "masked@10", "counted@10")
    assert mean("label_curve", "masked@10") - mean("label_curve", "counted@10") < 0.06, "not by much"
    # the loss over all words: good to look at, equal at <mask>, worse afterwards
    assert mean("all_tokens", "accuracy_all") > 0.85 > 0.15 > mean("all_tokens", "accuracy_masked")
    assert abs(mean("all_tokens", "replaced_all") - mean("all_tokens", "replaced_masked")) < 0.01
    # leaks
    gains = [mean("splits", f"snippet@{k}") - mean("splits", f"file@{k}") for k in (10, 50, 200, 1000)]
    assert gains == sorted(gains) and gains[-1] > 0.1
    assert all(abs(mean("splits", f"names@{k}") - mean("splits", f"file@{k}")) < 0.03 for k in (10, 50, 200, 1000))
    assert always("harder", "counted@10", "masked@10") and mean("harder", "classes") > 9


_SOURCE = release.folder_of(UNIT).joinpath(f"{UNIT}.py").read_text().replace("\n# ", " ")
_QUOTED = set(re.findall(r'result\(\s*"(\w+)"', _SOURCE)) | set(
    re.findall(r'figures_table\([^}]*\}, \([\d, ]+\), "(\w+)"', _SOURCE)
)


def test_the_text_quotes_every_experiment():
    assert set(recording.load_experiments(UNIT).EXPERIMENTS) == _QUOTED
