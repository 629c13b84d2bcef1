"""The threshold slider counts what its threshold separates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import assert_redrawn

from course_lib import widgets

SCORES = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.35, 0.6, 0.8, 0.9])
POSITIVE = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1], dtype=torch.bool)


def threshold():
    return widgets.threshold_slider(SCORES, POSITIVE, start=0.5)


@pytest.mark.parametrize(("control", "value"), [("threshold", 0.7)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(threshold(), control, value)


def test_threshold_slider_counts_both_sides():
    view = threshold()
    table = view.figure.axes[1]
    assert [text.get_text() for text in table.texts] == ["4", "0", "1", "3"]
    assert table.get_title(loc="left") == "precision 100 %\nrecall 75 %"
    view.controls["threshold"].value = view.controls["threshold"].min
    assert [text.get_text() for text in view.figure.axes[1].texts] == ["0", "4", "0", "4"]
    assert "Precision 50 %, recall 100 %." in view.alt_text
    view.controls["threshold"].value = view.controls["threshold"].max
    assert "Precision none called, recall 0 %." in view.alt_text


def test_the_first_threshold_is_chosen_on_normal_images_only():
    one = widgets.threshold_slider(SCORES, POSITIVE).values["threshold"]
    assert one == pytest.approx(float(np.quantile(SCORES[:4], 0.95)))
    assert widgets.threshold_slider(SCORES + 5 * POSITIVE, POSITIVE).values["threshold"] == pytest.approx(one, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.threshold_slider(SCORES, POSITIVE[:3]), r"expected \(8,\)"),
        (lambda: widgets.threshold_slider(SCORES / 0, POSITIVE), "NaN or infinite"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
