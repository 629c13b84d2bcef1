"""Checkpoints: a resumed run equals an uninterrupted one; a file that cannot be used is named."""

from __future__ import annotations

import contextlib
import os

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
    weights,
)
from torch import nn
from torch.nn import functional as F

from course_lib.data import Batches
from course_lib.training import CheckpointError, checkpoints, cross_entropy


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

    monkeypatch.setattr(checkpoints.tempfile, "TemporaryFile", refuse)
    assert quiet_fit(make_model(), make_batches(), num_epochs=1, checkpoint=file).loss == first.loss
    with pytest.raises(PermissionError, match="not writable"):
        quiet_fit(make_model(), make_batches(), num_epochs=2, checkpoint=file)


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
    path.write_bytes(b"this is not a checkpoint")


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
    torch.save({"format": checkpoints.FORMAT, "model": make_model().state_dict()}, path)


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
    torch.save({"format": checkpoints.FORMAT, "model": Planted(tmp_path / "harm")}, file)
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
        checkpoints.tempfile, "TemporaryFile", refuse
    )  # root may write anywhere, so the mode bits would not do
    with pytest.raises(PermissionError, match=r"run\.pt.*not writable \(Permission denied\)"):
        quiet_fit(make_model(), make_batches(), steps=3, checkpoint=tmp_path / "run.pt")
