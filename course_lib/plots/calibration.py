"""Figures of calibration: how often a network is right at each confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.inputs import as_flags, as_vector
from course_lib.plots.style import ANOMALY, ANOMALY_HATCH, NORMAL, NOTE, styled


@styled
def reliability_diagram(
    groups: Mapping[str, tuple[Any, Any]],
    *,
    num_bins: int = 10,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Accuracy against confidence, a panel for each group of images; a calibrated network follows the diagonal.

    A bar is the accuracy in a bin, a hatched part the gap to the mean confidence there (Guo et al. 2017). Bins without
    images stay empty; a small number says how many images a bin has. The error in a panel's title is the expected
    calibration error, the mean gap weighted by images.

    Args:
        groups: name -> (confidences, is_right), (N,) floats from 0 to 1 and (N,) booleans.
        num_bins: bins of equal width.

    Raises:
        ValueError: nothing to draw, or shapes that do not fit.
    """
    if not groups:
        raise ValueError("groups is empty; give at least one group of images.")
    figure = new_figure(4.3 * len(groups) + 0.4, 3.9 + 0.3 * bool(title))
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    parts = []
    for ax, (name, (confidences, is_right)) in zip(axes, groups.items()):
        confidence = as_vector(confidences, f"confidences of {name!r}")
        right = as_flags(is_right, len(confidence), "is_right")
        error = _draw_bins(ax, confidence, right, num_bins)
        ax.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1.2)
        ax.set(xlabel="confidence", xlim=(0, 1), ylim=(0, 1.08))
        ax.set_title(f"{name}: error {error:.3f}", fontsize=11)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        gap = confidence.mean() - right.mean()
        word = "overconfident" if gap > 0.01 else "underconfident" if gap < -0.01 else "about right"
        parts.append(
            f"{name}: {100 * right.mean():.0f} % right, {100 * confidence.mean():.0f} % confidence on average, {word}; "
            f"calibration error {error:.3f}."
        )
    axes[0].set_ylabel("share of right answers")
    return finished(figure, f"{title or 'Reliability diagram'}. {' '.join(parts)}", alt, title=title)


def _draw_bins(ax: Axes, confidence: NDArray[np.float64], right: NDArray[np.bool_], num_bins: int) -> float:
    """Draws accuracy, gap and number of images of each bin; returns the expected calibration error."""
    place = np.clip(np.ceil(confidence * num_bins).astype(int), 1, num_bins) - 1
    error = 0.0
    for m in np.unique(place):
        inside = place == m
        accuracy, expected = float(right[inside].mean()), float(confidence[inside].mean())
        error += float(inside.mean()) * abs(accuracy - expected)
        x, width = (m + 0.5) / num_bins, 0.92 / num_bins
        ax.bar(x, accuracy, width, color=NORMAL, alpha=0.75)
        low, high = sorted((accuracy, expected))
        gap: dict[str, Any] = {"color": "none", "edgecolor": ANOMALY, "hatch": ANOMALY_HATCH, "linewidth": 1.2}
        ax.bar(x, high - low, width, bottom=low, **gap)
        ax.text(x, 1.015, f"{inside.sum():,}", ha="center", va="bottom", fontsize=7.5, color=NOTE)
    return error
