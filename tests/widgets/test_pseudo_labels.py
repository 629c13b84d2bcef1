"""The pseudo-label slider counts what its threshold lets through, and how much of that is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import assert_redrawn, pixels

from course_lib import widgets

PSEUDO = {
    "labels": torch.tensor([0, 0, 1, 1, 2, 2, 2, 2]),
    "confidences": torch.tensor([0.95, 0.5, 0.75, 0.6, 0.99, 0.9, 0.85, 0.4]),
    "true_labels": torch.tensor([0, 1, 1, 0, 2, 2, 0, 1]),
}


def pseudo_labels():
    return widgets.pseudo_label_slider(**PSEUDO, class_names=("cup", "key", "fish"), start=0.75)


@pytest.mark.parametrize(("control", "value"), [("tau", 0.95)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(pseudo_labels(), control, value)


def test_pseudo_label_slider_counts_what_the_threshold_lets_through():
    view = pseudo_labels()
    histogram, classes = view.figure.axes
    assert classes.get_title(loc="left") == "coverage 62 %\nprecision 80 %"  # 5 of 8, and 4 of those
    right, wrong = classes.containers
    assert [bar.get_width() for bar in right] == [1, 1, 2] and [bar.get_width() for bar in wrong] == [0, 0, 1]
    assert sum(bar.get_height() for bars in histogram.containers for bar in bars) == 8
    assert "fish (3), fewest cup (1)" in view.alt_text
    view.controls["tau"].value = 1.0
    assert "precision none chosen" in view.alt_text and "0 of 8 unlabeled images" in view.alt_text
    view.controls["tau"].value = 0.0
    assert view.figure.axes[1].get_title(loc="left") == "coverage 100 %\nprecision 50 %"


def test_pseudo_label_slider_marks_wrong_labels_and_pales_what_is_left_out():
    def ink(view, color):
        return int((np.abs(pixels(view.png).astype(int) - np.array(color)).sum(axis=-1) < 30).sum())

    view = pseudo_labels()
    strong_wrong = (224, 133, 63)  # the color of wrong labels as it is drawn, not paled
    view.controls["tau"].value = 0.0
    all_of_it = ink(view, strong_wrong)
    view.controls["tau"].value = 0.99
    assert all_of_it > 500 and ink(view, strong_wrong) < all_of_it / 5  # only the legend is left


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": torch.tensor([0, 1])}, "2 labels"),
        ({"confidences": torch.linspace(-3, 3, 8)}, "probabilities"),
        ({"true_labels": torch.tensor([0, 1, 1, 0, 2, 2, 0, 3])}, "from 0 to 2"),
    ],
)
def test_pseudo_label_slider_says_what_does_not_fit(change, said):
    with pytest.raises(ValueError, match=said):
        widgets.pseudo_label_slider(**{**PSEUDO, **change}, class_names=("cup", "key", "fish"))
