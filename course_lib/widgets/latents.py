"""A widget for latent spaces: a slider for each number of a code, and the images decoded from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import number_slider
from course_lib.widgets.view import View


def latent_explorer(
    decode: Callable[[Any], Any],
    ranges: Sequence[tuple[float, float]] | Mapping[str, tuple[float, float]],
    *,
    start: Sequence[float] | None = None,
    steps: int = 7,
    title: str | None = None,
) -> View:
    """A slider for each number of a code; the image decoded from the code, and the images along each slider.

    The left image is decoded from the code as it is set. Beside it, in a row for each slider, are the images along that
    slider from its low to its high end, all other sliders left where they are. Therefore the effect of each number can
    be seen without a live front end too.

    Args:
        decode: codes (N, d), a float32 tensor, -> images (N, C, H, W). It is called without gradients.
        ranges: (low, high) of each of the d numbers, in order, or by name.
        start: where the sliders stand at first (default: the middle).
        steps: images per row.

    Raises:
        ValueError: no ranges, a range that is empty, or images of the wrong shape.
    """
    import torch

    named = dict(ranges) if isinstance(ranges, Mapping) else {f"number {i + 1}": pair for i, pair in enumerate(ranges)}
    if not named:
        raise ValueError("ranges is empty; give (low, high) for each number of the code.")
    for name, (low, high) in named.items():
        if not low < high:
            raise ValueError(f"The range of {name!r} is ({low}, {high}); the first number must be the smaller one.")
    middle = [(low + high) / 2 for low, high in named.values()] if start is None else [float(v) for v in start]
    if len(middle) != len(named):
        raise ValueError(f"start has {len(middle)} numbers for {len(named)} ranges; give one for each.")

    def draw(**values: float) -> Figure:
        code = np.array([values[name] for name in named])
        codes = [code]
        for row, (low, high) in enumerate(named.values()):
            for value in np.linspace(low, high, steps):
                codes.append(code.copy())
                codes[-1][row] = value
        with torch.no_grad():
            images = decode(torch.tensor(np.stack(codes), dtype=torch.float32))
        return _draw_traversals(images, code, named, steps, title)

    controls = {name: number_slider(name, *named[name], value) for name, value in zip(named, middle)}
    return View(draw, controls, hint="Move a slider: the image on the left follows.")


@plots.styled
def _draw_traversals(
    images: Any, code: np.ndarray, named: Mapping[str, tuple[float, float]], steps: int, title: str | None
) -> Figure:
    pictures = plots.as_pictures(images, "decode's result")
    expected = 1 + len(named) * steps
    if len(pictures) != expected:
        raise ValueError(f"decode returned {len(pictures)} images for {expected} codes; it must return one for each.")
    rows = len(named)
    longest = 0.09 * max(map(len, named))  # inches that a name takes up
    figure: Any = plots.new_figure(2.4 + longest + 0.8 * steps, max(0.95 * rows + 0.5, 2.6))
    left, right = figure.subfigures(1, 2, width_ratios=[2.2, longest + 0.8 * steps])
    decoded = left.subplots()
    plots.draw_picture(decoded, pictures[0])
    decoded.set_title("decoded image", fontsize=11, loc="center")
    axes = right.subplots(rows, steps, squeeze=False)
    for row, (name, (low, high)) in enumerate(named.items()):
        values = np.linspace(low, high, steps)
        for column, ax in enumerate(axes[row]):
            plots.draw_picture(ax, pictures[1 + row * steps + column])
            if row == 0 or len({tuple(pair) for pair in named.values()}) > 1:
                ax.set_title(f"{values[column]:.2g}", fontsize=9, loc="center")
        nearest = int(np.abs(values - code[row]).argmin())
        plots.frame(axes[row, nearest], plots.ACCENT, 2.5)
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    settings = ", ".join(f"{name} {value:.2g}" for name, value in zip(named, code))
    automatic = (
        f"{title or 'Latent explorer'}: the image decoded from {settings} (mean brightness {pictures[0].mean():.2f}), "
        f"and {steps} images along each of {', '.join(named)}; the one nearest to the slider has a thick frame."
    )
    return plots.finished(figure, automatic, title=title)
