"""One training loop for the whole course: `fit`. Its body is `_loop`, short enough to read in class; the plumbing is
beside it.

The loop knows nothing of the task: `loss_fn(model, batch)` says what is learned, so the learner's own losses train
with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_lib import settings
from course_lib.models import eval_mode

__all__ = ["CheckpointError", "History", "LossNotFiniteError", "cross_entropy", "fit", "learning_rate_factor"]

LossFunction = Callable[[nn.Module, Any], Tensor]

CHECKPOINT_FORMAT = "course_lib.training/1"
CHECKPOINT_KEYS = {
    *("model", "best", "optimizer_kind", "optimizer", "scaler", "history"),
    *("trained_in_epoch", "epoch_start", "generators"),
}

settings.configure_threads()


class CheckpointError(ValueError):
    """A checkpoint file that cannot be used: damaged, of another program, or of another model."""


class LossNotFiniteError(FloatingPointError):
    """The loss became NaN or infinite. `.history` holds what was recorded up to that step."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


@dataclasses.dataclass
class History:
    """What happened in a training run. Steps count from 1: `loss[0]` belongs to step 1.

    Attributes:
        loss: the loss of every step. On a GPU it is filled in every 50 steps, so that the GPU need not wait for it.
        sizes: the batch size of every step.
        learning_rate: the learning rate of every step (of the first parameter group).
        validation: (step, value) of every validation.
        epoch_ends: the steps after which a pass over the batches was complete, or the run stopped.
        best_step, best_value: the best validation; None without validation.
        stopped: "finished", "patience", "interrupted" or "error"; "running" while it runs.
        steps: how many optimizer steps were done.
        seconds: wall-clock time, resumed parts included.
    """

    loss: list[float] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    learning_rate: list[float] = dataclasses.field(default_factory=list)
    validation: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    epoch_ends: list[int] = dataclasses.field(default_factory=list)
    best_step: int | None = None
    best_value: float | None = None
    stopped: str = "running"
    steps: int = 0
    seconds: float = 0.0

    @property
    def epoch_loss(self) -> list[tuple[int, float]]:
        """(step, loss) after every pass over the batches: the mean over images, so that a small last batch counts for
        less."""
        starts = [0, *self.epoch_ends]
        return [
            (end, self.mean_loss(start, end))
            for start, end in zip(starts, self.epoch_ends, strict=False)
            if end > start
        ]

    def mean_loss(self, start: int = 0, end: int | None = None) -> float:
        """The loss per image from step `start + 1` to step `end` (the last): a mean weighted by batch size."""
        losses, sizes = self.loss[start:end], self.sizes[start:end]
        if not losses:
            raise ValueError(
                f"no loss was recorded from step {start + 1} to step {end}; {len(self.loss)} steps are there."
            )
        sizes = sizes[: len(losses)]
        return math.fsum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The default loss of `fit`: cross-entropy of the model's logits and the labels of a batch `(x, y)`.

    x: float `(N, ...)`; y: int64 `(N,)` with classes from 0. Returns a scalar tensor, the mean over the batch.

    Raises:
        TypeError, ValueError: the batch is not such a pair, or logits and labels do not fit together.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(
            f"a batch is a {_describe(batch)}; the default loss needs (images, labels). "
            "Give fit a loss_fn(model, batch) for anything else."
        )
    x, y = batch
    if not x.is_floating_point():
        raise TypeError(
            f"images are {x.dtype}; floats in [0, 1] are expected: course_lib.data.as_float(images) makes them."
        )
    if y.dtype != torch.int64 or y.ndim != 1 or len(y) != len(x):
        raise ValueError(
            f"labels are {y.dtype} of shape {tuple(y.shape)} for {len(x)} images; int64 of shape ({len(x)},) is "
            "expected."
        )
    logits = model(x)
    if logits.ndim != 2 or len(logits) != len(y):
        raise ValueError(f"logits have shape {tuple(logits.shape)}; ({len(y)}, number of classes) is expected.")
    return F.cross_entropy(logits, y)


