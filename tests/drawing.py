"""What the tests of plots and widgets draw, and how they read what was drawn."""

from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from course_lib import plots

NAMES = ("house", "tree", "a boat with sails", "cup", "key", "umbrella", "mushroom", "fish", "lamp", "star")


def images(n: int = 12, channels: int = 1, size: int = 28) -> torch.Tensor:
    """uint8 (n, channels, size, size)."""
    return torch.randint(
        0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )


def accuracies(**methods: float) -> dict[str, dict[int, list[float]]]:
    """method -> {labels: accuracies of three seeds}, around the accuracy given for each method."""
    return {
        name: {n: [base + n / 100 + s / 50 for s in range(3)] for n in (1, 5, 50)} for name, base in methods.items()
    }


class History:
    """As `fit` returns it, as far as the figures read it."""

    def __init__(self, steps: int = 300) -> None:
        self.loss = [2.3 * 0.99**step for step in range(steps)]
        self.validation = [(step, step / 400) for step in range(50, steps + 1, 50)]
        self.best_step = steps


def pixels(png: bytes) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def shown_image(ax: Axes) -> np.ndarray:
    """The values of the image that was drawn on the axes."""
    return np.asarray(ax.images[0].get_array())


def line(ax: Axes, label: str):
    return next(found for found in ax.lines if found.get_label() == label)


def texts(figure: plots.Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def linear_rgb(color) -> list[float]:
    """The three intensities of light, from 0 to 1."""
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]


def luminance(color) -> float:
    """From 0 (black) to 1 (white), as WCAG 2 defines it."""
    return float(np.dot([0.2126, 0.7152, 0.0722], linear_rgb(color)))


def assert_redrawn(view, control: str, value) -> None:
    """Moving a control of a widget changes the pixels of its figure and its alt text."""
    before, words = pixels(view.png), view.alt_text
    view.controls[control].value = value
    after = pixels(view.png)
    assert before.shape == after.shape and (before != after).any()
    assert view.alt_text != words
