"""A widget to try a classifier: turn, move, thicken or darken an image, and see the probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import choice_slider, image_batch, image_slider
from course_lib.widgets.probabilities import draw_probabilities
from course_lib.widgets.view import View

ANGLES = (0, 15, 30, 45, 60, 90, 135, 180)
BRIGHTNESS = (1.0, 0.7, 0.4, 0.2, 0.1)


def tryout_explorer(
    images: Any, classify: Callable[[Any], Any], *, class_names: Sequence[str], title: str | None = None
) -> View:
    """Choose an image, turn it, darken it or exchange black and white; see the probability of each class.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        classify: uint8 images (N, C, H, W) -> probabilities (N, K); it is called on the image as it is shown.
        class_names: the K names.

    Raises:
        ValueError: no images.
    """
    batch = image_batch(images)

    def draw(image: int, turned: int, brightness: float, inverted: bool) -> Figure:
        import torch

        shown = _turned(batch[image : image + 1], turned) * brightness
        shown = (255 * (1 - shown if inverted else shown)).round().to(torch.uint8)
        probabilities = torch.as_tensor(classify(shown))[0].detach().cpu().double().numpy()
        words = f"image {image}, turned by {turned} degrees, brightness {brightness:g}" + ", inverted" * inverted
        return _draw_tryout(shown, probabilities, words, class_names, title)

    controls = {
        "image": image_slider(len(batch)),
        "turned": choice_slider("turned by (degrees)", ANGLES, 0),
        "brightness": choice_slider("brightness", BRIGHTNESS, 1.0),
        "inverted": choice_slider("colors", [("as they are", False), ("inverted", True)], False),
    }
    return View(draw, controls, hint="Which changes keep the prediction, and where is it confident and wrong?")


def _turned(image: Any, degrees: int) -> Any:
    import torch
    from torch.nn import functional as F

    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    grid = F.affine_grid(torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]]), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, align_corners=False).clamp(0, 1) if degrees else image


@plots.styled
def _draw_tryout(
    picture: Any, probabilities: np.ndarray, words: str, names: Sequence[str], title: str | None
) -> Figure:
    heading = names[int(probabilities.argmax())]
    figure, shares = draw_probabilities(
        picture, probabilities, names, heading=heading, color=plots.NORMAL, x_label="probability of each class",
        title=bool(title),
    )  # fmt: skip
    return plots.finished(figure, f"{title or 'A classifier tried'}: {words}. {shares}.", title=title)