def fit(
    model: nn.Module,
    batches: Iterable[Any],
    loss_fn: LossFunction | None = None,
    *,
    num_epochs: int | None = None,
    steps: int | None = None,
    lr: float = 1e-3,
    optimizer: torch.optim.Optimizer | Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
    weight_decay: float = 0.0,
    schedule: str | Callable[[int, int], float] = "cosine",
    warmup: int = 0,
    validate: Callable[[nn.Module], float] | None = None,
    validate_every: int | None = None,
    higher_is_better: bool = True,
    patience: int | None = None,
    precision: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = True,
    generators: Sequence[torch.Generator] = (),
    progress: bool = True,
    label: str = "training",
    on_step: Callable[[nn.Module, History], None] | None = None,
) -> History:
    """Trains `model` in place for `num_epochs` passes over `batches`, or for a number of `steps`; returns what
    happened.

    The model is moved to the course's device (`settings.device()`) and, for convolutions, to the faster channels-last
    memory layout. It trains in train mode; afterwards every submodule has the mode that it had before.

    >>> x, y = torch.rand(32, 5), torch.arange(32) % 2
    >>> history = fit(nn.Linear(5, 2), [(x, y)], steps=3, progress=False)
    >>> history.steps, len(history.loss), history.stopped
    (3, 3, 'finished')

    Args:
        model: what is trained: its parameters that have `requires_grad`.
        batches: an iterable of batches that can be gone through again and again: `course_lib.data.Batches`, a
            DataLoader, a list. A batch is a tensor, or a tuple, list or dict of tensors; it is moved to the device.
        loss_fn: `loss_fn(model, batch)` -> a scalar tensor, the mean over the batch. Default: `cross_entropy`.
        num_epochs, steps: how long; exactly one of the two.
        lr, weight_decay: of the default optimizer, AdamW (Loshchilov and Hutter, 2019).
        optimizer: an optimizer of your own (it has its own learning rates), or a function from parameters to one.
        schedule: "cosine" (down to 0 along half a cosine), "constant", or `factor(step, total)` with steps from 0; it
            multiplies the learning rate of each parameter group. Afterwards the optimizer has the rates that it had
            before.
        warmup: steps in which the learning rate first rises linearly.
        validate: `validate(model)` -> a number, called in eval mode without gradients. The weights that did best are
            COPIED, and put back at the end.
        validate_every: steps between validations. Default: each epoch with `num_epochs`, ten times in the run with
            `steps`. The last step is always validated.
        higher_is_better: True for an accuracy, False for a loss.
        patience: stop after so many validations without a new best.
        precision: "auto", "float32", "bfloat16" or "float16" for the model's forward pass; losses are computed in
            float32 either way. "auto" takes bfloat16 where it was measured to pay: on GPUs that have it, and for
            convolutions on CPUs with avx512_bf16; float16 with a gradient scaler on older GPUs; float32 elsewhere.
        checkpoint: a file to save the run in, written atomically every `checkpoint_every` steps (default: after each
            validation or epoch), at the end and when interrupted. If it is there and `resume`, the run goes on from
            it, and a finished run is only loaded. A resumed run equals an uninterrupted one.
        generators: further generators that your loss draws from, saved with the checkpoint; that of `batches` is
            found by itself.
        progress: show a progress bar, under the name `label`.
        on_step: `on_step(model, history)` after every step, for a moving average of weights, say, or a live curve.

    Returns:
        The History. Ctrl-C ends the run early and does not raise: `history.stopped` is "interrupted", and the best
        weights are put back as always.

    Raises:
        TypeError, ValueError: an argument that does not fit; the message says what was given and what is expected.
        LossNotFiniteError: the loss is NaN or infinite; the message names the step. The best weights so far are put
        back.
        CheckpointError: the checkpoint is damaged or foreign; neither the file nor the model was touched.
        OSError: the checkpoint's folder cannot be written (noticed before training).
    """
    device = settings.device()
    total = _total_steps(model, batches, num_epochs=num_epochs, steps=steps)
    factor = learning_rate_factor(schedule, total=total, warmup=warmup)
    _check_options(
        validate=validate, validate_every=validate_every, patience=patience, checkpoint_every=checkpoint_every
    )
    if validate_every is None:
        validate_every = math.ceil(total / (num_epochs or 10))
    resuming = checkpoint is not None and resume and Path(checkpoint).is_file()
    if checkpoint is not None and not resuming:
        _check_writable(Path(checkpoint))
    dtype = _autocast_dtype(precision, model, device)
    model.to(device)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and device.type != "mps":
            module.to(memory_format=torch.channels_last)
    run = _Run(
        model=model,
        batches=batches,
        loss_fn=loss_fn or cross_entropy,
        optimizer=_make_optimizer(model, optimizer, lr=lr, weight_decay=weight_decay, device=device),
        scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
        device=device,
        total=total,
        factor=factor,
        validate=validate,
        validate_every=validate_every,
        higher_is_better=higher_is_better,
        patience=patience,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        checkpoint_every=checkpoint_every or validate_every,
        generators=_all_generators(batches, generators, device),
        on_step=on_step,
    )
    if resuming:
        run.load()  # a finished run may lie in a folder that cannot be written
        if run.checkpoint is not None and not run.is_over():
            _check_writable(run.checkpoint)
    modes = [(module, module.training) for module in model.modules()]
    history, started = run.history, time.perf_counter() - run.history.seconds
    try:
        with (
            _forward_in(dtype, model, device) as run.autocast,
            tqdm(total=total, initial=history.steps, desc=label, unit="step", disable=not progress) as run.bar,
        ):
            model.train()
            if history.stopped != "patience":
                history.stopped = _loop(run)
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    except BaseException:
        history.stopped = "error"
        raise
    finally:
        history.seconds = time.perf_counter() - started
        for module, training in modes:
            module.training = training
        run.finish()
    return history


