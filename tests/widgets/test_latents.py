"""The latent explorer shows what the sliders decode."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import assert_redrawn, shown_image

from course_lib import widgets


def decode(codes: torch.Tensor) -> torch.Tensor:
    """Code (x, y) -> an image whose left half is as bright as x, its right half as y."""
    image = torch.zeros(len(codes), 1, 8, 8)
    image[..., :4] = codes[:, 0, None, None, None]
    image[..., 4:] = codes[:, 1, None, None, None]
    return image


def latent():
    return widgets.latent_explorer(decode, {"left": (0.0, 1.0), "right": (0.0, 1.0)}, start=(0.25, 0.5))


@pytest.mark.parametrize(("control", "value"), [("left", 0.75), ("right", 0.0)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(latent(), control, value)


def test_latent_explorer_decodes_what_the_sliders_say():
    view = latent()
    big = shown_image(view.figure.axes[0])
    assert big[0, 0] == pytest.approx(0.25) and big[0, -1] == pytest.approx(0.5)
    view.controls["left"].value = 0.75
    big = shown_image(view.figure.axes[0])
    assert big[0, 0] == pytest.approx(0.75) and big[0, -1] == pytest.approx(0.5)


def test_latent_explorer_shows_the_images_along_each_slider():
    rows = [shown_image(ax) for ax in latent().figure.axes[1:]]
    assert [row[0, 0] for row in rows[:7]] == pytest.approx(np.linspace(0, 1, 7))
    assert {float(row[0, 0]) for row in rows[7:]} == {0.25}
    assert [row[0, -1] for row in rows[7:]] == pytest.approx(np.linspace(0, 1, 7))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.latent_explorer(decode, []), "ranges is empty"),
        (lambda: widgets.latent_explorer(decode, [(1, 0), (0, 1)]), "'number 1' is"),
        (lambda: widgets.latent_explorer(decode, [(0, 1), (0, 1)], start=[0.5]), "1 numbers for 2 ranges"),
        (lambda: widgets.latent_explorer(lambda z: decode(z)[:1], [(0, 1), (0, 1)]), "1 images for 15 codes"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
