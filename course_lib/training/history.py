"""What a training run leaves behind: its `History`."""

from __future__ import annotations

import dataclasses
import math
from enum import StrEnum


class Stopped(StrEnum):
    """Why a run stopped. A member equals its text and is shown as it: `history.stopped == "finished"`."""

    RUNNING = "running"
    FINISHED = "finished"
    PATIENCE = "patience"
    INTERRUPTED = "interrupted"
    ERROR = "error"

    def __repr__(self) -> str:
        return repr(self.value)


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
    stopped: Stopped = Stopped.RUNNING
    steps: int = 0
    seconds: float = 0.0

    @property
    def epoch_loss(self) -> list[tuple[int, float]]:
        """(step, loss) after every pass over the batches: a mean over images, so a small last batch counts for less."""
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

    def summary(self) -> str:
        """The last loss and the last validation, for a progress bar."""
        loss = f"loss {self.loss[-1]:.3g}" if self.loss else ""
        return loss + (f", validation {self.validation[-1][1]:.3g}" if self.validation else "")


class LossNotFiniteError(FloatingPointError):
    """The loss became NaN or infinite. `.history` holds what was recorded up to that step."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history
