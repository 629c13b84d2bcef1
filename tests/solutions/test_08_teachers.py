"""Unit 08: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import math
import re

import pytest

from course_lib import records
from course_lib.authoring import recording, release

UNIT = "08_teachers"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", recording.load_experiments(UNIT).EXPERIMENTS)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    def run():
        module = recording.load_experiments(UNIT)  # afresh: it keeps trained networks
        figures = module.EXPERIMENTS[name](dataset="glyphs", profile="smoke", seed=3)
        return {key: value for key, value in figures.items() if not key.startswith("seconds")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PROFILE", "smoke")
        figures = run()
        if name == "rounds":  # views, draws and heads all come from the seed
            assert figures == run()
    assert figures and all(math.isfinite(number) for number in figures.values())


def values(experiment, key, **where):
    found = records.figure(UNIT, experiment, key, **where).values
    assert len(found) >= 3
    return found


def in_order(experiment, *keys, **where):
    """Whether the figures rise from key to key on every seed."""
    rows = zip(*(values(experiment, key, **where) for key in keys), strict=True)
    return all(list(row) == sorted(set(row)) for row in rows)


def test_a_student_that_never_saw_a_label_is_within_a_point_of_its_teacher_on_every_seed():
    for student in ("hard", "t1"):
        pairs = zip(values("distillation", student), values("distillation", "teacher"), strict=True)
        assert all(student > teacher - 0.01 for student, teacher in pairs)
    # a high temperature gains nothing where no class is missing
    mean = {key: records.figure(UNIT, "distillation", key).mean for key in ("hard", "t1", "t4")}
    assert mean["t4"] < max(mean["hard"], mean["t1"])


def test_the_factor_is_exactly_the_square_of_the_temperature():
    for t in (1, 2, 4, 8):
        pairs = zip(values("distillation", f"gradient@{t}"), values("distillation", f"plain_gradient@{t}"), strict=True)
        assert all(math.isclose(with_it, t**2 * without) for with_it, without in pairs)


def test_temperature_shows_where_a_class_is_missing():
    for dataset in ("glyphs", "digits"):
        assert in_order("missing_class", "hard_auroc", "t1_auroc", "t4_auroc", dataset=dataset)
    assert max(max(values("missing_class", f"{name}_predicted")) for name in ("hard", "t1", "t4")) < 0.05


def test_logits_are_the_best_outputs_of_a_teacher_of_other_classes():
    assert in_order("features", "one_hot@5", "probabilities@5", "logits@5")
    assert in_order("features", "scratch@5", "logits@5") and in_order("features", "finetuned@5", "logits@5")


def test_whitened_features_of_pretrained_encoders_have_the_best_clusters():
    for encoder in ("rotation", "contrastive"):
        assert in_order("clusters", "random", "pixels", encoder)
        assert in_order("clusters", f"standardized_{encoder}", encoder)
    means = [records.figure(UNIT, "clusters", encoder).mean for encoder in ("rotation", "contrastive")]
    assert means[0] < means[1] and not in_order("clusters", "rotation", "contrastive")


def test_the_rise_is_real_and_new_clusters_are_not_its_cause():
    for name in ("rounds", "fixed"):
        assert in_order("rounds", f"{name}_probe@0", f"{name}_probe@5")
    pairs = zip(*(values("rounds", f"{name}_probe@5") for name in ("rounds", "fixed")), strict=True)
    assert all(abs(new - fixed) < 0.02 for new, fixed in pairs)
    assert in_order("rounds", "its_labels", "pupil")
    assert all(abs(same - 0.1) < 0.2 for same in values("rounds", "same@1"))
    assert in_order("rounds", "same@1", "matched@1")
    assert in_order("rounds", "rounds_first_loss@2", "kept_first_loss@2")


def test_every_score_finds_the_best_encoder_and_a_short_training_the_second_best_too():
    for figure in ("h_score", "logme", "probe", "short", "finetuned", "lp_ft"):
        for other in ("random", "rotation", "contrastive"):
            assert in_order("sources", f"{figure}:{other}", f"{figure}:clusters")
    for score in ("h_score", "logme", "probe"):
        assert in_order("sources", f"{score}:rotation", f"{score}:contrastive")
    for trained in ("short", "finetuned"):
        assert in_order("sources", f"{trained}:contrastive", f"{trained}:rotation")


_SOURCE = release.folder_of(UNIT).joinpath(f"{UNIT}.py").read_text()
_PLACEHOLDER = re.compile(r'result\(\s*"(\w+)",\s+"([\w@:-]+)"(?:,\s+dataset="([\w-]+)")?\)')
QUOTED = [
    (name, key, {"dataset": data} if data else {})
    for name, key, data in _PLACEHOLDER.findall(_SOURCE.replace("\n# ", " "))
]
_TABLES = re.findall(r'figures_table\([^}]*\}, (?:\([\d, ]+\)|\{[^}]*\}), "(\w+)"', _SOURCE.replace("\n# ", " "))


def test_every_quoted_number_has_three_seeds():
    assert QUOTED and all(values(name, key, **where) for name, key, where in QUOTED)


def test_the_text_quotes_every_experiment():
    assert {name for name, *_ in QUOTED} | set(_TABLES) == set(recording.load_experiments(UNIT).EXPERIMENTS)
