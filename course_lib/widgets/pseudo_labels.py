"""A widget for pseudo-labels: a threshold on confidence, and the images that reach it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import number_slider
from course_lib.widgets.view import View

# How bars of right and wrong pseudo-labels are drawn.
_RIGHT: dict[str, Any] = {"color": plots.NORMAL, "hatch": None, "alpha": 0.75, "edgecolor": "white", "linewidth": 0.4}
_WRONG: dict[str, Any] = _RIGHT | {"color": plots.ANOMALY, "hatch": plots.ANOMALY_HATCH}


def pseudo_label_slider(
    labels: Any,
    confidences: Any,
    true_labels: Any,
    *,
    class_names: Sequence[str],
    start: float = 0.9,
    title: str | None = None,
) -> View:
    """A threshold on pseudo-labels: how many images reach it, how many of their labels are right, and of which classes.

    Left are all confidences, right and wrong labels stacked; right are the chosen images of each class.

    Args:
        labels, true_labels: (N,) whole numbers from 0 to K - 1, the predicted and the true classes.
        confidences: (N,) floats from 0 to 1.
        class_names: K names.
        start: the threshold at first.

    Raises:
        ValueError: shapes that do not fit, or confidences that are not probabilities.
    """
    confidence = plots.as_vector(confidences, "confidences")
    predicted, true = (
        plots.as_vector(v, name).astype(int) for v, name in ((labels, "labels"), (true_labels, "true_labels"))
    )
    n = len(confidence)
    if not n == len(predicted) == len(true):
        raise ValueError(
            f"there are {len(predicted)} labels, {n} confidences and {len(true)} true labels; give one per image."
        )
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError("confidences must be probabilities, from 0 to 1, of at least one image.")
    if min(predicted.min(), true.min()) < 0 or max(predicted.max(), true.max()) >= len(class_names):
        raise ValueError(f"labels must be from 0 to {len(class_names) - 1}: there are {len(class_names)} class names.")

    def draw(tau: float) -> Figure:
        return _draw_pseudo_labels(predicted, confidence, predicted == true, tau, class_names, title)

    slider = number_slider("threshold", 0.0, 1.0, start, step=0.01)
    return View(draw, {"tau": slider}, hint="Images whose confidence is at least the threshold get a pseudo-label.")


@plots.styled
def _draw_pseudo_labels(
    labels: np.ndarray, confidence: np.ndarray, right: np.ndarray, tau: float, names: Sequence[str], title: str | None
) -> Figure:
    chosen = confidence >= tau - 1e-9
    count, correct = int(chosen.sum()), int((chosen & right).sum())
    coverage = f"{100 * count / len(confidence):.0f} %"
    precision = f"{100 * correct / count:.0f} %" if count else "none chosen"
    figure = plots.new_figure(9.6, max(3.8, 0.27 * len(names) + 1.5) + 0.3 * bool(title))
    left, side = figure.subplots(1, 2, width_ratios=[1.5, 1.0])
    _draw_confidences(left, confidence, right, tau)
    totals = _draw_chosen(side, labels, chosen, right, names)
    side.set_title(f"coverage {coverage}\nprecision {precision}", fontsize=12)
    few, many = int(totals.argmin()), int(totals.argmax())
    automatic = (
        f"{title or 'Pseudo-labels'}: with threshold {tau:.2f}, {count} of {len(confidence)} unlabeled images are "
        f"chosen (coverage {coverage}); {correct} of those labels are right (precision {precision}). Most are called "
        f"{names[many]} ({totals[many]:.0f}), fewest {names[few]} ({totals[few]:.0f})."
    )
    return plots.finished(figure, automatic, title=title)


def _draw_confidences(ax: Axes, confidence: np.ndarray, right: np.ndarray, tau: float) -> None:
    """Draws the histogram of all confidences, right and wrong labels stacked, paler below the threshold."""
    bins = np.linspace(0.0, 1.0, 41)
    bottom = np.zeros(40)
    for which, name, look in ((right, "right", _RIGHT), (~right, "wrong", _WRONG)):
        heights = np.histogram(confidence[which], bins)[0].astype(float)
        label = f"{name} ({which.sum():,})"
        ax.bar(bins[:-1], heights, width=0.025, bottom=bottom, align="edge", label=label, **look)
        bottom += heights
    ax.axvline(tau, color="black", linewidth=1.8, label=f"threshold {tau:.2f}")
    ax.axvspan(0.0, tau, color="white", alpha=0.55, zorder=2.5, linewidth=0)
    ax.set(xlabel="confidence", ylabel="unlabeled images", xlim=(0.0, 1.0))
    plots.legend_above(ax, 3, handlelength=1.4, columnspacing=1.0)


def _draw_chosen(
    ax: Axes, labels: np.ndarray, chosen: np.ndarray, right: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Draws the number of chosen images of each class, right and wrong labels stacked; returns their sums (K,)."""
    k = len(names)
    totals = np.zeros(k)
    for which, look in ((right, _RIGHT), (~right, _WRONG)):
        counts = np.bincount(labels[chosen & which], minlength=k).astype(float)
        ax.barh(range(k), counts, left=totals, height=0.7, **look)
        totals += counts
    ax.set_yticks(range(k), names)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, max(1.0, 1.05 * float(totals.max())))
    ax.set_xlabel("chosen images, by pseudo-label")
    return totals
