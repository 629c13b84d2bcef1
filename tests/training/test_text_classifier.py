"""fit_text_classifier: a copy of a text encoder with a new head, trained on labeled texts with some words masked."""

from __future__ import annotations

import copy

import torch
from small_training import assert_same_weights
from torch import nn

from course_lib.data.text import MASK
from course_lib.models import TransformerLayers
from course_lib.training import fit_text_classifier


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


def test_the_seed_decides():
    one, same, other = (fitted(Embedded(), steps=3, seed=seed) for seed in (0, 0, 1))
    assert_same_weights(one, same.state_dict())
    assert not torch.equal(one.head.weight, other.head.weight)
