"""fit_classifier and fit_text_classifier: a copy of the encoder with a new head, trained on few labels."""

from __future__ import annotations

import copy

import pytest
import torch
from small_training import assert_same_weights

from torch import nn

from course_lib.data import Batches, augment, load
from course_lib.data.text import MASK
from course_lib.models import Classifier, ConvEncoder, TransformerLayers
from course_lib.training import fit, fit_classifier, fit_text_classifier


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


# --- texts


class Embedded(nn.Module):
    """The smallest text encoder: the embeddings; it notes what it is given."""

    def __init__(self):
        super().__init__()
        self.layers, self.seen = TransformerLayers(20, dim=8, heads=2), []

    def forward(self, ids):
        self.seen.append(ids)
        return self.layers.embedding(ids)


def mean(features, ids):
    return features.mean(dim=1)


IDS, LABELS = torch.arange(3, 13).repeat(4, 1).T.repeat(5, 1), torch.arange(50) % 10  # ten words, one class each


def fitted(source, **options):
    return fit_text_classifier(source, mean, IDS, LABELS, **{"steps": 40, "lr": 0.05, "progress": False} | options)


def test_a_text_classifier_learns_on_a_copy_and_sees_masks():
    source = Embedded()
    before = copy.deepcopy(source.state_dict())
    model = fitted(source)
    assert_same_weights(source, before)
    assert model(IDS).shape == (50, 10) and model(IDS).argmax(dim=1).tolist() == LABELS.tolist()
    seen = torch.cat(model.encoder.encoder.seen[:40])
    assert 0.05 < (seen == MASK).float().mean().item() < 0.15 and len(seen) <= 40 * 32
    assert not torch.equal(model.encoder.encoder.layers.embedding.weight, before["layers.embedding.weight"])


def test_the_seed_decides_for_texts_too():
    one, same, other = (fitted(Embedded(), steps=3, seed=seed) for seed in (0, 0, 1))
    assert_same_weights(one, same.state_dict())
    assert not torch.equal(one.head.weight, other.head.weight)
