"""The training loop of the course: `fit`.

The loop knows nothing of the task: `loss_fn(model, batch)` says what is learned, so the learner's own losses train
with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from course_lib.training.history import History, Stopped
from course_lib.training.losses import LossFunction, cross_entropy
from course_lib.training.options import Options
from course_lib.training.run import Run


def fit(
    model: nn.Module,
    batches: Iterable[Any],
    loss_fn: LossFunction | None = None,
    *,
    num_epochs: int | None = None,
    steps: int | None = None,
    lr: float = 1e-3,
    options: Options | None = None,
    **more: Any,
) -> History:
    """Trains `model` in place for `num_epochs` passes over `batches`, or for `steps` steps; returns what happened.

    >>> import torch
    >>> x, y = torch.rand(32, 5), torch.arange(32) % 2
    >>> history = fit(nn.Linear(5, 2), [(x, y)], steps=3, progress=False)
    >>> history.steps, len(history.loss), history.stopped
    (3, 3, 'finished')

    Args:
        model: what is trained: its parameters that have `requires_grad`. It is moved to the course's device
            (`settings.device()`). It trains in train mode; afterwards every submodule has its old mode.
        batches: an iterable of batches that can be gone through again and again: `course_lib.data.Batches`, a
            DataLoader, a list. A batch is a tensor, or a tuple, list or dict of tensors; it is moved to the device.
        loss_fn: `loss_fn(model, batch)` -> a scalar tensor, the mean over the batch. Default: `cross_entropy`.
        num_epochs, steps: how long; exactly one of the two.
        lr: the learning rate of the default optimizer, AdamW (Loshchilov and Hutter, 2019).
        options: everything else, see `Options`.
        **more: single options, which go before `options`: optimizer, weight_decay, schedule, warmup, validate,
            validate_every, higher_is_better, patience, precision, checkpoint, checkpoint_every, resume, generators,
            progress, label, on_step.

    Returns:
        The History. Ctrl-C ends the run early and does not raise: `history.stopped` is "interrupted". The weights
        that did best in validation are put back in any case.

    Raises:
        TypeError, ValueError: an argument that does not fit; the message says what was given and what is expected.
        LossNotFiniteError: the loss is NaN or infinite; the message names the step.
        CheckpointError: the checkpoint is damaged or foreign; neither the file nor the model was touched.
        OSError: the checkpoint's folder cannot be written (noticed before training).
    """
    run = Run(model, batches, loss_fn or cross_entropy, Options.of(options, more), num_epochs, steps, lr)
    with run.under_way():
        for batch in run.remaining_batches():  # epoch after epoch, until the last step
            run.set_learning_rate()
            loss = run.loss_fn(model, batch)  # forward
            run.check(loss)
            run.optimizer.zero_grad()
            run.scaler.scale(loss).backward()  # backward; the scaler does nothing unless the precision is float16
            run.scaler.step(run.optimizer)  # update
            run.scaler.update()
            run.record(loss, batch)
            if run.options.on_step is not None:
                run.options.on_step(model, run.history)
            if run.validation_is_due():
                run.validate_and_keep_best()
                if run.is_out_of_patience():
                    run.history.stopped = Stopped.PATIENCE
                    break
            if run.checkpoint_is_due():
                run.save()
    return run.history
