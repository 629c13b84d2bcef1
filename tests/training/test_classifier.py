"""fit_classifier: a copy of the encoder with a new head, trained on labeled images."""

from __future__ import annotations

import copy

import pytest
import torch
from small_training import assert_same_weights

from course_lib.data import Batches, augment, load
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit, fit_classifier


def encoder() -> ConvEncoder:
    return ConvEncoder(1, (4, 8), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch_size", [8, 32, 500])
def test_it_is_the_loop_that_notebooks_wrote(batch_size):
    few = load("glyphs", n=40)
    generator = torch.Generator().manual_seed(3)
    by_hand = Classifier(encoder(), len(few.class_names), generator=generator)
    options = {"batch_size": min(batch_size, 40), "shuffle": True, "generator": generator}
    fit(by_hand, Batches(few.images, few.labels, augment=augment.random_shift, **options), steps=6, lr=1e-2)
    assert_same_weights(
        fit_classifier(encoder(), few, steps=6, lr=1e-2, batch_size=batch_size, seed=3), by_hand.state_dict()
    )


def test_all_of_the_copy_learns_and_the_encoder_stays_as_it_is():
    few, source = load("glyphs", n=40), encoder()
    before = copy.deepcopy(source)
    model = fit_classifier(source, few, steps=3)
    assert_same_weights(source, before.state_dict())
    weights = dict(before.named_parameters())
    assert all(not torch.equal(weight, weights[name]) for name, weight in model.encoder.named_parameters())


def test_the_seed_decides():
    few = load("glyphs", n=40)
    one, same, other = (fit_classifier(encoder(), few, steps=2, seed=seed) for seed in (0, 0, 1))
    assert_same_weights(one, same.state_dict())
    assert not torch.equal(one.head.weight, other.head.weight)
