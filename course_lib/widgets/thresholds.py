"""A widget for scores: a threshold, and the images on both sides of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import number_slider
from course_lib.widgets.view import View


def threshold_slider(
    scores: Any,
    is_positive: Any,
    *,
    start: float | None = None,
    names: tuple[str, str] = ("normal", "anomaly"),
    x_label: str = "anomaly score",
    title: str | None = None,
) -> View:
    """A threshold on scores: their histogram, the number of images on both sides, precision and recall.

    Args:
        scores: (N,) floats, high for an anomaly.
        is_positive: (N,) booleans, true for an anomaly.
        start: where the threshold stands at first; by default above 95 % of the normal images. (A threshold is chosen
            without looking at the anomalies: in use there are none yet.)
        names: of the two kinds.
        x_label: what the score is.

    Raises:
        ValueError: shapes that do not fit, or scores that are not finite.
    """
    values = plots.as_vector(scores, "scores")
    positive = plots.as_flags(is_positive, len(values))
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of the {len(values)} scores are NaN or infinite.")
    normal = values[~positive] if (~positive).any() else values
    first = float(np.quantile(normal, 0.95)) if start is None else float(start)
    low, high = min(float(values.min()), first), max(float(values.max()), first)
    margin = 0.01 * (high - low or 1.0)

    def draw(threshold: float) -> Figure:
        return _draw_threshold(values, positive, threshold, names, x_label, title)

    slider = number_slider("threshold", low - margin, high + margin, first, step=(high - low + 2 * margin) / 200)
    return View(draw, {"threshold": slider}, hint=f"Images that score at least the threshold are called {names[1]}.")


@plots.styled
def _draw_threshold(
    scores: np.ndarray, positive: np.ndarray, threshold: float, names: tuple[str, str], x_label: str, title: str | None
) -> Figure:
    called = scores >= threshold
    # Rows: normal images, anomalies. Columns: called normal, called anomalies.
    counts = np.array([[(kind & ~called).sum(), (kind & called).sum()] for kind in (~positive, positive)])
    found, called_count, positives = int(counts[1, 1]), int(called.sum()), int(positive.sum())
    precision = f"{100 * found / called_count:.0f} %" if called_count else "none called"
    recall = f"{100 * found / positives:.0f} %" if positives else "no such images"
    figure = plots.new_figure(9.2, 3.6 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[2.0, 1.0])
    plots.draw_histogram(left, scores, positive, threshold, names, x_label)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mesh = right.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.25)
    for (row, column), count in np.ndenumerate(counts):
        plots.write_in_cell(right, mesh, row, column, f"{count}", shares[row, column], fontsize=14)
    right.set_xticks([0, 1], [f"called\n{name}" for name in names])
    right.set_yticks([0, 1], names)
    plots.bare_axes(right)
    right.set_title(f"precision {precision}\nrecall {recall}", fontsize=12)
    automatic = (
        f"{title or 'Threshold'} at {threshold:.3g}: of {positives} {names[1]}, {found} are found, {counts[1, 0]} "
        f"missed; of {int((~positive).sum())} {names[0]}, {counts[0, 1]} are false alarms. "
        f"Precision {precision}, recall {recall}."
    )
    return plots.finished(figure, automatic, title=title)
