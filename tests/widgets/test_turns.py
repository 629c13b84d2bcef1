"""The turn explorer turns like `torch.rot90` and asks the network."""

from __future__ import annotations

import pytest
import torch
from drawing import assert_redrawn

from course_lib import widgets


def brightest_side(images: torch.Tensor) -> torch.Tensor:
    """For images with one bright side: how much of the light lies at the top, left, bottom and right."""
    halves = [images[:, :, :4], images[..., :4], images[:, :, 4:], images[..., 4:]]
    return torch.stack([half.sum(dim=(1, 2, 3)) for half in halves], dim=1).softmax(dim=1)


def turning():
    images = torch.zeros(2, 1, 8, 8)
    images[:, :, :2] = torch.tensor([1.0, 0.5])[:, None, None, None]  # bright at the top
    return widgets.turn_explorer(images, brightest_side)


@pytest.mark.parametrize(("control", "value"), [("angle", 90.0), ("image", 1)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(turning(), control, value)


def test_turn_explorer_turns_counterclockwise_like_rot90_and_asks_the_network_about_it():
    seen = []
    images = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def probabilities(turned):
        seen.append(turned)
        return torch.tensor([[0.1, 0.2, 0.3, 0.4]])

    view = widgets.turn_explorer(images, probabilities)
    for k in range(4):
        view.controls["angle"].value = 90.0 * k
        assert torch.allclose(seen[-1], torch.rot90(images, k, (2, 3)), atol=1e-5)
    assert "turned by 270 degrees" in view.alt_text and "three quarters 40 %" in view.alt_text
    assert [text.get_text() for text in view.figure.axes[1].texts] == ["10 %", "20 %", "30 %", "40 %"]
    bright = turning()
    bright.controls["angle"].value = 90.0  # what was at the top lies to the left
    widths = [bar.get_width() for bar in bright.figure.axes[1].patches]
    assert widths.index(max(widths)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.turn_explorer(torch.rand(1, 1, 8, 6), brightest_side), r"expected \(N, C, H, H\)"),
        (lambda: widgets.turn_explorer(torch.rand(1, 1, 8, 8), lambda x: torch.rand(1, 3)), r"expected \(1, 4\)"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
