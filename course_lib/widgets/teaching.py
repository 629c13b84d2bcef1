"""A widget for weak and strong views: a threshold on confidence, and the strong views that get a pseudo-label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import number_slider
from course_lib.widgets.view import View


def teaching_views(
    weak: Any,
    strong: Any,
    probabilities: Any,
    *,
    class_names: Sequence[str],
    labels: Any = None,
    start: float = 0.8,
    title: str | None = None,
) -> View:
    """A threshold on confidence: which weak views reach it, and the pseudo-labels that their strong views get.

    Above, each image in its weak view with the class predicted there and its probability; below, the strong view.
    Where the threshold is reached both are framed; elsewhere both are faded.

    Args:
        weak, strong: (N, C, H, W), two views of the same images, uint8 or float in [0, 1].
        probabilities: (N, K), the network's for the weak views; rows sum to 1.
        class_names: K names.
        labels: (N,) the true classes, if known: they are written beside wrong pseudo-labels.
        start: the threshold at first.

    Raises:
        ValueError: views, probabilities, names or labels that do not fit together, or rows that are not probabilities.
    """
    pictures = plots.as_pictures(weak, "weak"), plots.as_pictures(strong, "strong")
    shares = plots.as_array(probabilities)
    count = len(pictures[0])
    if len(pictures[1]) != count or shares.shape != (count, len(class_names)):
        raise ValueError(
            f"{count} weak views, {len(pictures[1])} strong views and probabilities of shape {shares.shape} for "
            f"{len(class_names)} classes do not fit together; expected ({count}, {len(class_names)})."
        )
    if not np.allclose(shares.sum(axis=1), 1.0, atol=1e-2) or shares.min() < 0:
        raise ValueError("A row of probabilities does not sum to 1; give softmax(dim=1) of the logits.")
    true = None if labels is None else np.asarray(plots.as_vector(labels, "labels"), dtype=int)
    if true is not None and len(true) != count:
        raise ValueError(f"There are {len(true)} labels for {count} images; give one for each.")

    def draw(threshold: float) -> Figure:
        return _draw_teaching(*pictures, shares, list(class_names), true, threshold, title)

    slider = number_slider("threshold", 0.0, 1.0, start, step=0.01)
    return View(draw, {"threshold": slider}, hint="Only framed images teach. How confident must a prediction be?")


@plots.styled
def _draw_teaching(
    weak: np.ndarray,
    strong: np.ndarray,
    probabilities: np.ndarray,
    names: list[str],
    true: np.ndarray | None,
    threshold: float,
    title: str | None,
) -> Figure:
    color = plots.method_style("fixmatch").color
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    truth = predicted if true is None else true  # no label is known to be wrong without the true ones
    teaches = confidence >= threshold
    figure = plots.new_figure(1.25 * len(weak) + 0.9, 3.7)
    axes = figure.subplots(2, len(weak), squeeze=False)
    words = []
    for column, (above, below) in enumerate(axes.T):
        chosen, name, percent = bool(teaches[column]), names[predicted[column]], f"{100 * confidence[column]:.0f} %"
        wrong = bool(truth[column] != predicted[column])
        frame = plots.ACCENT if wrong else color
        for ax, picture in ((above, weak[column]), (below, strong[column])):
            plots.draw_picture(ax, picture, alpha=1.0 if chosen else 0.25)
            plots.frame(ax, frame if chosen else plots.FRAME, 3.0 if chosen else 0.8)
        above.set_title(f"{name}\n{percent}", fontsize=10, loc="center")
        taught = f"teaches\n{name}" + (f" ({names[truth[column]]})" if wrong else "")
        below.set_xlabel(taught if chosen else "silent", fontsize=10, color=frame if chosen else plots.NOTE)
        words.append(f"{name} {percent}" + (" teaches wrongly" if wrong else " teaches") * chosen)
    axes[0, 0].set_ylabel("weak view", fontsize=10)
    axes[1, 0].set_ylabel("strong view", fontsize=10)
    summary = f"{int(teaches.sum())} of {len(weak)} teach at {threshold:.2f}"
    if true is not None:
        summary += f", {int((teaches & (truth == predicted)).sum())} of them rightly"
    automatic = f"{title or 'Who teaches'}: {summary}. {'; '.join(words)}."
    return plots.finished(figure, automatic, title=f"{title}: {summary}" if title else summary)
