"""Unit 12: the experiments behind its numbers run, and still say what the text says."""

from __future__ import annotations

import pytest
import torch
from recorded_unit import RecordedUnit

from course_lib import capstone, records
from course_lib.authoring import recording
from course_lib.capstone import Configuration, Rule, Way

UNIT = "12_capstone"
RECORDED = RecordedUnit(UNIT, UNIT, "digits")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", recording.load_experiments(UNIT).EXPERIMENTS)
def test_an_experiment_runs_and_gives_the_same_figures_again(name):
    RECORDED.runs(name, twice=name == "choice")  # labels, weights and halves of the test all come from the seed


def test_each_set_of_labels_has_images_of_its_own():
    data = capstone.project("digits", 1)
    assert len(data.labeled) == 40 and len(data.validation) == 100 and len(data.test) == 360
    for part, per_class in ((data.labeled, 4), (data.validation, 10)):
        assert part.labels.bincount().tolist() == [per_class] * 10
    sets = [set(map(bytes, part.flatten(1).numpy())) for part in (data.pool, data.validation.images, data.test.images)]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    assert torch.equal(data.pool[:40], data.labeled.images) and torch.equal(data.hidden[:40], data.labeled.labels)


def test_a_frozen_encoder_stays_as_it_was_and_the_original_too(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    data = capstone.project("digits")
    encoder = data.first_weights()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    probe = capstone.trained(data, encoder, Way.PROBE, Rule.FIXMATCH)
    tuned = capstone.trained(data, encoder, Way.LP_FT, Rule.FIXMATCH)
    for name, value in before.items():
        assert torch.equal(encoder.state_dict()[name], value) and torch.equal(probe.encoder.state_dict()[name], value)
    assert not torch.equal(tuned.encoder.blocks[0][0].weight, before["blocks.0.0.weight"])
    assert not probe.training and all(parameter.requires_grad for parameter in probe.parameters())


def test_a_temperature_is_found_and_judged_by_the_other_half():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(4000, 5, generator=generator)
    labels = torch.multinomial((2 * truth).softmax(dim=1), 1, generator=generator).squeeze(1)
    assert capstone.best_temperature(truth, labels) == pytest.approx(0.5, abs=0.05)
    assert capstone.temperature_helps(truth, labels) and not capstone.temperature_helps(2 * truth[:12], labels[:12])
    sharp, fitted = (capstone.calibration_error(8 * truth, labels, temperature=t) for t in (1.0, 4.0))
    assert fitted < 0.03 < sharp


def test_it_is_about_digits_and_no_row_of_the_table():
    assert records.main_dataset(UNIT) == "digits" and UNIT not in records.table.listed_methods()
    assert str(Configuration("SimCLR", Way.LP_FT, Rule.FIXMATCH)) == "SimCLR, LP-FT, FixMatch"


def test_the_text_quotes_every_experiment_and_three_seeds():
    assert RECORDED.shown() == set(recording.load_experiments(UNIT).EXPERIMENTS)
    RECORDED.assert_every_seed_is_recorded()