def _loop(run: _Run) -> str:
    """The training loop. Returns why it stopped."""
    model, optimizer, scaler = run.model, run.optimizer, run.scaler
    for batch in run.remaining_batches():  # epoch after epoch, until the last step
        run.set_learning_rate()
        loss = run.loss_fn(model, batch)  # forward
        run.check(loss)
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # backward; the scaler does nothing unless the precision is float16
        scaler.step(optimizer)  # update
        scaler.update()
        run.record(loss, batch)
        if run.on_step is not None:
            run.on_step(model, run.history)
        if run.is_due(run.validate_every) and run.validate is not None:
            run.validate_and_keep_best()
            if run.out_of_patience():
                return "patience"
        if run.is_due(run.checkpoint_every):
            run.save()
    return "finished"


# ---------------------------------------- the plumbing of a run


@dataclasses.dataclass
class _Run:
    """All that a run needs, and the steps of the loop that are not about learning."""

    model: nn.Module
    batches: Iterable[Any]
    loss_fn: LossFunction
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    total: int
    factor: Callable[[int], float]
    validate: Callable[[nn.Module], float] | None
    validate_every: int
    higher_is_better: bool
    patience: int | None
    checkpoint: Path | None
    checkpoint_every: int
    generators: list[torch.Generator]
    on_step: Callable[[nn.Module, History], None] | None
    history: History = dataclasses.field(default_factory=History)
    best: dict[str, Tensor] | None = None
    bar: Any = None
    autocast: Any = None
    _pending: list[Tensor] = dataclasses.field(default_factory=list)
    _rates: dict[int, float] = dataclasses.field(default_factory=dict)
    _trained_in_epoch: int = 0
    _epoch_start: list[Tensor] = dataclasses.field(default_factory=list)
    _resumed: dict[str, Any] | None = None

    def is_over(self) -> bool:
        """A run that was resumed may have nothing left to do."""
        return self.history.steps >= self.total or self.history.stopped == "patience"

    # -- data

    def remaining_batches(self) -> Iterator[Any]:
        """The batches of the steps still to do, on the device. A resumed run first draws again those that it has
        had."""
        history = self.history
        while history.steps < self.total:
            resumed, self._resumed = self._resumed, None
            had = 0 if resumed is None else resumed["trained_in_epoch"]
            if resumed is not None:
                _set_states(self.generators, resumed["epoch_start"])
            self._epoch_start = [generator.get_state() for generator in self.generators]
            self._trained_in_epoch = had
            drawn = 0
            for batch in self.batches:
                drawn += 1
                if drawn <= had:
                    if drawn == had and resumed is not None:
                        _set_states(self.generators, resumed["generators"])
                    continue
                yield _move(batch, self.device)
                if history.steps >= self.total:
                    break
            if drawn == 0 or drawn < had:
                raise ValueError(
                    f"the batches ran out after {history.steps} of {self.total} steps: they are empty, or can be "
                    "gone through only "
                    "once, as a generator can; pass Batches, a list or a DataLoader."
                )
            if history.epoch_ends[-1:] != [history.steps]:
                history.epoch_ends.append(history.steps)

    # -- optimization

    def set_learning_rate(self) -> None:
        factor = self.factor(self.history.steps)
        for group in self.optimizer.param_groups:  # groups that were added during the run as well
            group["lr"] = self._rates.setdefault(id(group), group["lr"]) * factor

    def check(self, loss: Tensor) -> None:
        """The loss must be one number that gradients can flow from; checked in the first step, later ones are alike."""
        if self._pending or self.history.loss:
            return
        if not isinstance(loss, Tensor):
            raise TypeError(
                f"loss_fn returned a {_describe(loss)}; a scalar tensor is expected: return the loss itself, "
                "without .item()."
            )
        if loss.numel() != 1:
            raise ValueError(
                f"loss_fn returned a tensor of shape {tuple(loss.shape)}; one number is expected: take the mean "
                "over the batch."
            )
        if not loss.requires_grad:
            raise ValueError(
                "the loss has no gradient: it was detached, or computed under torch.no_grad(), or the model was "
                "not used."
            )

    def record(self, loss: Tensor, batch: Any) -> None:
        history = self.history
        history.steps += 1
        self._trained_in_epoch += 1
        history.sizes.append(_batch_size(batch))
        history.learning_rate.append(self.optimizer.param_groups[0]["lr"])
        self._pending.append(loss.detach())
        if self.device.type == "cpu" or len(self._pending) >= 50:
            self.flush()
        if history.steps % 10 == 0:
            self.bar.set_postfix_str(self._summary(), refresh=False)
        self.bar.update(1)

    def _summary(self) -> str:
        history = self.history
        loss = f"loss {history.loss[-1]:.3g}" if history.loss else ""
        return loss + (f", validation {history.validation[-1][1]:.3g}" if history.validation else "")

    def flush(self) -> None:
        """Moves the losses that wait on the device into the history, and stops at one that is not finite."""
        if not self._pending:
            return
        history, pending = self.history, self._pending
        self._pending = []
        values = [pending[0].item()] if len(pending) == 1 else torch.stack([p.reshape(()) for p in pending]).tolist()
        history.loss.extend(values)
        bad = next((k for k, value in enumerate(values) if not math.isfinite(value)), None)
        if bad is not None:
            step = len(history.loss) - len(values) + bad + 1
            raise LossNotFiniteError(
                f"the loss is {values[bad]} at step {step} of {self.total}. Usual causes: a learning rate that is "
                "too high (it was "
                f"{history.learning_rate[step - 1]:.3g}), a logarithm or division of 0, or images that are not in "
                "[0, 1].",
                history,
            )

    # -- validation

    def is_due(self, every: int) -> bool:
        return self.history.steps % every == 0 or self.history.steps == self.total

    def validate_and_keep_best(self) -> None:
        assert self.validate is not None
        self.flush()
        history = self.history
        with eval_mode(self.model), torch.no_grad(), self.autocast.paused():
            value = _number(self.validate(self.model))
        history.validation.append((history.steps, value))
        best = history.best_value
        if math.isfinite(value) and (best is None or (value > best if self.higher_is_better else value < best)):
            history.best_step, history.best_value = history.steps, value
            # Copies: state_dict() alone would hand out the live weights, which go on changing.
            self.best = {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}
        self.bar.set_postfix_str(self._summary(), refresh=False)

    def out_of_patience(self) -> bool:
        since = sum(step > (self.history.best_step or 0) for step, _ in self.history.validation)
        return self.patience is not None and since >= self.patience

    def finish(self) -> None:
        """The last records, the last checkpoint, and the best weights back in the model, however the run ended."""
        history = self.history
        for group in self.optimizer.param_groups:
            group["lr"] = self._rates.get(id(group), group["lr"])
        with contextlib.suppress(LossNotFiniteError):
            self.flush()
        if history.steps and history.epoch_ends[-1:] != [history.steps]:
            history.epoch_ends.append(history.steps)
        # A run that failed leaves its last good checkpoint; one that was only loaded has nothing new to save.
        if history.stopped != "error" and self._resumed is None and history.steps:
            self.save()
        if self.best is not None:
            self.model.load_state_dict(self.best)

    # -- checkpoints

    def save(self) -> None:
        if self.checkpoint is None:
            return
        self.flush()
        content = {
            "format": CHECKPOINT_FORMAT,
            "model": self.model.state_dict(),
            "best": self.best,
            "optimizer_kind": type(self.optimizer).__name__,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": dataclasses.asdict(self.history),
            "trained_in_epoch": self._trained_in_epoch,
            "epoch_start": self._epoch_start,
            "generators": [generator.get_state() for generator in self.generators],
        }
        try:
            _write_atomically(content, self.checkpoint)
        except OSError as error:  # a full disk must not end a long training
            warnings.warn(
                f"the checkpoint {self.checkpoint} could not be written ({error}); training goes on.", stacklevel=2
            )

    def load(self) -> None:
        """Reads the checkpoint into model, optimizer and history. Everything is checked before anything is changed."""
        path = self.checkpoint
        assert path is not None
        advice = (
            "Nothing was changed. Move the file away, give another checkpoint path, or pass resume=False to start over "
            "and replace it."
        )
        try:
            saved = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a file that is cut short or not its own
            raise CheckpointError(
                f"{path} cannot be read as a checkpoint ({type(error).__name__}): it is damaged or no checkpoint. "
                f"{advice}"
            ) from error
        if (
            not isinstance(saved, dict)
            or saved.get("format") != CHECKPOINT_FORMAT
            or not saved.keys() >= CHECKPOINT_KEYS
        ):
            raise CheckpointError(f"{path} was not written by fit, or by another version of it. {advice}")
        own = {key: tuple(value.shape) for key, value in self.model.state_dict().items()}
        theirs = {key: tuple(value.shape) for key, value in saved["model"].items()}
        if own != theirs:
            key = next(key for key in [*own, *theirs] if own.get(key) != theirs.get(key))
            raise CheckpointError(
                f"{path} belongs to another model: {key!r} is {theirs.get(key, 'missing')} in the file, "
                f"{own.get(key, 'missing')} in the model. {advice}"
            )
        if len(saved["generators"]) != len(self.generators):
            raise CheckpointError(
                f"{path} was saved with {len(saved['generators'])} random generators, this run has "
                f"{len(self.generators)}. {advice}"
            )
        kind = type(self.optimizer).__name__
        if saved["optimizer_kind"] != kind:
            raise CheckpointError(
                f"{path} was saved with the optimizer {saved['optimizer_kind']}, not {kind}. {advice}"
            )
        rates = [group["lr"] for group in self.optimizer.param_groups]
        try:
            self.optimizer.load_state_dict(saved["optimizer"])  # checks the groups before it changes anything
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"{path} was saved with other parameter groups ({error}). {advice}") from error
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # the file holds the rate of its last step; the schedule starts from this one
        if saved["scaler"]:
            self.scaler.load_state_dict(saved["scaler"])
        self.model.load_state_dict(saved["model"])
        self.best = saved["best"]
        saved["history"]["validation"] = [tuple(pair) for pair in saved["history"]["validation"]]
        self.history = History(**saved["history"])
        ends = self.history.epoch_ends
        if ends and ends[-1] == self.history.steps and self.history.steps < self.total:
            ends.pop()  # it marked the end of the run, not of an epoch
        self._resumed = saved


