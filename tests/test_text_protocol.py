"""The task of unit 09 for later units: texts split by file, and an encoder that has learned from masked words."""

from __future__ import annotations

import pytest
import torch

from course_lib import settings, text_protocol


@pytest.fixture(scope="module", autouse=True)
def _smoke():
    with settings.variables(COURSE_PROFILE="smoke"):
        for cached in (text_protocol.text_setting, text_protocol.pretrained_encoder):
            cached.cache_clear()
        yield
        for cached in (text_protocol.text_setting, text_protocol.pretrained_encoder):
            cached.cache_clear()


def test_no_file_is_on_both_sides_and_labels_are_balanced():
    data = text_protocol.text_setting(1)
    assert not set(data.train.files) & set(data.test.files)
    ids, labels = data.few(3)
    assert ids.shape == (3 * len(data.train.class_names), 32)
    assert labels.bincount().tolist() == [3] * len(data.train.class_names)
    assert data.test.labels.bincount().max() <= 20
    assert torch.equal(ids, data.few(3)[0])


def test_seeds_differ_in_the_split_and_the_first_weights():
    one, two = text_protocol.text_setting(0), text_protocol.text_setting(1)
    assert set(one.test.files) != set(two.test.files)
    assert not torch.equal(one.first_weights().layers.position, two.first_weights().layers.position)


def test_the_pretrained_encoder_begins_with_counted_embeddings_and_has_learned():
    data, encoder = text_protocol.text_setting(0), text_protocol.pretrained_encoder(0)
    assert encoder is text_protocol.pretrained_encoder(0)
    lengths = encoder.layers.embedding.weight[3:].norm(dim=1)
    assert 0.8 < lengths.median().item() < 1.2
    assert not torch.equal(encoder.layers.position, data.first_weights().layers.position)
    features = encoder(data.test_ids[:4])
    assert features.shape == (4, 32, text_protocol.DIM) and features.isfinite().all()
