"""A widget for rotation as a pretext task: an image is turned by any angle, and the network predicts its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import image_batch, image_slider, number_slider
from course_lib.widgets.view import View

TURNS = ("upright", "one quarter", "two quarters", "three quarters")


def turn_explorer(
    images: Any, probabilities: Callable[[Any], Any], *, start: float = 0.0, title: str | None = None
) -> View:
    """Choose an image and turn it by any angle; see how probable each of the four quarter turns is to a network.

    Args:
        images: (N, C, H, W) with H = W, uint8 or float in [0, 1]. Border pixels are repeated into the corners.
        probabilities: float images (1, C, H, W) on the CPU -> (1, 4): of none, one, two and three counterclockwise
            quarter turns. It is called without gradients.
        start: the angle at first, in degrees counterclockwise.

    Raises:
        ValueError: no images, images that are not square, or something else than four numbers.
    """
    import torch

    from course_lib.data import augment

    batch = image_batch(images, square=True)

    def draw(image: int, angle: float) -> Figure:
        turned = augment.turned(batch[image : image + 1], angle, padding="border")
        with torch.no_grad():
            found = np.asarray(torch.as_tensor(probabilities(turned)).float().cpu())
        if found.shape != (1, len(TURNS)):
            raise ValueError(f"probabilities returned shape {found.shape}; expected (1, {len(TURNS)}).")
        return _draw_turn(turned.clamp(0, 1), found[0], image, angle, title)

    controls = {"image": image_slider(len(batch)), "angle": number_slider("degrees", 0.0, 360.0, start, step=5.0)}
    return View(draw, controls, hint="Turn the image, counterclockwise. When does the network change its mind?")


@plots.styled
def _draw_turn(turned: Any, probabilities: np.ndarray, index: int, angle: float, title: str | None) -> Figure:
    style = plots.method_style("rotation")
    figure = plots.new_figure(8.0, 2.8 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 2.2])
    plots.draw_picture(left, plots.as_pictures(turned)[0])
    left.set_title(f"turned by {angle:.0f} degrees", fontsize=11, loc="center")
    best = int(probabilities.argmax())
    faces = [style.color if row == best else "white" for row in range(len(TURNS))]
    right.barh(range(len(TURNS)), probabilities, height=0.62, color=faces, edgecolor=style.color, linewidth=1.5)
    for row, value in enumerate(probabilities):
        right.text(min(float(value), 1.0) + 0.02, row, f"{100 * value:.0f} %", va="center")
    right.set_yticks(range(len(TURNS)), TURNS)
    right.invert_yaxis()
    right.set_xlim(0, 1.15)
    right.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    right.tick_params(axis="y", length=0)
    right.set_xlabel("probability that the network gives to each turn")
    shares = ", ".join(f"{name} {100 * value:.0f} %" for name, value in zip(TURNS, probabilities))
    automatic = f"{title or 'Turned image'}: image {index}, turned by {angle:.0f} degrees. The network says: {shares}."
    return plots.finished(figure, automatic, title=title)
