from __future__ import annotations

import contextlib
import copy
import math
import os

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib import settings, training
from course_lib.data import Batches
from course_lib.models import Classifier, ConvEncoder, seeded
from course_lib.training import CheckpointError, LossNotFiniteError, cross_entropy, fit, learning_rate_factor


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_data(n: int = 22) -> tuple[torch.Tensor, torch.Tensor]:
    g = generator(1)
    return torch.rand(n, 1, 8, 8, generator=g), torch.randint(0, 3, (n,), generator=g)


def make_batches(size: int = 8, n: int = 22) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Three batches; the last one is ragged."""
    x, y = make_data(n)
    return list(zip(x.split(size), y.split(size), strict=True))


def make_model(dropout: float = 0.0) -> nn.Module:
    with seeded(generator(2)):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(4 * 64, 3),
        )


def quiet_fit(*args, **options):
    return fit(*args, **{"progress": False, "precision": "float32", **options})


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_same_weights(model: nn.Module, expected: dict[str, torch.Tensor]) -> None:
    state = model.state_dict()
    assert state.keys() == expected.keys()
    for key in state:
        assert torch.equal(state[key], expected[key]), key


class Interrupt:
    """A loss that is interrupted in one step, as by Ctrl-C."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def __call__(self, model, batch):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return cross_entropy(model, batch)


# ---------------------------------------- the loop


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


# ---------------------------------------- schedules


def test_cosine_after_a_linear_warmup():
    factor = learning_rate_factor("cosine", total=12, warmup=4)
    values = [factor(step) for step in range(12)]
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[4:] == pytest.approx([(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)])


def test_a_schedule_of_your_own_scales_every_group_groups_added_later_too():
    model = make_model()
    optimizer = torch.optim.SGD([{"params": model[5].parameters(), "lr": 1.0}], lr=1.0)
    rates = []

    def unfreeze(m, history):
        rates.append([group["lr"] for group in optimizer.param_groups])
        if history.steps == 1:
            optimizer.add_param_group({"params": list(m[0].parameters()), "lr": 0.1})

    history = quiet_fit(
        model,
        make_batches(),
        steps=3,
        optimizer=optimizer,
        schedule=lambda step, total: (total - step) / total,
        on_step=unfreeze,
    )
    assert rates[0] == pytest.approx([1.0])
    assert rates[1] == pytest.approx([2 / 3, 0.1 * 2 / 3])
    assert rates[2] == pytest.approx([1 / 3, 0.1 / 3])
    assert history.learning_rate == pytest.approx([1, 2 / 3, 1 / 3])
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1], "fit leaves the rates as they were"


@pytest.mark.parametrize(
    ("options", "says"),
    [({"schedule": "linear"}, "'linear'.*'cosine'"), ({"warmup": 5}, "warmup is 5"), ({"warmup": -1}, "warmup is -1")],
)
def test_impossible_schedules(options, says):
    with pytest.raises(ValueError, match=says):
        quiet_fit(make_model(), make_batches(), steps=5, **options)


# ---------------------------------------- validation


def scripted(values):
    """A validation that returns the given values one after another, and notes the weights that it saw."""
    seen = []
    remaining = iter(values)

    def validate(model):
        seen.append(weights(model))
        return next(remaining)

    return validate, seen


@pytest.mark.parametrize("higher", [True, False])
def test_the_best_weights_come_back(higher):
    values = [0.1, 0.5, 0.7, 0.6, 0.7, 0.2] if higher else [3.0, 2.0, 0.5, 1.0, 0.5, 4.0]
    validate, seen = scripted(values)
    model = make_model()
    history = quiet_fit(
        model, make_batches(), steps=6, validate=validate, validate_every=1, higher_is_better=higher, lr=1e-2
    )
    assert history.validation == list(zip(range(1, 7), values, strict=True))
    assert (history.best_step, history.best_value) == (3, values[2])  # the first of equal ones
    assert history.steps == 6
    assert_same_weights(model, seen[2])
    assert not torch.equal(seen[2]["5.weight"], seen[5]["5.weight"])


def test_patience_counts_validations_without_a_new_best():
    validate, _ = scripted([0.1, 0.5, 0.5, 0.4, 0.6, 0.6, 0.5, 0.6, 0.9])
    history = quiet_fit(make_model(), make_batches(), steps=30, validate=validate, validate_every=2, patience=3)
    assert history.stopped == "patience"
    assert history.best_step == 10
    assert history.steps == 16


