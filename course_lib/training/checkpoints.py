"""Checkpoints: a run saved in a file, from which it goes on as if it had not been interrupted."""

from __future__ import annotations

import dataclasses
import io
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from course_lib import files
from course_lib.training.history import History, Stopped

if TYPE_CHECKING:
    from course_lib.training.run import Run

FORMAT = "course_lib.training/1"
KEYS = {
    *("model", "best", "optimizer_kind", "optimizer", "scaler", "history"),
    *("trained_in_epoch", "epoch_start", "generators"),
}
ADVICE = (
    "Nothing was changed. Move the file away, give another checkpoint path, or pass resume=False to start over and "
    "replace it."
)


class CheckpointError(ValueError):
    """A checkpoint file that cannot be used: damaged, of another program, or of another model."""


def save(run: Run, path: Path) -> None:
    """Writes the state of a run. A crash or Ctrl-C leaves the old checkpoint or the new one, never half of one."""
    history = dataclasses.asdict(run.history)
    content = {
        "format": FORMAT,
        "model": run.model.state_dict(),
        "best": run.best,
        "optimizer_kind": type(run.optimizer).__name__,
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
        "history": {**history, "stopped": run.history.stopped.value},
        "trained_in_epoch": run.trained_in_epoch,
        "epoch_start": run.epoch_start,
        "generators": [generator.get_state() for generator in run.generators],
    }
    try:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        files.replace(path, buffer.getvalue())
    except OSError as error:  # a full disk must not end a long training
        warnings.warn(f"the checkpoint {path} could not be written ({error}); training goes on.", stacklevel=2)


def restore(run: Run, path: Path) -> dict[str, Any]:
    """Reads a checkpoint into the model, optimizer and history of a run; returns what is in the file.

    Everything is checked before anything is changed.

    Raises:
        CheckpointError: the file is damaged, or belongs to another run.
    """
    saved = _read(path, run.device)
    _check_fits(saved, run, path)
    rates = [group["lr"] for group in run.optimizer.param_groups]
    try:
        run.optimizer.load_state_dict(saved["optimizer"])  # checks the groups before it changes anything
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{path} was saved with other parameter groups ({error}). {ADVICE}") from error
    for group, rate in zip(run.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # the file holds the rate of its last step; the schedule starts from this one
    if saved["scaler"]:
        run.scaler.load_state_dict(saved["scaler"])
    run.model.load_state_dict(saved["model"])
    run.best = saved["best"]
    run.history = _history(saved["history"])
    ends = run.history.epoch_ends
    if ends and ends[-1] == run.history.steps and run.history.steps < run.total:
        ends.pop()  # it marked the end of the run, not of an epoch
    return saved


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is cut short or not its own
        kind = type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({kind}): it is damaged or no checkpoint. {ADVICE}"
        ) from error
    if not isinstance(saved, dict) or saved.get("format") != FORMAT or not saved.keys() >= KEYS:
        raise CheckpointError(f"{path} was not written by fit, or by another version of it. {ADVICE}")
    return saved


def _check_fits(saved: dict[str, Any], run: Run, path: Path) -> None:
    own = {key: tuple(value.shape) for key, value in run.model.state_dict().items()}
    theirs = {key: tuple(value.shape) for key, value in saved["model"].items()}
    if own != theirs:
        key = next(key for key in [*own, *theirs] if own.get(key) != theirs.get(key))
        raise CheckpointError(
            f"{path} belongs to another model: {key!r} is {theirs.get(key, 'missing')} in the file, "
            f"{own.get(key, 'missing')} in the model. {ADVICE}"
        )
    if len(saved["generators"]) != len(run.generators):
        raise CheckpointError(
            f"{path} was saved with {len(saved['generators'])} random generators, this run has "
            f"{len(run.generators)}. {ADVICE}"
        )
    kind = type(run.optimizer).__name__
    if saved["optimizer_kind"] != kind:
        raise CheckpointError(f"{path} was saved with the optimizer {saved['optimizer_kind']}, not {kind}. {ADVICE}")


def _history(saved: dict[str, Any]) -> History:
    validation = [tuple(pair) for pair in saved["validation"]]
    return History(**{**saved, "validation": validation, "stopped": Stopped(saved["stopped"])})


def check_writable(path: Path) -> None:
    """Whether a checkpoint can be written: better found out before an hour of training than after it.

    Raises:
        OSError: it cannot; the message says what to do.
    """
    if path.is_dir():
        raise IsADirectoryError(f"checkpoint is the folder {path}; give a file in it, such as {path / 'run.pt'}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise type(error)(
            f"the checkpoint {path} cannot be written: the folder {path.parent} is not writable "
            f"({error.strerror or error}). Give a path in a folder of yours, or leave checkpoint out."
        ) from error
