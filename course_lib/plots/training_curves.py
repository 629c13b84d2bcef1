"""Curves of one training run: drawn after it (`learning_curve`), or while it goes on (`live_curve`)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, mime_bundle, new_figure, show
from course_lib.plots.inputs import Baseline, as_vector, baseline_of
from course_lib.plots.style import ACCENT, LOSS, SINGLE_STEPS, VALIDATION, styled


@styled
def schedule(
    values: Sequence[float],
    *,
    marked: int | None = None,
    y_label: str = "weight",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """A number that changes with the step, such as a weight or a learning rate.

    Args:
        values: the number in each step, from step 0.
        marked: a step that gets a dashed line, such as the end of a ramp.
        y_label: what the number is.

    Raises:
        ValueError: no values.
    """
    numbers = as_vector(values, "values")
    figure = new_figure(6.0, 3.0)
    ax = figure.subplots()
    ax.plot(numbers, color=LOSS)
    if marked is not None:
        ax.axvline(marked, color=ACCENT, linestyle="--")
    ax.set(xlabel="step", ylabel=y_label)
    last = len(numbers) - 1
    steps = sorted({round(last * k / 4) for k in range(5)} | ({marked} & set(range(last)) if marked else set()))
    line = "" if marked is None else f" A dashed line marks step {marked}."
    automatic = f"{title or 'Schedule'}: {y_label} {', '.join(f'{numbers[s]:.2f} at step {s}' for s in steps)}.{line}"
    return finished(figure, automatic, alt, title=title)


@styled
def learning_curve(
    history: Any,
    *,
    validation: Sequence[tuple[float, float]] | None = None,
    total_steps: int | None = None,
    y_label: str = "loss",
    validation_label: str = "validation",
    title: str | None = None,
    alt: str | None = None,
    **line: Unpack[Baseline],
) -> Figure:
    """The loss of a training run, step by step, with its running mean; validation in a panel of its own.

    Args:
        history: what `fit` returns, or a sequence of losses.
        validation: (step, value) pairs; by default those of the history.
        total_steps: the length of the x axis, when the run is not over.
        y_label: what the loss is, with its unit if it has one ("loss (nats)").
        validation_label: what the validation value is.
        baseline: a horizontal line in the loss panel.
        baseline_label: what that line is (default: "baseline").

    Raises:
        ValueError: no losses that can be drawn.
    """
    baseline, baseline_label = baseline_of(line, "learning_curve", label="baseline")
    losses = as_vector(getattr(history, "loss", history), "losses") if len(getattr(history, "loss", history)) else None
    if losses is None:
        raise ValueError("The history has no losses yet; train at least one step.")
    points = list(validation if validation is not None else getattr(history, "validation", []) or [])
    figure = new_figure(8.0 if points else 6.0, 3.2)
    axes = figure.subplots(1, 2 if points else 1, squeeze=False)[0]
    for ax in axes:
        ax.set(xlabel="step", xlim=(0, max(total_steps or 0, len(losses), 2)))
        ax.grid(axis="y")
    smooth = _draw_losses(axes[0], losses, baseline, baseline_label)
    axes[0].set_ylabel(y_label)
    parts = [
        f"{title or 'Training'}: {y_label} from {smooth[0]:.3g} at step 1 to {smooth[-1]:.3g} at step {len(losses)}."
    ]
    if points:
        steps, values = zip(*points)
        axes[1].plot(steps, values, color=VALIDATION, marker="o", markersize=4)
        axes[1].set_ylabel(validation_label)
        best = getattr(history, "best_step", None)
        if best is not None and best in steps:
            axes[1].axvline(best, color=VALIDATION, linestyle=":", linewidth=1.2)
            axes[1].set_title(f"best at step {best}", fontsize=10)
        parts.append(f"{validation_label} from {values[0]:.3g} to {values[-1]:.3g}.")
    return finished(figure, " ".join(parts), alt, title=title)


def _draw_losses(
    ax: Axes, losses: NDArray[np.float64], baseline: float | None, baseline_label: str
) -> NDArray[np.float64]:
    """Draws every loss, their running mean and the baseline; returns the running mean, one value per step."""
    steps = np.arange(1, len(losses) + 1)
    window = max(len(losses) // 25, 1)
    smooth = _running_mean(losses, window)
    if window == 1:
        ax.plot(steps, losses, color=LOSS, marker="o", markersize=4, label="each step")
    else:
        ax.plot(steps, losses, color=SINGLE_STEPS, linewidth=0.8, label="each step")
        ax.plot(steps, smooth, color=LOSS, label=f"mean of {window} steps")
    if baseline is not None:
        ax.axhline(baseline, color=ACCENT, linestyle="--", linewidth=1.4, label=baseline_label)
    finite = losses[np.isfinite(losses)]
    if window > 1 and len(finite) > 20:
        # The first losses are often many times the later ones: the axis shows all but the largest hundredth.
        low, high = float(finite.min()), float(np.percentile(finite, 99))
        low, high = min(low, baseline or low), max(high, baseline or high)
        if high > low:
            ax.set_ylim(low - 0.05 * (high - low), high + 0.08 * (high - low))
    if len(ax.lines) > 1:
        ax.legend(loc="best", frameon=True, framealpha=0.9, edgecolor="none")  # a baseline may run behind it
    return smooth


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean over the last `window` steps, at the start over fewer."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)


def live_curve(
    total_steps: int | None = None,
    *,
    seconds: float = 1.0,
    y_label: str = "loss",
    validation_label: str = "validation",
    baseline: float | None = None,
    baseline_label: str = "baseline",
    title: str | None = None,
) -> LiveCurve:
    """A `LiveCurve`: `fit(model, batches, steps=600, on_step=live_curve(600))`.

    Args:
        total_steps: how long the run will be, so that the x axis stays the same.
        seconds: at least so long between two drawings.
        y_label, validation_label, baseline, baseline_label, title: as for `learning_curve`.
    """
    options = {"total_steps": total_steps, "y_label": y_label, "validation_label": validation_label, "title": title}
    return LiveCurve(seconds=seconds, options=options | {"baseline": baseline, "baseline_label": baseline_label})


class LiveCurve:
    """A training curve that is redrawn while the run goes on, and stays in the notebook as it was at the end.

    Call it as `fit`'s callback, `fit(..., on_step=live_curve())`, or with a number, `curve(loss)`, in a loop of your
    own. The last state is drawn when the notebook cell ends; elsewhere by `finish()` or at the end of a `with` block.

    Attributes:
        figure: as it was drawn last; None before the first step.
        redraws: how often it was drawn.
        clock: returns the seconds since some moment.
    """

    def __init__(self, *, seconds: float, options: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.options = options
        self.clock = clock
        self.figure: Figure | None = None
        self.redraws = 0
        self._history: Any = None
        self._losses: list[float] = []
        self._handle: Any = None
        self._next = -math.inf
        self._shell: Any = None
        self._watch_the_cell()

    def __call__(self, model_or_loss: Any, history: Any | None = None) -> None:
        """One step: (model, history), as `fit` calls it, or a loss."""
        if history is not None:
            self._history = history
        else:
            self._losses.append(float(model_or_loss))
            self._history = self._losses
        if self.clock() >= self._next:
            began = self.clock()
            self._redraw()
            spent = self.clock() - began
            # A drawing may take a tenth of the time, on a slow machine too; training has the rest.
            self._next = began + max(self.seconds, 10 * spent)

    def finish(self) -> None:
        """Draws the last state."""
        self._redraw()
        if self._shell is not None:
            shell, self._shell = self._shell, None
            shell.events.unregister("post_run_cell", self._cell_ended)

    def __enter__(self) -> LiveCurve:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def _watch_the_cell(self) -> None:
        """Has IPython, where there is one, call `_cell_ended` when the notebook cell ends."""
        self._shell = _ipython()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._cell_ended)

    def _cell_ended(self, *_: object) -> None:
        if self._history is not None:
            self.finish()

    def _redraw(self) -> None:
        losses = getattr(self._history, "loss", self._history)
        if losses is None or len(losses) == 0:
            return
        self.figure = learning_curve(self._history, **self.options)
        self.redraws += 1
        if not hasattr(_ipython(), "kernel"):  # no notebook that could show it
            return
        if self._handle is None:
            self._handle = show(self.figure, display_id=True)
        else:
            data, metadata = mime_bundle(self.figure)
            self._handle.update(data, metadata=metadata, raw=True)


def _ipython() -> Any:
    """The running IPython shell, or None."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