def test_a_validation_that_is_nan_is_never_the_best():
    validate, seen = scripted([math.nan, 0.3, math.nan])
    model = make_model()
    history = quiet_fit(model, make_batches(), steps=3, validate=validate, validate_every=1)
    assert history.best_step == 2
    assert_same_weights(model, seen[1])


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"num_epochs": 2}, [3, 6]),
        ({"steps": 20}, list(range(2, 21, 2))),
        ({"steps": 3}, [1, 2, 3]),
        ({"steps": 7, "validate_every": 3}, [3, 6, 7]),
    ],
)
def test_when_it_is_validated(options, at):
    history = quiet_fit(make_model(), make_batches(), validate=lambda model: 0.0, **options)
    assert [step for step, _ in history.validation] == at


def test_validation_is_in_eval_mode_without_gradients_and_leaves_no_trace():
    model = make_model()

    def validate(m):
        assert not any(module.training for module in m.modules())
        assert not torch.is_grad_enabled()
        return m(make_data()[0]).mean()

    with_validation = quiet_fit(model, make_batches(), steps=4, validate=validate, validate_every=1)
    without = quiet_fit(make_model(), make_batches(), steps=4)
    assert with_validation.loss == without.loss


@pytest.mark.parametrize("value", [{"accuracy": 1.0}, None, torch.zeros(2)])
def test_a_validation_must_be_a_number(value):
    with pytest.raises(TypeError, match="one number is expected"):
        quiet_fit(make_model(), make_batches(), steps=1, validate=lambda model: value)


# ---------------------------------------- interruption


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


# ---------------------------------------- checkpoints


def shuffled(n: int = 22, seed: int = 4) -> Batches:
    x, y = make_data(n)
    noise = lambda images, generator: images + 0.1 * torch.rand(images.shape, generator=generator)  # noqa: E731
    return Batches(x, y, batch_size=8, shuffle=True, generator=generator(seed), augment=noise)


class NoisyLoss:
    """Draws from a generator of its own, as a denoising autoencoder's loss does."""

    def __init__(self, stop: int | None = None) -> None:
        self.generator, self.calls, self.stop = generator(8), 0, stop

    def __call__(self, model, batch):
        self.calls += 1
        if self.calls == self.stop:
            raise RuntimeError("power cut")
        x, y = batch
        return F.cross_entropy(model(x + 0.1 * torch.randn(x.shape, generator=self.generator)), y)


@pytest.mark.parametrize("stops", [[4], [5], [6], [7], [8], [5, 2], [2, 2, 2, 2, 2]])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, stops):
    """Order, augmentation, noise in the loss and dropout included; cut within an epoch, at its end, several times."""

    def run(loss, **options):
        model = make_model(dropout=0.3)
        validate = lambda m: -F.cross_entropy(m(make_data()[0]), make_data()[1])  # noqa: E731
        history = quiet_fit(
            model,
            shuffled(),
            loss,
            num_epochs=4,
            validate=validate,
            validate_every=2,
            generators=[loss.generator],
            **options,
        )
        return model, history

    torch.manual_seed(0)
    expected_model, expected = run(NoisyLoss())

    file = tmp_path / "run.pt"
    torch.manual_seed(0)
    for stop in stops:
        with pytest.raises(RuntimeError, match="power cut"):
            run(NoisyLoss(stop=stop), checkpoint=file, checkpoint_every=1)
        torch.manual_seed(99)  # another process
    model, history = run(NoisyLoss(), checkpoint=file)

    assert history.loss == expected.loss
    assert history.validation == expected.validation
    assert history.epoch_ends == expected.epoch_ends
    assert history.learning_rate == expected.learning_rate
    assert history.best_step == expected.best_step
    assert_same_weights(model, expected_model.state_dict())


def test_a_run_resumed_after_ctrl_c_goes_on_where_it_was(tmp_path):
    file = tmp_path / "run.pt"
    first = quiet_fit(make_model(), make_batches(), Interrupt(at=6), num_epochs=4, checkpoint=file)
    assert first.stopped == "interrupted"
    second = quiet_fit(make_model(), make_batches(), num_epochs=4, checkpoint=file)
    whole = quiet_fit(make_model(), make_batches(), num_epochs=4)
    assert (second.stopped, second.steps) == ("finished", 12)
    assert second.loss[:5] == first.loss
    assert second.sizes == whole.sizes
    assert second.epoch_ends == whole.epoch_ends
    assert second.loss == whole.loss  # there is nothing random in this run