def _set_states(generators: list[torch.Generator], states: list[Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state.cpu())


def _all_generators(batches: Any, extra: Sequence[torch.Generator], device: torch.device) -> list[torch.Generator]:
    """Every generator that a step may draw from, each once: torch's own (dropout uses them), that of the batches, and
    `extra`."""
    found = [torch.default_generator, getattr(batches, "generator", None), *extra]
    if device.type == "cuda":
        found.append(torch.cuda.default_generators[device.index or torch.cuda.current_device()])
    unique: list[torch.Generator] = []
    for generator in found:
        if generator is None:
            continue
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generators holds a {_describe(generator)}; torch.Generator objects are expected.")
        if not any(generator is other for other in unique):
            unique.append(generator)
    return unique


def _write_atomically(content: dict[str, Any], path: Path) -> None:
    """Writes beside the file and then renames: a crash or Ctrl-C leaves the old checkpoint or the new one, never half
    of one."""
    handle, temporary = tempfile.mkstemp(prefix=path.name + ".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _check_writable(path: Path) -> None:
    """Better to find out before an hour of training than after it."""
    if path.is_dir():
        raise IsADirectoryError(f"checkpoint is the folder {path}; give a file in it, such as {path / 'run.pt'}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise type(error)(
            f"the checkpoint {path} cannot be written: the folder {path.parent} is not writable "
            f"({error.strerror or error}). "
            "Give a path in a folder of yours, or leave checkpoint out."
        ) from error


# ---------------------------------------- schedule, optimizer, precision


def learning_rate_factor(
    schedule: str | Callable[[int, int], float], *, total: int, warmup: int = 0
) -> Callable[[int], float]:
    """The factor that multiplies the learning rate in each step, as a function of the step, which counts from 0.

    >>> factor = learning_rate_factor("cosine", total=4)
    >>> [round(factor(step), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]

    Raises:
        ValueError: an unknown schedule, or a warmup that is negative or as long as the run.
    """
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0 or (warmup and warmup >= total):
        raise ValueError(
            f"warmup is {warmup!r}; a whole number of steps from 0 to less than the run's {total} is expected."
        )
    if callable(schedule):
        shape = schedule
    elif schedule == "cosine":
        shape = _cosine
    elif schedule == "constant":
        shape = _constant
    else:
        raise ValueError(
            f"schedule is {schedule!r}; 'cosine', 'constant' or a function factor(step, total) is expected."
        )

    def factor(step: int) -> float:
        return (step + 1) / (warmup + 1) if step < warmup else shape(step - warmup, total - warmup)

    return factor


def _cosine(step: int, total: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * step / total))


def _constant(step: int, total: int) -> float:
    return 1.0


def _make_optimizer(
    model: nn.Module, optimizer: Any, *, lr: float, weight_decay: float, device: torch.device
) -> torch.optim.Optimizer:
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(
            "the model has no parameter that requires a gradient; everything is frozen, so there is nothing to train."
        )
    if optimizer is None:
        if not lr > 0:
            raise ValueError(f"lr is {lr!r}; a number above 0 is expected.")
        # Fused: the same arithmetic in one pass over the weights; on a CPU up to a third less time for a small network.
        fused = device.type in ("cpu", "cuda") and all(p.is_floating_point() for p in trainable)
        return torch.optim.AdamW(trainable, lr=lr, weight_decay=weight_decay, fused=fused)
    made = optimizer if isinstance(optimizer, torch.optim.Optimizer) else optimizer(trainable)
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {_describe(made)}; a torch optimizer, or a function from parameters to one, is expected."
        )
    held = {id(p) for group in made.param_groups for p in group["params"]}
    if not any(id(p) in held for p in trainable):
        raise ValueError(
            "the optimizer holds none of the model's trainable parameters, so nothing would be learned; make it "
            "from this model's "
            "parameters, after the model was built."
        )
    return made


