"""The reconstruction explorer shows an image clean, corrupted and reconstructed."""

from __future__ import annotations

import pytest
import torch
from drawing import assert_redrawn, shown_image

from course_lib import widgets


def reconstruction():
    images = torch.linspace(0, 1, 3)[:, None, None, None].expand(3, 1, 8, 8)
    return widgets.reconstruction_explorer(images, lambda x: x.mean(dim=(2, 3), keepdim=True).expand_as(x))


@pytest.mark.parametrize(("control", "value"), [("image", 2), ("level", 0.9)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(reconstruction(), control, value)


def test_reconstruction_explorer_destroys_and_mends():
    view = reconstruction()
    view.controls["level"].value = 0.0
    clean, corrupted, output, error = (shown_image(ax) for ax in view.figure.axes[:4])
    assert (clean == corrupted).all() and (output == clean).all() and error.max() == 0
    view.controls["image"].value = 1
    view.controls["level"].value = 0.3
    clean, corrupted, output, error = (shown_image(ax) for ax in view.figure.axes[:4])
    assert clean.mean() == 0.5 and corrupted.std() > 0.1 and output.std() < 1e-6


def test_reconstruction_explorer_takes_another_corruption():
    images = torch.full((1, 1, 4, 4), 200, dtype=torch.uint8)
    view = widgets.reconstruction_explorer(images, lambda x: x, corrupt=lambda x, level: x * (1 - level), start=0.5)
    assert shown_image(view.figure.axes[1]).mean() == pytest.approx(200 / 255 / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.reconstruction_explorer(torch.rand(3, 8, 8), lambda x: x), r"expected \(N, C, H, W\)"),
        (lambda: widgets.reconstruction_explorer(torch.rand(1, 1, 8, 8), lambda x: x[..., :2]), "returned shape"),
        (lambda: widgets.reconstruction_explorer(torch.rand(1, 1, 8, 8), lambda x: x, levels=(1, 1)), "levels is"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
