"""A widget for images and captions: put a prompt together, and see the images that are nearest to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import WIDE
from course_lib.widgets.view import View

SHOWN = 10


def prompt_explorer(
    images: Any,
    scores: Callable[[str], Any],
    words: Mapping[str, Sequence[str]],
    *,
    beginning: str = "a",
    start: Mapping[str, str] | None = None,
    title: str | None = None,
) -> View:
    """Choose the words of a prompt; see the ten images whose vectors are nearest to that of the prompt.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        scores: prompt -> (N,), the cosine of each image with it.
        words: name of a control -> what can be chosen, in the order of the prompt; "" is not a word.
        beginning: the first word of every prompt.
        start: what is chosen at first; the first entry for a control that is not named.

    Raises:
        ValueError: no images, no choices, or not one score per image.
    """
    pictures = plots.as_pictures(images)
    if not words or not all(words.values()):
        raise ValueError("words is empty, or a control has no choices; give at least one word for each.")

    def draw(**chosen: str) -> Figure:
        prompt = " ".join(part for part in (beginning, *(chosen[name] for name in words)) if part)
        found = plots.as_vector(scores(prompt), "scores")
        if found.shape != (len(pictures),):
            raise ValueError(f"scores has shape {found.shape}; expected ({len(pictures)},), one number per image.")
        best = np.argsort(-found, kind="stable")[:SHOWN]
        return _draw_nearest(pictures[best], found[best], prompt, title)

    controls = {
        name: ipywidgets.Dropdown(
            options=[(option or "(no word)", option) for option in options],
            value=(start or {}).get(name, options[0]), description=name, **WIDE,
        )
        for name, options in words.items()
    }  # fmt: skip
    return View(draw, controls, hint="Change one word at a time. Which words does the network know?")


@plots.styled
def _draw_nearest(pictures: np.ndarray, cosines: np.ndarray, prompt: str, title: str | None) -> Figure:
    figure = plots.new_figure(9.0, 1.75 + 0.3 * bool(title))
    axes = np.atleast_1d(figure.subplots(1, len(pictures)))
    for ax, picture, cosine in zip(axes, pictures, cosines, strict=True):
        plots.draw_picture(ax, picture)
        ax.set_xlabel(f"{cosine:.2f}")
    figure.supxlabel(f'nearest to "{prompt}", with their cosines', fontsize=11)
    automatic = (
        f'{title or "Images by prompt"}: the {len(pictures)} images nearest to "{prompt}", with cosines from '
        f"{cosines[0]:.2f} down to {cosines[-1]:.2f}."
    )
    return plots.finished(figure, automatic, title=title)
