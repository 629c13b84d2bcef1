"""The protocol of the results table: what rows share, and that what differs between them is only what they say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from course_lib import protocol, settings
from course_lib.protocol import Views


@pytest.fixture(autouse=True)
def _smoke():
    with settings.variables(COURSE_PROFILE="smoke"):
        protocol.setting.cache_clear()
        yield
    protocol.setting.cache_clear()


def test_all_rows_begin_with_the_same_encoder_and_head():
    data = protocol.setting("glyphs", 0)
    one, two = protocol.classifier(data), protocol.classifier(data)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    pretrained = data.first_weights(grid=2)  # with another pooling, and blocks that were changed
    with torch.no_grad():
        pretrained.blocks[0][0].weight.add_(1.0)
    third = protocol.classifier(data, pretrained)
    assert torch.equal(third.encoder.blocks[0][0].weight, pretrained.blocks[0][0].weight)
    assert torch.equal(third.head.weight, one.head.weight)


def test_validation_images_are_in_no_training_set_and_the_same_at_every_budget():
    data = protocol.setting("glyphs", 1)
    splits = [data.split(k) for k in (1, 2, 5)]
    for split in splits:
        assert split.validation.sort().values.equal(splits[0].validation.sort().values)
        assert not set(split.validation.tolist()) & set((*split.labeled.tolist(), *split.unlabeled.tolist()))
    assert len(data.pool) == len(data.train) - len(splits[0].validation)


@pytest.mark.parametrize(("views", "copies"), [(Views.WEAK, 1), (Views.STRONG, 2)])
def test_strong_views_show_every_image_twice(views, copies):
    images = torch.rand(5, 1, 28, 28)
    seen = views.of(images, torch.Generator().manual_seed(0))
    assert seen.shape == (copies * 5, 1, 28, 28)
    assert torch.equal(seen[:5], protocol.weak(images, generator=torch.Generator().manual_seed(0)))


def test_a_frozen_encoder_keeps_its_weights_and_statistics_and_learns_afterwards():
    data = protocol.setting("glyphs", 0)
    model = protocol.classifier(data)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    protocol.train_classifier(model, data.few(2), Views.WEAK, seed=0, frozen=True)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("encoder"))
    assert not torch.equal(before["head.weight"], after["head.weight"])
    protocol.train_classifier(model, data.few(2), Views.WEAK, seed=0)
    assert not torch.equal(before["encoder.blocks.0.0.weight"], model.state_dict()["encoder.blocks.0.0.weight"])


def test_a_row_is_repeatable_and_differs_by_seed():
    rows = [protocol.fine_tuned(protocol.setting("glyphs", seed), None, 2, Views.STRONG) for seed in (0, 0, 1)]
    assert rows[0] == rows[1]
    weights = [protocol.setting("glyphs", seed).first_weights().blocks[0][0].weight for seed in (0, 1)]
    assert not torch.equal(*weights)


def test_a_data_set_with_few_images_has_the_budgets_that_it_can_fill():
    data = protocol.setting("digits", 0)
    with settings.variables(COURSE_PROFILE="laptop"):
        assert protocol.budgets(data) == tuple(
            k for k in protocol.BUDGETS if k <= int(data.train.labels.bincount().min()) - protocol.VALIDATION
        )


def test_head_first_trains_the_head_before_the_encoder(monkeypatch):
    data, calls = protocol.setting("glyphs", 0), []
    train_classifier = protocol.train_classifier

    def noted(model, few, views, **options):
        calls.append(options)
        return train_classifier(model, few, views, **options)

    monkeypatch.setattr(protocol, "train_classifier", noted)
    protocol.head_first(data, data.first_weights(), 2, Views.WEAK)
    assert [call.get("frozen", False) for call in calls] == [True, False]
    assert sum(call["count"] for call in calls) == protocol.steps()
    assert calls[1]["lr"] < protocol.LR < calls[0]["lr"]


def test_contrastive_pretraining_begins_with_the_protocols_weights_and_is_kept_per_seed():
    protocol.contrastive_network.cache_clear()
    network = protocol.contrastive_network("glyphs", 0)
    assert protocol.contrastive_encoder("glyphs", 0) is network.encoder
    assert protocol.contrastive_encoder("glyphs", 1) is not network.encoder
    first = protocol.setting("glyphs", 0).first_weights()
    moved = network.encoder.blocks[0][0].weight - first.blocks[0][0].weight
    assert 0 < float(moved.detach().abs().max()) < 0.1  # a few small steps away from the first weights
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    protocol.contrastive_network.cache_clear()
    again = protocol.contrastive_network("glyphs", 0).state_dict()
    assert all(torch.equal(kept[key], value) for key, value in again.items())
    protocol.contrastive_network.cache_clear()


def test_a_projection_head_stands_behind_the_encoder_and_says_how_long_its_output_is():
    data = protocol.setting("glyphs", 0)
    network = protocol.Projected(data.first_weights(), generator=data.generator())
    images = torch.rand(4, 1, 28, 28)
    assert network(images).shape == (4, network.feature_dim)
    assert network.feature_dim == protocol.PROJECTION[1]
    assert torch.equal(network(images), network.head(network.encoder(images)))
    twin = protocol.Projected(data.first_weights(), generator=data.generator())
    assert torch.equal(network.head[0].weight, twin.head[0].weight)


def test_the_two_views_of_contrastive_pretraining_are_drawn_apart_and_no_image_is_left_out(monkeypatch):
    data, seen = protocol.setting("glyphs", 0), []
    contrastive_loss = protocol.contrastive_loss

    def noted(z, **options):
        seen.append(z)
        return contrastive_loss(z, **options)

    monkeypatch.setattr(protocol, "contrastive_loss", noted)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 784, bias=False))
    with torch.no_grad():
        network[1].weight.copy_(torch.eye(784))
    protocol.train_contrastive(network, data, protocol.contrasted, count=2, generator=data.generator())
    views = seen[0].detach().cpu()
    one, two = views.chunk(2)
    assert len(views) == 2 * protocol.UNLABELED
    assert not torch.isclose(one, two).all(dim=1).any()
    # on average two views of one image are closer than views of two images
    assert (one - two).norm(dim=1).mean() < (one - two.roll(1, 0)).norm(dim=1).mean()
