"""The view of weak and strong views: what its pixels show is what the threshold says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import pixels

from course_lib import plots, widgets

WEAK = torch.full((4, 1, 8, 8), 0.2)
STRONG = torch.full((4, 1, 8, 8), 0.9)
PROBABILITIES = torch.tensor([[0.97, 0.02, 0.01], [0.3, 0.4, 0.3], [0.05, 0.1, 0.85], [0.6, 0.3, 0.1]])
NAMES = ("cup", "key", "boat")


def teaching(**options):
    options = {"class_names": NAMES, "labels": torch.tensor([0, 1, 0, 0]), "start": 0.8} | options
    return widgets.teaching_views(WEAK, STRONG, PROBABILITIES, **options)


def framed(view):
    """How many pixels have nearly the color of a frame that teaches."""
    color = plots.method_style("fixmatch").color
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels(view.png).astype(int) - wanted).sum(axis=-1) < 40).sum())


def test_the_frames_are_those_of_the_images_that_are_sure():
    view = teaching()
    weak = view.figure.axes[:4]
    assert [ax.spines["top"].get_linewidth() > 2 for ax in weak] == [True, False, True, False]
    assert [ax.images[0].get_alpha() for ax in view.figure.axes] == [1.0, 0.25] * 4
    assert "2 of 4 teach at 0.80, 1 of them rightly" in view.alt_text
    assert "boat 85 % teaches wrongly" in view.alt_text


def test_a_lower_threshold_shows_more_of_the_color_of_teaching():
    view = teaching(labels=None)
    counts = []
    for threshold in (1.0, 0.9, 0.8, 0.5, 0.0):
        view.controls["threshold"].value = threshold
        counts.append(framed(view))
    assert counts == sorted(counts) and counts[0] < 100 and counts[-1] > 3 * counts[1]
    assert "4 of 4 teach at 0.00" in view.alt_text and "rightly" not in view.alt_text


def test_an_image_that_is_silent_is_paler():
    view = teaching(start=1.0)
    silent = pixels(view.png).astype(int)
    view.controls["threshold"].value = 0.0
    assert pixels(view.png).astype(int).mean() < silent.mean() - 5


def test_exactly_as_sure_as_the_threshold_is_enough():
    sure = torch.tensor([[0.5, 0.5]])
    view = widgets.teaching_views(WEAK[:1], STRONG[:1], sure, class_names=NAMES[:2], start=0.5)
    assert "1 of 1 teach" in view.alt_text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weak": WEAK[:3]}, "3 weak views, 4 strong"),
        ({"class_names": ("cup", "key")}, r"expected \(4, 2\)"),
        ({"probabilities": 3 * PROBABILITIES}, "does not sum to 1"),
        ({"labels": torch.tensor([0, 1])}, "2 labels for 4 images"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    given = {"weak": WEAK, "strong": STRONG, "probabilities": PROBABILITIES, "class_names": NAMES} | options
    with pytest.raises(ValueError, match=message):
        widgets.teaching_views(given.pop("weak"), given.pop("strong"), given.pop("probabilities"), **given)
