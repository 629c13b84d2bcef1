"""The freeze picker shows what is trained and what was recorded for a choice."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import assert_redrawn, pixels

from course_lib import plots, records, widgets

RECORDED = {
    (labels, rate): {depth: [base + 0.1 * depth, base + 0.1 * depth + 0.02] for depth in (0, 1, 2)}
    for (labels, rate), base in {(5, 0.01): 0.3, (5, 0.1): 0.2, (50, 0.01): 0.7, (50, 0.1): 0.6}.items()
}
PARTS = {"block 1": 100, "block 2": 2000, "head": 30}


def picking(**options):
    return widgets.freeze_picker(RECORDED, PARTS, start=(5, 0.01, 1), **options)


@pytest.mark.parametrize(("control", "value"), [("labels", 50), ("rate", 0.1), ("depth", 2), ("depth", 0)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(picking(), control, value)


def test_freeze_picker_shows_what_learns_and_what_was_recorded():
    view = picking()
    network, table = view.figure.axes
    words = [text.get_text() for text in network.texts]
    assert words == ["block 1: frozen\n100", "block 2: learns\n2,000", "head: learns\n30"]
    assert [bool(bar.get_hatch()) for bar in network.patches] == [True, False, False]
    assert network.get_title() == "trained: 2,030 of 2,130 parameters"
    shown = [text.get_text() for text in table.texts]
    assert shown == ["31 %", "41 %", "51 %", "21 %", "31 %", "41 %"]  # the lowest rate first, depths side by side
    assert [text.get_fontweight() for text in table.texts].index("bold") == 1
    assert table.get_title() == "5 labels per class: test accuracy 41 %, seeds from 40 to 42 %"
    assert "Best with as many labels: rate 0.01 and 2 frozen blocks, 51 %." in view.alt_text
    view.controls["labels"].value, view.controls["depth"].value = 50, 2
    network, table = view.figure.axes
    assert network.get_title() == "trained: 30 of 2,130 parameters"
    assert table.get_title().startswith("50 labels per class: test accuracy 91 %")


def test_freeze_picker_marks_the_choice_in_its_pixels():
    """Counted in the right half of the picture, where the frame around the choice is the only thing in its color."""
    accent = np.array([int(plots.ACCENT[i : i + 2], 16) for i in (1, 3, 5)])
    places = []
    for depth in (0, 2):
        view = picking()
        view.controls["depth"].value = depth
        image = pixels(view.png).astype(int)
        image = image[:, int(image.shape[1] * 0.4) :]
        columns = (abs(image - accent).max(axis=-1) < 25).any(axis=0).nonzero()[0]
        assert len(columns) > 20
        places.append(columns.mean())
    assert places[1] > places[0] + 100


def test_freeze_picker_takes_recorded_curves():
    curve = records.Curve(x=(0.0, 1.0), mean=(0.5, 0.6), std=(0.0, 0.0), values=((0.5,), (0.6,)), n=1)
    view = widgets.freeze_picker({(5, 0.1): curve}, {"block": 7, "head": 2})
    assert view.values == {"labels": 5, "rate": 0.1, "depth": 0}
    assert [text.get_text() for text in view.figure.axes[1].texts] == ["50 %", "60 %"]


@pytest.mark.parametrize(
    ("recorded", "options", "message"),
    [
        ({}, {}, "recorded is empty"),
        ({**RECORDED, (20, 0.01): {0: [0.5]}}, {}, "Nothing is recorded for 20 labels, rate 0.01 and 1 frozen"),
        ({(5, 0.1): {3: [0.5]}}, {}, "3 frozen blocks leave no part"),
        (RECORDED, {"start": (7, 0.1, 0)}, "start is"),
    ],
)
def test_freeze_picker_refuses_what_it_cannot_show(recorded, options, message):
    with pytest.raises(ValueError, match=message):
        widgets.freeze_picker(recorded, PARTS, **options)
