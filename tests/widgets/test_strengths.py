"""The strength explorer reads recorded numbers at the chosen strength."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import assert_redrawn, pixels

from course_lib import widgets


def strength():
    held = {"in domain": {0.0: [0.9, 0.7], 0.1: [0.6], 1.0: [0.5]}, "other": {0.0: [0.2], 0.1: [0.3], 1.0: [0.4]}}
    curves = {
        "L2-SP": {**held, "moved": {0.0: [4.0], 0.1: [2.0], 1.0: [1.0]}},
        "joint": {**held, "moved": {0.0: [4.0], 0.1: [3.0], 1.0: [2.5]}},
    }
    return widgets.strength_explorer(curves, beside="moved")


@pytest.mark.parametrize(("control", "value"), [("chosen", 1.0), ("method", "joint")])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(strength(), control, value)


def test_strength_explorer_reads_the_numbers_at_the_chosen_strength():
    view = strength()
    assert "lambda 0.1: in domain 60 %, other 30 %; moved 2.00" in view.alt_text
    view.controls["chosen"].value = 0.0  # means over the seeds
    assert "in domain 80 %, other 20 %; moved 4.00" in view.alt_text
    left, right = view.figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["in domain: 80 %", "other: 20 %"]
    accent = [bar.get_facecolor() != right.patches[1].get_facecolor() for bar in right.patches]
    assert accent == [True, False, False], "the bar of the chosen strength alone is filled"
    view.controls["method"].value = "joint"
    assert [bar.get_height() for bar in view.figure.axes[1].patches] == [4.0, 3.0, 2.5]


def test_strength_explorer_shows_the_nearest_strength_that_a_method_has():
    curves = {
        "a": {"in": {0.0: [0.5], 1.0: [0.6]}, "moved": {0.0: [2], 1.0: [1]}},
        "b": {"in": {0.0: [0.7], 0.3: [0.8]}, "moved": {0.0: [2], 0.3: [1]}},
    }
    view = widgets.strength_explorer(curves, beside="moved", start=0.3)
    assert [value for _, value in view.controls["chosen"].options] == [0.0, 0.3, 1.0]
    assert "a with lambda 0: in 50 %" in view.alt_text
    view.controls["method"].value = "b"
    assert "b with lambda 0.3: in 80 %" in view.alt_text


def test_strength_explorer_paints_the_chosen_bar():
    """By its pixels: moving the slider moves the filled bar, and with it the colored part of the picture."""
    accent = np.array([0x88, 0x22, 0x55])
    centers = []
    for value in (0.0, 0.1, 1.0):
        view = strength()
        view.controls["chosen"].value = value
        painted = (np.abs(pixels(view.png).astype(int) - accent).sum(axis=2) < 30)[:, 620:]  # the right half: the bars
        assert painted.sum() > 500
        centers.append(np.median(np.nonzero(painted)[1]))
    assert centers == sorted(centers) and centers[2] > centers[0] + 80


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: widgets.strength_explorer({}, beside="moved"), "curves is empty"),
        (lambda: widgets.strength_explorer({"a": {"in": {0.0: [1]}}}, beside="moved"), "expected 'moved'"),
        (lambda: widgets.strength_explorer({"a": {"in": {0.0: [1]}, "b": {1.0: [1]}}}, beside="b"), "others at"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
