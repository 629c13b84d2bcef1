"""A widget for distillation: the probabilities of one image, softened by any temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import choice_slider, image_batch, image_slider
from course_lib.widgets.probabilities import draw_probabilities
from course_lib.widgets.view import View

TEMPERATURES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0)


def temperature_explorer(
    images: Any, logits: Any, *, class_names: Sequence[str], start: float = 1.0, title: str | None = None
) -> View:
    """Choose an image and a temperature; see the softmax of its logits divided by the temperature.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        logits: (N, K) float, what a network returns for these images.
        class_names: the K names.
        start: the temperature at first, one of `TEMPERATURES`.

    Raises:
        ValueError: no images, logits of another shape, or a start that is not one of the temperatures.
    """
    import torch

    batch, found = image_batch(images), torch.as_tensor(logits).detach().cpu().double()
    if found.shape != (len(batch), len(class_names)):
        raise ValueError(f"logits has shape {tuple(found.shape)}; expected {(len(batch), len(class_names))}.")
    if start not in TEMPERATURES:
        raise ValueError(f"start is {start}; expected one of {', '.join(map(str, TEMPERATURES))}.")

    def draw(image: int, temperature: float) -> Figure:
        probabilities = (found[image] / temperature).softmax(dim=0).numpy()
        return _draw_softened(batch[image : image + 1], probabilities, image, temperature, class_names, title)

    controls = {"image": image_slider(len(batch)), "temperature": choice_slider("temperature", TEMPERATURES, start)}
    return View(draw, controls, hint="Raise the temperature. Which classes does the network take this image for?")


@plots.styled
def _draw_softened(
    picture: Any, probabilities: np.ndarray, index: int, temperature: float, names: Sequence[str], title: str | None
) -> Figure:
    figure, shares = draw_probabilities(
        picture, probabilities, names, heading=f"T = {temperature:g}", color=plots.method_style("distillation").color,
        x_label="softened probability of each class", title=bool(title),
    )  # fmt: skip
    automatic = f"{title or 'Softened probabilities'}: image {index}, temperature {temperature:g}. {shares}."
    return plots.finished(figure, automatic, title=title)
