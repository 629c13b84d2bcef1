"""A training run: what the loop of `fit` works on, and the parts of a step that are not about learning."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib import settings
from course_lib.models import eval_mode
from course_lib.training import checkpoints, precision
from course_lib.training.batches import batch_size, generators_of, moved, set_states
from course_lib.training.history import History, LossNotFiniteError, Stopped
from course_lib.training.losses import LossFunction
from course_lib.training.optimization import learning_rate_factor, optimizer_of
from course_lib.training.options import Options, check_loss, number, total_steps


class Run:
    """One call of `fit`.

    Attributes:
        history: what has happened so far.
        best: a copy of the weights that did best in validation; None before the first validation.
        total: the number of steps.
        trained_in_epoch: steps done in the present pass over the batches.
        epoch_start: the states of the generators when this pass began.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[Any],
        loss_fn: LossFunction,
        options: Options,
        num_epochs: int | None,
        steps: int | None,
        lr: float,
    ) -> None:
        self.model, self.batches, self.loss_fn, self.options = model, batches, loss_fn, options
        self.device = settings.device()
        self.total = total_steps(model, batches, num_epochs=num_epochs, steps=steps)
        self.factor = learning_rate_factor(options.schedule, total=self.total, warmup=options.warmup)
        options.check()
        self.validate_every = options.validate_every or math.ceil(self.total / (num_epochs or 10))
        self.checkpoint_every = options.checkpoint_every or self.validate_every
        self.checkpoint = None if options.checkpoint is None else Path(options.checkpoint)
        resuming = self.checkpoint is not None and options.resume and self.checkpoint.is_file()
        if self.checkpoint is not None and not resuming:
            checkpoints.check_writable(self.checkpoint)
        self.dtype = precision.autocast_dtype(options.precision, model, self.device)
        model.to(self.device)
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and self.device.type != "mps":
                module.to(memory_format=torch.channels_last)  # the same numbers; on a CPU 1.3 to 2 times as fast
        self.optimizer = optimizer_of(model, options, lr=lr, device=self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.generators = generators_of(batches, options.generators, self.device)
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        self.trained_in_epoch = 0
        self.epoch_start: list[Tensor] = []
        self._waiting: list[Tensor] = []  # losses that are still on the device
        self._rates: dict[int, float] = {}  # the learning rate of each parameter group, before the schedule
        self._resumed: dict[str, Any] | None = None
        if self.checkpoint is not None and resuming:
            self._resumed = checkpoints.restore(self, self.checkpoint)
            if not self.is_over():  # a finished run may lie in a folder that cannot be written
                checkpoints.check_writable(self.checkpoint)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Inside this block the model is in train mode; at its end, however it comes, the run is brought to an end."""
        modes = [(module, module.training) for module in self.model.modules()]
        started = time.perf_counter() - self.history.seconds
        bar = tqdm(
            total=self.total,
            initial=self.history.steps,
            desc=self.options.label,
            unit="step",
            disable=not self.options.progress,
        )
        try:
            with precision.forward_in(self.dtype, self.model, self.device) as self.autocast, bar as self.bar:
                self.model.train()
                yield
                if self.history.stopped != Stopped.PATIENCE:
                    self.history.stopped = Stopped.FINISHED
        except KeyboardInterrupt:
            self.history.stopped = Stopped.INTERRUPTED
        except BaseException:
            self.history.stopped = Stopped.ERROR
            raise
        finally:
            self.history.seconds = time.perf_counter() - started
            for module, training in modes:
                module.training = training
            self.finish()

    def is_over(self) -> bool:
        """Whether nothing is left to do, as in a run that was resumed after its end."""
        return self.history.steps >= self.total or self.history.stopped == Stopped.PATIENCE

    # --- data ---

    def remaining_batches(self) -> Iterator[Any]:
        """The batches of the steps still to do, on the device. A resumed run first draws those again that it had."""
        history = self.history
        while not self.is_over():
            resumed, self._resumed = self._resumed, None
            had = 0 if resumed is None else resumed["trained_in_epoch"]
            if resumed is not None:
                set_states(self.generators, resumed["epoch_start"])
            self.epoch_start = [generator.get_state() for generator in self.generators]
            self.trained_in_epoch = had
            drawn = 0
            for batch in self.batches:
                drawn += 1
                if drawn <= had:
                    if drawn == had and resumed is not None:
                        set_states(self.generators, resumed["generators"])
                    continue
                yield moved(batch, self.device)
                if history.steps >= self.total:
                    break
            if drawn == 0 or drawn < had:
                raise ValueError(
                    f"the batches ran out after {history.steps} of {self.total} steps: they are empty, or can be gone "
                    "through only once, as a generator can; pass Batches, a list or a DataLoader."
                )
            if history.epoch_ends[-1:] != [history.steps]:
                history.epoch_ends.append(history.steps)

    # --- optimization ---

    def set_learning_rate(self) -> None:
        factor = self.factor(self.history.steps)
        for group in self.optimizer.param_groups:  # groups that were added during the run as well
            group["lr"] = self._rates.setdefault(id(group), group["lr"]) * factor

    def check(self, loss: Tensor) -> None:
        """Checks the loss of the first step; later ones are alike."""
        if not self._waiting and not self.history.loss:
            check_loss(loss)

    def record(self, loss: Tensor, batch: Any) -> None:
        """Notes a step that was done."""
        history = self.history
        history.steps += 1
        self.trained_in_epoch += 1
        history.sizes.append(batch_size(batch))
        history.learning_rate.append(self.optimizer.param_groups[0]["lr"])
        self._waiting.append(loss.detach())
        if self.device.type == "cpu" or len(self._waiting) >= 50:
            self.flush()
        if history.steps % 10 == 0:
            self.bar.set_postfix_str(history.summary(), refresh=False)
        self.bar.update(1)

    def flush(self) -> None:
        """Moves the losses that wait on the device into the history, and stops at one that is not finite."""
        if not self._waiting:
            return
        history, waiting = self.history, self._waiting
        self._waiting = []
        values = [waiting[0].item()] if len(waiting) == 1 else torch.stack([p.reshape(()) for p in waiting]).tolist()
        history.loss.extend(values)
        bad = next((k for k, value in enumerate(values) if not math.isfinite(value)), None)
        if bad is not None:
            step = len(history.loss) - len(values) + bad + 1
            raise LossNotFiniteError(
                f"the loss is {values[bad]} at step {step} of {self.total}. Usual causes: a learning rate that is too "
                f"high (it was {history.learning_rate[step - 1]:.3g}), a logarithm or division of 0, or images that "
                "are not in [0, 1].",
                history,
            )

    # --- validation and checkpoints ---

    def validation_is_due(self) -> bool:
        return self.options.validate is not None and self._is_due(self.validate_every)

    def checkpoint_is_due(self) -> bool:
        return self.checkpoint is not None and self._is_due(self.checkpoint_every)

    def _is_due(self, every: int) -> bool:
        return self.history.steps % every == 0 or self.history.steps == self.total

    def validate_and_keep_best(self) -> None:
        assert self.options.validate is not None
        history = self.history
        self.flush()
        with eval_mode(self.model), torch.no_grad(), self.autocast.paused():
            value = number(self.options.validate(self.model))
        history.validation.append((history.steps, value))
        best, higher = history.best_value, self.options.higher_is_better
        if math.isfinite(value) and (best is None or (value > best if higher else value < best)):
            history.best_step, history.best_value = history.steps, value
            # Copies: state_dict() alone would hand out the live weights, which go on changing.
            self.best = {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}
        self.bar.set_postfix_str(history.summary(), refresh=False)

    def is_out_of_patience(self) -> bool:
        """Whether `patience` validations have passed without a new best."""
        since = sum(step > (self.history.best_step or 0) for step, _ in self.history.validation)
        return self.options.patience is not None and since >= self.options.patience

    def save(self) -> None:
        if self.checkpoint is not None:
            self.flush()
            checkpoints.save(self, self.checkpoint)

    # --- the end ---

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
        if history.stopped != Stopped.ERROR and self._resumed is None and history.steps:
            self.save()
        if self.best is not None:
            self.model.load_state_dict(self.best)