def test_a_finished_run_is_only_loaded(tmp_path):
    file = tmp_path / "run.pt"
    validate, seen = scripted([0.2, 0.9, 0.1])
    first = quiet_fit(make_model(), make_batches(), num_epochs=3, validate=validate, checkpoint=file)
    stamp = file.stat().st_mtime_ns
    model = make_model()
    second = quiet_fit(
        model,
        make_batches(),
        Interrupt(at=1),
        num_epochs=3,
        validate=lambda m: pytest.fail("validated again"),
        checkpoint=file,
    )
    assert (second.loss, second.validation, second.stopped) == (first.loss, first.validation, "finished")
    assert_same_weights(model, seen[1])
    assert file.stat().st_mtime_ns == stamp
    again = quiet_fit(make_model(), make_batches(), num_epochs=3, checkpoint=file, resume=False)
    assert again.validation == [] and file.stat().st_mtime_ns != stamp


def test_a_run_killed_after_its_last_step_counts_as_finished(tmp_path):
    file = tmp_path / "run.pt"
    quiet_fit(make_model(), make_batches(), num_epochs=1, checkpoint=file)
    saved = torch.load(file, weights_only=True)
    saved["history"]["stopped"] = "running"  # as in the file that was written right after the last step
    torch.save(saved, file)
    history = quiet_fit(make_model(), make_batches(), Interrupt(at=1), num_epochs=1, checkpoint=file)
    assert (history.stopped, history.steps) == ("finished", 3)


def test_a_finished_run_is_loaded_from_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    first = quiet_fit(make_model(), make_batches(), num_epochs=1, checkpoint=file)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(training.tempfile, "TemporaryFile", refuse)
    assert quiet_fit(make_model(), make_batches(), num_epochs=1, checkpoint=file).loss == first.loss
    with pytest.raises(PermissionError, match="not writable"):
        quiet_fit(make_model(), make_batches(), num_epochs=2, checkpoint=file)


def test_volumes_and_sequences_train_too():
    """Convolutions of other dimensions have no channels-last layout."""
    with seeded(generator()):
        model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 8, 2))
    history = quiet_fit(model, [(torch.rand(4, 1, 4, 4, 4), torch.tensor([0, 1, 1, 0]))], steps=2)
    assert history.stopped == "finished"


def test_a_run_that_ran_out_of_patience_stays_stopped(tmp_path):
    file = tmp_path / "run.pt"
    options = {"steps": 20, "validate_every": 1, "patience": 2, "checkpoint": file}
    quiet_fit(make_model(), make_batches(), validate=lambda m: 0.5, **options)
    history = quiet_fit(make_model(), make_batches(), Interrupt(at=1), validate=lambda m: 0.9, **options)
    assert (history.stopped, history.steps) == ("patience", 3)


def test_only_the_checkpoint_is_left_in_the_folder_and_it_loads_safely(tmp_path):
    file = tmp_path / "new" / "folder" / "run.pt"
    quiet_fit(make_model(), make_batches(), num_epochs=2, checkpoint=file)
    assert os.listdir(file.parent) == ["run.pt"]
    assert torch.load(file, weights_only=True)["history"]["steps"] == 6


def test_an_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    quiet_fit(make_model(), make_batches(), num_epochs=1, checkpoint=file)
    before = file.read_bytes()

    def half(content, target):
        target.write(b"half of a check")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with contextlib.suppress(KeyboardInterrupt):
        quiet_fit(make_model(), make_batches(), num_epochs=2, checkpoint=file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch):
    def full(content, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(UserWarning, match=r"run\.pt could not be written.*No space left"):
        history = quiet_fit(make_model(), make_batches(), num_epochs=2, checkpoint=tmp_path / "run.pt")
    assert history.steps == 6


def damaged(path):
    path.write_bytes(b"this is no checkpoint")


def cut_short(path):
    quiet_fit(make_model(), make_batches(), steps=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])


def empty(path):
    path.touch()


def bare_weights(path):
    torch.save(make_model().state_dict(), path)


def pickled_model(path):
    torch.save(make_model(), path)


def incomplete(path):
    torch.save({"format": training.CHECKPOINT_FORMAT, "model": make_model().state_dict()}, path)