def _autocast_dtype(precision: str, model: nn.Module, device: torch.device) -> torch.dtype | None:
    """The type that the forward pass is computed in, None for float32."""
    fixed = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if precision in fixed:
        if precision == "float16" and device.type == "cpu":
            raise ValueError("precision='float16' is for GPUs; on a CPU use 'auto', 'bfloat16' or 'float32'.")
        return fixed[precision]
    if precision != "auto":
        raise ValueError(f"precision is {precision!r}; 'auto', 'float32', 'bfloat16' or 'float16' is expected.")
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return torch.bfloat16
        return torch.float16 if torch.cuda.get_device_capability(device) >= (7, 0) else None
    if device.type == "cpu":
        # Measured with one thread, batches of 32 and 128: convolutions 1.2 to 1.5 times as fast, two linear layers
        # slower.
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        return torch.bfloat16 if supported and any(isinstance(m, _CONVOLUTIONS) for m in model.modules()) else None
    return None


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Autocast:
    """Hooks that put a model's forward pass, and nothing else, under autocast; outputs come back as float32.

    So a loss such as binary cross-entropy, which autocast forbids or computes too coarsely, stays in float32. The
    hooks also sit on the model's children, for losses that call `model.encoder(x)`.
    """

    def __init__(self, dtype: torch.dtype, device_type: str) -> None:
        self.dtype, self.device_type = dtype, device_type
        self.active = True
        self.entered: list[Any] = []

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Validation runs in float32, as it will outside fit."""
        before, self.active = self.active, False
        try:
            yield
        finally:
            self.active = before

    def before(self, module: nn.Module, inputs: Any) -> None:
        context = None
        if self.active and not torch.is_autocast_enabled(self.device_type):
            context = torch.autocast(self.device_type, dtype=self.dtype)
            context.__enter__()
        self.entered.append(context)

    def after(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        context = self.entered.pop()
        if context is None:
            return None
        context.__exit__(None, None, None)
        return _to_float32(output, self.dtype)

    def close(self) -> None:
        self.active = False
        while self.entered:  # Ctrl-C inside a forward pass leaves them open
            context = self.entered.pop()
            if context is not None:
                context.__exit__(None, None, None)


@contextlib.contextmanager
def _forward_in(dtype: torch.dtype | None, model: nn.Module, device: torch.device) -> Iterator[_Autocast]:
    autocast = _Autocast(dtype or torch.float32, device.type)
    handles = []
    if dtype is not None:
        for module in (model, *model.children()):
            handles.append(module.register_forward_pre_hook(autocast.before, prepend=True))
            handles.append(module.register_forward_hook(autocast.after, prepend=True, always_call=True))
    try:
        yield autocast
    finally:
        autocast.close()
        for handle in handles:
            handle.remove()


def _to_float32(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype == dtype else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_to_float32(item, dtype) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_to_float32(item, dtype) for item in value)
    if isinstance(value, dict):
        return {key: _to_float32(item, dtype) for key, item in value.items()}
    return value


# ---------------------------------------- arguments and batches


def _total_steps(model: Any, batches: Any, *, num_epochs: int | None, steps: int | None) -> int:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {_describe(model)}; an nn.Module is expected.")
    if (num_epochs is None) == (steps is None):
        given = "neither" if steps is None else "both"
        raise ValueError(f"num_epochs or steps must be given, exactly one of them; {given} was.")
    name, value = ("steps", steps) if num_epochs is None else ("num_epochs", num_epochs)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; a whole number of at least 1 is expected.")
    if not isinstance(batches, Iterable) or isinstance(batches, (Tensor, str, dict)):
        raise TypeError(
            f"batches is a {_describe(batches)}; an iterable of batches is expected, such as "
            "course_lib.data.Batches(...) or a "
            "list of (x, y)."
        )
    if steps is not None:
        return steps
    if not isinstance(batches, Sized):
        raise TypeError(
            f"num_epochs needs batches with a length, and a {_describe(batches)} has none; give steps= instead."
        )
    if len(batches) == 0:
        raise ValueError("there are no batches: the data set is empty, or drop_last dropped the only one.")
    return value * len(batches)


def _check_options(*, validate: Any, validate_every: Any, patience: Any, checkpoint_every: Any) -> None:
    if validate is not None and not callable(validate):
        raise TypeError(f"validate is a {_describe(validate)}; a function validate(model) -> number is expected.")
    for name, value in (
        ("validate_every", validate_every),
        ("patience", patience),
        ("checkpoint_every", checkpoint_every),
    ):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} is {value!r}; a whole number of at least 1 is expected.")
    if validate is None and (patience is not None or validate_every is not None):
        raise ValueError("patience and validate_every need validate=, a function validate(model) -> number.")


def _move(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch if batch.device == device else batch.to(device, non_blocking=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_move(item, device) for item in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(_move(item, device) for item in batch)
    if isinstance(batch, dict):
        return {key: _move(item, device) for key, item in batch.items()}
    return batch


def _batch_size(batch: Any) -> int:
    """The length of the first tensor in the batch."""
    while not isinstance(batch, Tensor):
        items = list(batch.values()) if isinstance(batch, dict) else batch if isinstance(batch, (tuple, list)) else ()
        if not items:
            return 1
        batch = items[0]
    return len(batch) if batch.ndim else 1


def _number(value: Any) -> float:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"validate returned a {_describe(value)}; one number is expected, such as an accuracy."
        ) from None


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
