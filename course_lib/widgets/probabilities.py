"""What several widgets draw: an image, and beside it the probability of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure


def draw_probabilities(
    picture: Any,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    heading: str,
    color: str,
    x_label: str,
    title: bool,
) -> tuple[Figure, str]:
    """An image and bars of the probabilities, the largest one filled; the figure, not finished, and them in words.

    Args:
        picture: (1, C, H, W).
        probabilities: (K,), and the K names.
        heading: above the image.
        title: whether room is left for a title.
    """
    figure = plots.new_figure(8.0, 1.0 + 0.24 * max(len(names), 8) + 0.3 * title)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 2.2])
    plots.draw_picture(left, plots.as_pictures(picture)[0])
    left.set_title(heading, fontsize=11, loc="center")
    best = int(probabilities.argmax())
    faces = [color if row == best else "white" for row in range(len(names))]
    right.barh(range(len(names)), probabilities, height=0.62, color=faces, edgecolor=color, linewidth=1.5)
    for row, value in enumerate(probabilities):
        right.text(float(value) + 0.02, row, f"{100 * value:.1f} %", va="center", fontsize=9)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlim(0, 1.2)
    right.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    right.tick_params(axis="y", length=0)
    right.set_xlabel(x_label)
    return figure, ", ".join(f"{name} {100 * value:.1f} %" for name, value in zip(names, probabilities, strict=True))