def another_model(path):
    quiet_fit(nn.Linear(4, 3), [(torch.rand(2, 4), torch.tensor([0, 1]))], steps=1, checkpoint=path)


def another_shape(path):
    model = make_model()
    model[5] = nn.Linear(4 * 64, 5)
    quiet_fit(model, make_batches(), steps=1, checkpoint=path)


def another_optimizer(path):
    groups = lambda p: torch.optim.AdamW([{"params": [q]} for q in p])  # noqa: E731
    quiet_fit(make_model(), make_batches(), steps=1, checkpoint=path, optimizer=groups)


def another_kind_of_optimizer(path):
    quiet_fit(make_model(), make_batches(), steps=1, checkpoint=path, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))


def more_generators(path):
    quiet_fit(make_model(), make_batches(), steps=1, checkpoint=path, generators=[generator()])


class Planted:
    """Unpickling it would make a file: what a checkpoint from a stranger could do."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_a_checkpoint_cannot_run_code(tmp_path):
    file = tmp_path / "run.pt"
    torch.save({"format": training.CHECKPOINT_FORMAT, "model": Planted(tmp_path / "harm")}, file)
    with pytest.raises(CheckpointError, match=r"run\.pt"):
        quiet_fit(make_model(), make_batches(), steps=3, checkpoint=file)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        damaged,
        cut_short,
        empty,
        bare_weights,
        pickled_model,
        incomplete,
        another_model,
        another_shape,
        another_optimizer,
        another_kind_of_optimizer,
        more_generators,
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_named_and_nothing_is_lost(tmp_path, spoil):
    file = tmp_path / "run.pt"
    spoil(file)
    content = file.read_bytes()
    model = make_model()
    before = weights(model)
    with pytest.raises(CheckpointError, match=r"run\.pt.*resume=False"):
        quiet_fit(model, make_batches(), steps=3, checkpoint=file)
    assert file.read_bytes() == content
    assert_same_weights(model, before)
    assert quiet_fit(model, make_batches(), steps=3, checkpoint=file, resume=False).stopped == "finished"
    assert quiet_fit(make_model(), make_batches(), steps=3, checkpoint=file).steps == 3


def test_a_checkpoint_in_an_impossible_place_is_refused_before_training(tmp_path):
    calls = []
    loss = lambda model, batch: calls.append(1) or cross_entropy(model, batch)  # noqa: E731
    with pytest.raises(OSError, match=r"run\.pt.*folder of yours"):
        (tmp_path / "file").touch()
        quiet_fit(make_model(), make_batches(), loss, steps=3, checkpoint=tmp_path / "file" / "run.pt")
    with pytest.raises(IsADirectoryError, match="give a file in it"):
        quiet_fit(make_model(), make_batches(), loss, steps=3, checkpoint=tmp_path)
    assert not calls


def test_a_read_only_folder_is_refused_before_training(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        training.tempfile, "TemporaryFile", refuse
    )  # root may write anywhere, so the mode bits would not do
    with pytest.raises(PermissionError, match=r"run\.pt.*not writable \(Permission denied\)"):
        quiet_fit(make_model(), make_batches(), steps=3, checkpoint=tmp_path / "run.pt")


# ---------------------------------------- precision


def test_bfloat16_is_close_to_float32_and_losses_are_float32():
    seen = []

    def loss(model, batch):
        logits = model(batch[0])
        seen.append(logits.dtype)
        return F.cross_entropy(logits, batch[1])

    exact = quiet_fit(make_model(), make_batches(), loss, steps=6)
    model = make_model()
    rough = quiet_fit(model, make_batches(), loss, steps=6, precision="bfloat16")
    assert set(seen) == {torch.float32}
    assert rough.loss != exact.loss, "the forward pass was not in bfloat16"
    assert rough.loss == pytest.approx(exact.loss, rel=0.05)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model._forward_hooks and not model[0]._forward_pre_hooks


def test_in_bfloat16_parts_called_by_the_loss_give_float32_too():
    model = Classifier(ConvEncoder(widths=(4, 8)), 3)
    inside, outside = [], []
    model.encoder.blocks[0].register_forward_hook(lambda _m, _i, out: inside.append(out.dtype))

    def loss(m, batch):
        features = m.encoder(batch[0])
        outside.append(features.dtype)
        return F.binary_cross_entropy(m.head(features).sigmoid(), F.one_hot(batch[1], 3).float())

    fit(model, make_batches(), loss, steps=2, precision="bfloat16", progress=False)
    assert set(inside) == {torch.bfloat16}
    assert set(outside) == {torch.float32}


def test_validation_is_in_float32_whatever_the_precision():
    model, seen = make_model(), []
    model[0].register_forward_hook(lambda m, _i, out: seen.append((m.training, out.dtype)))
    x = make_data()[0]
    fit(
        model,
        make_batches(),
        steps=2,
        precision="bfloat16",
        progress=False,
        validate=lambda m: m(x).mean(),
        validate_every=1,
    )
    assert {dtype for training_mode, dtype in seen if not training_mode} == {torch.float32}
    assert {dtype for training_mode, dtype in seen if training_mode} == {torch.bfloat16}


@pytest.mark.parametrize("supported", [True, False])
def test_auto_takes_bfloat16_on_a_cpu_for_convolutions_only_and_where_there_are_instructions(monkeypatch, supported):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported, raising=False)
    cpu = torch.device("cpu")
    assert training._autocast_dtype("auto", make_model(), cpu) is (torch.bfloat16 if supported else None)
    assert training._autocast_dtype("auto", nn.Linear(2, 2), cpu) is None


@pytest.mark.parametrize(("capability", "dtype"), [((9, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), None)])
def test_auto_takes_what_the_gpu_is_fast_at(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert training._autocast_dtype("auto", nn.Linear(2, 2), torch.device("cuda")) is dtype


@pytest.mark.parametrize("precision", ["double", "float16"])
def test_a_precision_that_cannot_be_had(precision):
    with pytest.raises(ValueError, match=f"'{precision}'"):
        quiet_fit(make_model(), make_batches(), steps=1, precision=precision)


# ---------------------------------------- clear errors


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_the_step_and_gives_the_best_weights_back(bad):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (bad if len(calls) == 4 else 1)

    validate, seen = scripted([0.9, 0.1, 0.1])
    model = make_model()
    with pytest.raises(LossNotFiniteError, match="at step 4 of 9") as caught:
        quiet_fit(model, make_batches(), loss, steps=9, validate=validate, validate_every=1)
    assert len(caught.value.history.loss) == 4
    assert caught.value.history.stopped == "error"
    assert_same_weights(model, seen[0])


def test_a_failed_run_leaves_its_last_good_checkpoint(tmp_path):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (math.nan if len(calls) == 5 else 1)

    file = tmp_path / "run.pt"
    with pytest.raises(LossNotFiniteError):
        quiet_fit(make_model(), make_batches(), loss, steps=9, checkpoint=file, checkpoint_every=2)
    saved = torch.load(file, weights_only=True)
    assert saved["history"]["steps"] == 4
    assert all(bool(torch.isfinite(value).all()) for value in saved["model"].values())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, ValueError, "exactly one of them; neither was"),
        ({"num_epochs": 1, "steps": 1}, ValueError, "exactly one of them; both were|both was"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"steps": 1.5}, ValueError, "steps is 1.5"),
        ({"num_epochs": True}, ValueError, "num_epochs is True"),
        ({"steps": 1, "patience": 1}, ValueError, "need validate="),
        ({"steps": 1, "patience": 0, "validate": lambda m: 0.0}, ValueError, "patience is 0"),
        ({"steps": 1, "validate": 0.5}, TypeError, "validate is a float"),
        ({"steps": 1, "lr": -1.0}, ValueError, "lr is -1.0"),
        ({"steps": 1, "optimizer": lambda p: None}, TypeError, "NoneType"),
        ({"steps": 1, "optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))])}, ValueError, "none of the model's"),
        ({"steps": 1, "generators": [3]}, TypeError, "generators holds a int"),
    ],
)
def test_options_that_do_not_fit(options, error, says):
    model = make_model()
    before = weights(model)
    with pytest.raises(error, match=says):
        quiet_fit(model, make_batches(), **options)
    assert_same_weights(model, before)


x22, y22 = make_data()


@pytest.mark.parametrize(
    ("batches", "options", "error", "says"),
    [
        ([], {"num_epochs": 1}, ValueError, "no batches"),
        ([], {"steps": 1}, ValueError, "ran out after 0 of 1"),
        ((pair for pair in [(x22, y22)]), {"steps": 2}, ValueError, "ran out after 1 of 2.*only once"),
        ((pair for pair in [(x22, y22)]), {"num_epochs": 2}, TypeError, "give steps="),
        (x22, {"steps": 1}, TypeError, r"tensor of shape \(22, 1, 8, 8\)"),
        (7, {"steps": 1}, TypeError, "int"),
        ([x22], {"steps": 1}, TypeError, r"needs \(images, labels\)"),
        ([(x22, y22, y22)], {"steps": 1}, TypeError, "tuple of 3"),
        ([((x22 * 255).byte(), y22)], {"steps": 1}, TypeError, "uint8.*as_float"),
        ([(x22, y22.float())], {"steps": 1}, ValueError, "float32"),
        ([(x22, y22[:5])], {"steps": 1}, ValueError, r"\(5,\) for 22 images"),
        ([(x22, y22[:, None])], {"steps": 1}, ValueError, r"\(22, 1\)"),
    ],
)
def test_batches_that_do_not_fit(batches, options, error, says):
    with pytest.raises(error, match=says):
        quiet_fit(make_model(), batches, **options)


@pytest.mark.parametrize(
    ("loss", "error", "says"),
    [
        (lambda m, b: 0.5, TypeError, r"float.*without \.item"),
        (lambda m, b: None, TypeError, "NoneType"),
        (lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="none"), ValueError, r"\(8,\).*mean over the batch"),
        (lambda m, b: cross_entropy(m, b).detach(), ValueError, "no gradient"),
    ],
)
def test_losses_that_do_not_fit(loss, error, says):
    with pytest.raises(error, match=says):
        quiet_fit(make_model(), make_batches(), loss, steps=1)


def test_models_that_do_not_fit():
    with pytest.raises(TypeError, match=r"nn\.Module"):
        quiet_fit(lambda x: x, make_batches(), steps=1)
    with pytest.raises(ValueError, match="everything is frozen"):
        quiet_fit(make_model().requires_grad_(False), make_batches(), steps=1)
    with pytest.raises(ValueError, match=r"logits have shape \(8, 1, 8, 8\)"):
        quiet_fit(nn.Conv2d(1, 1, 1), make_batches(), steps=1)


def test_the_progress_bar_has_the_label_and_can_be_left_out(capsys):
    fit(make_model(), make_batches(), steps=3, label="a little run")
    assert "a little run" in capsys.readouterr().err
    fit(make_model(), make_batches(), steps=3, progress=False)
    assert capsys.readouterr().err == ""


# ---------------------------------------- GPU


@pytest.mark.gpu
def test_cpu_and_gpu_learn_alike(cuda, monkeypatch):
    x, y = make_data(64)
    start = Classifier(ConvEncoder(widths=(4, 8)), 3)

    def run(device):
        monkeypatch.setattr(settings, "device", lambda: device)
        model = copy.deepcopy(start)
        batches = Batches(x, y, batch_size=16, shuffle=True, generator=generator(), device=device)
        with torch.backends.cudnn.flags(allow_tf32=False):
            return quiet_fit(model, batches, num_epochs=3), model

    on_cpu, _ = run(torch.device("cpu"))
    on_gpu, model = run(cuda)
    assert next(model.parameters()).is_cuda
    assert len(on_gpu.loss) == len(on_cpu.loss) == 12
    assert on_gpu.loss == pytest.approx(on_cpu.loss, rel=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_on_the_gpu_is_close(cuda, precision):
    exact = quiet_fit(make_model(), make_batches(), steps=6)
    rough = quiet_fit(make_model(), make_batches(), steps=6, precision=precision)
    assert rough.loss == pytest.approx(exact.loss, rel=0.05)


@pytest.mark.gpu
def test_a_loss_that_is_not_finite_is_named_by_its_step_on_the_gpu(cuda):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (math.nan if len(calls) == 3 else 1)

    with pytest.raises(LossNotFiniteError, match="at step 3 of 60"):
        quiet_fit(make_model(), make_batches(), loss, steps=60)


@pytest.mark.gpu
def test_a_checkpoint_from_the_gpu_is_resumed_on_it(cuda, tmp_path):
    file = tmp_path / "run.pt"
    quiet_fit(make_model(), make_batches(), Interrupt(at=5), num_epochs=3, checkpoint=file)
    history = quiet_fit(make_model(), make_batches(), num_epochs=3, checkpoint=file)
    assert history.steps == len(history.loss) == 9
