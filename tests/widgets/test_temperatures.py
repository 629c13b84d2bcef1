"""The temperature explorer shows the softmax of the logits divided by the temperature."""

from __future__ import annotations

import pytest
import torch
from drawing import assert_redrawn

from course_lib import widgets

LOGITS = torch.tensor([[4.0, 2.0, 0.0], [0.0, 1.0, 6.0]])


def explorer(**options):
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return widgets.temperature_explorer(images, LOGITS, class_names=("cup", "key", "star"), **options)


@pytest.mark.parametrize(("control", "value"), [("temperature", 8.0), ("image", 1)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(explorer(), control, value)


def test_bars_are_the_softened_probabilities():
    view = explorer(start=2.0, title="Soft")
    view.controls["image"].value = 1
    expected = (LOGITS[1].double() / 2).softmax(dim=0)
    widths = [bar.get_width() for bar in view.figure.axes[1].patches]
    assert torch.allclose(torch.tensor(widths, dtype=torch.float64), expected, atol=1e-6)
    assert f"star {100 * expected[2]:.1f} %" in view.alt_text and "temperature 2" in view.alt_text
    assert view.alt_text.startswith("Soft: image 1")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.temperature_explorer(torch.rand(3, 1, 8, 8), LOGITS, class_names="abc"), r"expected \(3, 3\)"),
        (lambda: explorer(start=7.0), "start is 7.0"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
