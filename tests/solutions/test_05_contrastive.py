"""Unit 05: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import math
import re

import pytest

from course_lib import records
from course_lib.authoring import recording, release

UNIT = "05_contrastive"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["inside", "collapse", "augmentations", "protocol"])
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    def run():
        module = recording.load_experiments(UNIT)
        return module.EXPERIMENTS[name](dataset="glyphs", profile="smoke", seed=3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        figures = run()
        if name in ("collapse", "augmentations"):  # views, batches and weights all come from the seed
            assert figures == run()
    numbers = [n for value in figures.values() for n in (value if isinstance(value, list) else [value])]
    assert numbers and all(math.isfinite(number) for number in numbers)


def figure(experiment, key, **where):
    return records.figure(UNIT, experiment, key, **where)


def mean(experiment, key, **where):
    return figure(experiment, key, **where).mean


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


_SOURCE = release.folder_of(UNIT).joinpath(f"{UNIT}.py").read_text()
_PLACEHOLDER = re.compile(r'result\(\s*"(\w+)",\s+"([\w@-]+)"(?:,\s+dataset="([\w-]+)")?\)')
QUOTED = [
    (name, key, {"dataset": data} if data else {})
    for name, key, data in _PLACEHOLDER.findall(_SOURCE.replace("\n# ", " "))
]
_TABLES = re.findall(r'figures_table\([^}]*\}, (?:\([\d, ]+\)|\{[^}]*\}), "(\w+)"', _SOURCE.replace("\n# ", " "))


def test_the_text_quotes_every_experiment():
    assert {name for name, *_ in QUOTED} | set(_TABLES) == set(recording.load_experiments(UNIT).EXPERIMENTS)


def test_what_is_quoted_was_recorded_for_three_seeds():
    assert QUOTED and all(figure(name, key, **where).n >= 3 for name, key, where in QUOTED)
