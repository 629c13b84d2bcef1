"""The view explorer draws two views and finds the images that are nearest to each."""

from __future__ import annotations

import pytest
import torch
from drawing import assert_redrawn

from course_lib import widgets
from course_lib.data import augment


def images() -> torch.Tensor:
    return torch.rand(9, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def exploring(**options):
    return widgets.view_explorer(images(), augment.gaussian_noise, lambda x: x.flatten(1) - 0.5, **options)


@pytest.mark.parametrize(("control", "value"), [("image", 3), ("draw", 7)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(exploring(), control, value)


def test_an_image_that_is_hardly_changed_finds_itself_first_and_has_a_frame():
    view = exploring(neighbors=4, title="Two views")
    view.controls["image"].value = 5
    assert "image 5" in view.alt_text
    assert "number 1 for view 1 and number 1 for view 2" in view.alt_text
    labels = [ax.get_xlabel() for ax in view.figure.axes]
    assert labels.count("the image itself") == 2 and "view 2" in labels


def test_both_views_are_drawn_from_one_generator_and_differ():
    seen = []

    def encode(x):
        seen.append(x)
        return x.flatten(1)

    widgets.view_explorer(images(), augment.gaussian_noise, encode)
    views = seen[-1]
    assert views.shape == (2, 1, 6, 6) and not torch.equal(views[0], views[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exploring(neighbors=9), "1 to 8 is expected"),
        (lambda: widgets.view_explorer(torch.rand(3, 8, 8), augment.gaussian_noise, len), r"expected \(N, C, H, W\)"),
        (
            lambda: widgets.view_explorer(images(), augment.gaussian_noise, lambda x: x.flatten()),
            r"expected \(9, d\)",
        ),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
