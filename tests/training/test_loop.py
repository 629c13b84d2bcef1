"""fit: the loop, its progress and Ctrl-C."""

from __future__ import annotations

import copy

import pytest
import torch
from small_training import (
    Interrupt,
    assert_same_weights,
    generator,
    make_batches,
    make_data,
    make_model,
    quiet_fit,
    scripted,
)
from torch import nn
from torch.nn import functional as F

from course_lib.models import seeded
from course_lib.training import cross_entropy, fit


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_fit_equals_the_loop_written_by_hand_bit_for_bit(name):
    make = {
        "adamw": lambda p: torch.optim.AdamW(p, lr=2e-3, weight_decay=0.1),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    }[name]
    by_hand = make_model().to(memory_format=torch.channels_last)
    optimizer = make(by_hand.parameters())
    losses = []
    for _ in range(3):
        for x, y in make_batches():
            loss = F.cross_entropy(by_hand(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    model = make_model()
    history = quiet_fit(model, make_batches(), num_epochs=3, optimizer=make, schedule="constant")
    assert history.loss == losses
    assert_same_weights(model, by_hand.state_dict())


def test_the_default_is_adamw_on_a_cosine():
    """Against torch's own optimizer and scheduler; fused or not differs in rounding only."""
    with seeded(generator()):
        # No batch normalization: a bias before it has a gradient of pure rounding errors, which Adam blows up.
        by_hand = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    model = copy.deepcopy(by_hand)
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=5e-3, weight_decay=0.2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    losses, rates = [], []
    for x, y in make_batches() * 2:
        loss = F.cross_entropy(by_hand(x), y)
        optimizer.zero_grad()
        loss.backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    history = quiet_fit(model, make_batches(), num_epochs=2, lr=5e-3, weight_decay=0.2)
    assert history.learning_rate == pytest.approx(rates)
    assert history.loss == pytest.approx(losses, rel=1e-4)
    for ours, theirs in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_steps_go_on_over_epochs_and_stop_within_one():
    history = quiet_fit(make_model(), make_batches(), steps=5)
    assert history.steps == len(history.loss) == 5
    assert history.sizes == [8, 8, 6, 8, 8]
    assert history.epoch_ends == [3, 5]
    assert history.stopped == "finished"
    assert history.seconds > 0


def test_the_loss_of_an_epoch_is_the_mean_over_images_not_over_batches():
    history = quiet_fit(
        make_model(),
        make_batches(),
        lambda model, batch: model(batch[0]).sum() * 0 + float(len(batch[0])),
        num_epochs=2,
    )
    expected = (8 * 8 + 8 * 8 + 6 * 6) / 22
    assert history.epoch_loss == [(3, pytest.approx(expected)), (6, pytest.approx(expected))]
    assert history.mean_loss() == pytest.approx(expected)
    assert history.mean_loss(0, 2) == 8


def test_the_loss_falls_on_something_that_can_be_learned():
    x, y = make_data(64)
    y = (x.mean(dim=(1, 2, 3)) > 0.5).long()
    history = quiet_fit(make_model(), [(x, y)], steps=60, lr=1e-2)
    assert history.loss[-1] < 0.2 * history.loss[0]


def test_other_batches_dicts_and_bare_tensors():
    with seeded(generator()):
        model = nn.Linear(4, 4)
    x = torch.rand(6, 4)
    history = quiet_fit(model, [{"x": x, "extra": None}], lambda m, b: F.mse_loss(m(b["x"]), b["x"]), steps=2)
    assert history.sizes == [6, 6]
    history = quiet_fit(model, [x], lambda m, b: F.mse_loss(m(b), b), steps=2)
    assert history.sizes == [6, 6]
    nested = [((x, x[:3]), x)]
    assert quiet_fit(model, nested, lambda m, b: m(b[0][1]).square().mean(), steps=1).sizes == [6]


def test_frozen_parameters_stay_and_are_not_decayed():
    model = make_model()
    model[0].requires_grad_(False)
    frozen, head = model[0].weight.clone(), model[5].weight.clone()
    quiet_fit(model, make_batches(), num_epochs=1, weight_decay=0.5)
    assert torch.equal(model[0].weight, frozen)
    assert not torch.equal(model[5].weight, head)


def test_every_submodule_gets_its_mode_back_and_trains_in_train_mode():
    model = make_model()
    model.eval()
    model[3].train()
    before = [module.training for module in model.modules()]
    seen = []
    quiet_fit(model, make_batches(), lambda m, b: seen.append(m.training) or cross_entropy(m, b), steps=2)
    assert seen == [True, True]
    assert [module.training for module in model.modules()] == before
    with pytest.raises(ZeroDivisionError):
        quiet_fit(model, make_batches(), lambda m, b: 1 / 0, steps=2)
    assert [module.training for module in model.modules()] == before


def test_on_step_sees_model_and_history_after_every_step():
    seen = []
    model = make_model()
    quiet_fit(model, make_batches(), steps=3, on_step=lambda m, h: seen.append((m is model, h.steps, len(h.loss))))
    assert seen == [(True, 1, 1), (True, 2, 2), (True, 3, 3)]


def test_volumes_and_sequences_train_too():
    """Convolutions of other dimensions have no channels-last layout."""
    with seeded(generator()):
        model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 8, 2))
    history = quiet_fit(model, [(torch.rand(4, 1, 4, 4, 4), torch.tensor([0, 1, 1, 0]))], steps=2)
    assert history.stopped == "finished"


# --- interruption ---


def test_ctrl_c_keeps_the_history_and_the_best_weights():
    validate, seen = scripted([0.9, 0.1, 0.1])
    model = make_model()
    history = quiet_fit(model, make_batches(), Interrupt(at=4), steps=9, validate=validate, validate_every=1)
    assert history.stopped == "interrupted"
    assert history.steps == len(history.loss) == 3
    assert history.best_step == 1
    assert_same_weights(model, seen[0])


def test_ctrl_c_without_validation_keeps_the_weights_so_far():
    model, other = make_model(), make_model()
    history = quiet_fit(model, make_batches(), Interrupt(at=3), steps=9, schedule="constant")
    quiet_fit(other, make_batches(), steps=2, schedule="constant")
    assert history.steps == 2
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_ctrl_c_in_a_validation_or_in_the_first_step():
    def interrupted(model):
        raise KeyboardInterrupt

    model = make_model()
    history = quiet_fit(model, make_batches(), steps=9, validate=interrupted, validate_every=2)
    assert (history.stopped, history.steps) == ("interrupted", 2)
    assert all(module.training for module in model.modules())
    history = quiet_fit(model, make_batches(), Interrupt(at=1), steps=9)
    assert (history.stopped, history.loss, history.epoch_loss) == ("interrupted", [], [])


def test_ctrl_c_inside_a_forward_pass_leaves_no_autocast_behind():
    class Interrupted(nn.Linear):
        def forward(self, x):
            raise KeyboardInterrupt

    history = fit(
        Interrupted(4, 2), [(torch.rand(3, 4), torch.zeros(3).long())], steps=2, precision="bfloat16", progress=False
    )
    assert history.stopped == "interrupted"
    assert not torch.is_autocast_enabled("cpu")


def test_why_a_run_stopped_is_shown_as_a_plain_word():
    history = quiet_fit(make_model(), make_batches(), steps=1)
    assert (repr(history.stopped), f"{history.stopped}", history.stopped == "finished") == (
        "'finished'",
        "finished",
        True,
    )
