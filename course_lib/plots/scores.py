"""Figures of scores for two kinds of images, such as normal ones and anomalies: histogram and ROC curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, legend_above, new_figure
from course_lib.plots.inputs import as_flags, as_vector
from course_lib.plots.style import ANOMALY, ANOMALY_HATCH, CHANCE, NORMAL, MethodStyle, method_style, styled


@styled
def histogram_of_scores(
    scores: Any,
    is_positive: Any,
    *,
    threshold: float | None = None,
    names: tuple[str, str] = ("normal", "anomaly"),
    x_label: str = "anomaly score",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """The scores of normal images and of anomalies as two histograms, and a threshold between them.

    Args:
        scores: (N,) floats, high for an anomaly.
        is_positive: (N,) booleans, true for an anomaly.
        threshold: images that score at least this are called anomalies.
        names: of the two kinds.
        x_label: what the score is, with its unit if it has one.

    Raises:
        ValueError: shapes that do not fit.
    """
    values = as_vector(scores, "scores")
    positive = as_flags(is_positive, len(values))
    figure = new_figure(6.6, 3.4 + 0.3 * bool(title))
    draw_histogram(figure.subplots(), values, positive, threshold, names, x_label)
    parts = [f"{title or 'Histogram'}: {x_label}."]
    for which, name in ((~positive, names[0]), (positive, names[1])):
        if which.any():
            parts.append(f"{which.sum()} {name}, median {np.median(values[which]):.3g}.")
    if threshold is not None:
        above = values >= threshold
        parts.append(
            f"At or above the threshold {threshold:.3g} lie {(positive & above).sum()} of {positive.sum()} {names[1]} "
            f"and {(~positive & above).sum()} of {(~positive).sum()} {names[0]}."
        )
    return finished(figure, " ".join(parts), alt, title=title)


@styled
def roc_curve(
    scores: Mapping[str, Any] | Any,
    is_positive: Any,
    *,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Share of anomalies found against share of false alarms over all thresholds, a line and an AUROC for each method.

    Args:
        scores: method -> (N,) scores, high for an anomaly; or the scores of one method.
        is_positive: (N,) booleans, true for an anomaly.

    Raises:
        ValueError: shapes that do not fit, or only one kind of image.
    """
    from sklearn import metrics

    methods = dict(scores) if isinstance(scores, Mapping) else {"score": scores}
    figure = new_figure(5.4, 4.6 + 0.3 * bool(title))
    ax = figure.subplots()
    parts = []
    for method, values in methods.items():
        values = as_vector(values, f"scores of {method!r}")
        positive = as_flags(is_positive, len(values))
        if positive.all() or not positive.any():
            raise ValueError("is_positive holds one kind of image only; a ROC curve needs anomalies and normal images.")
        false_alarms, found, _ = metrics.roc_curve(positive, values)
        area = metrics.roc_auc_score(positive, values)
        style = method_style(method)
        _draw_roc(ax, false_alarms, found, style, f"{style.label}: AUROC {area:.2f}")
        parts.append(f"{style.label}: area under the curve {area:.2f}.")
    ax.plot([0, 1], [0, 1], color=CHANCE, linestyle=(0, (1, 2)), linewidth=1.3, label="chance: 0.50")
    ax.set(
        xlabel="false alarms (share of normal images)",
        ylabel="anomalies found (share)",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
    )
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.set_major_locator(MaxNLocator(5))
    ax.legend(loc="lower right")
    automatic = f"{title or 'ROC curve'}: anomalies found against false alarms. {' '.join(parts)}"
    return finished(figure, automatic, alt, title=title)


def _draw_roc(
    ax: Axes, false_alarms: NDArray[np.float64], found: NDArray[np.float64], style: MethodStyle, label: str
) -> None:
    """Draws a method's line, with markers at the same five places on every line, so that lines differ in gray too."""
    ax.plot(false_alarms, found, **style.line, markevery=[], label=label)  # its marker stands in the legend only
    every = np.linspace(0.1, 0.9, 5)
    heights = np.interp(every, false_alarms, found)
    ax.plot(every, heights, **style.line | {"linestyle": "none"}, markersize=6)


def draw_histogram(
    ax: Axes,
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    threshold: float | None,
    names: tuple[str, str],
    x_label: str,
) -> None:
    """Draws the scores of two kinds of images (N,), each as shares of its kind, and the threshold, if there is one."""
    low, high = float(scores.min()), float(scores.max())
    bins = np.linspace(low, high if high > low else low + 1.0, 31).tolist()
    kinds = ((~positive, names[0], NORMAL, None), (positive, names[1], ANOMALY, ANOMALY_HATCH))
    for which, name, color, hatch in kinds:
        if which.any():
            shares: dict[str, Any] = {"bins": bins, "weights": np.full(int(which.sum()), 1.0 / which.sum())}
            outline: dict[str, Any] = {"hatch": hatch, "linewidth": 1.5, "linestyle": "-" if hatch is None else "--"}
            ax.hist(scores[which], **shares, color=color, alpha=0.25)
            ax.hist(scores[which], **shares, histtype="step", color=color, **outline, label=f"{name} ({which.sum()})")
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1.8, label=f"threshold {threshold:.3g}")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel=x_label, ylabel="share of images")
    legend_above(ax, 3, handlelength=1.6, columnspacing=1.2)
