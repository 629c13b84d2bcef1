"""The round explorer shows clients before they are averaged, and the server before and after."""

from __future__ import annotations

import pytest
from drawing import assert_redrawn, texts

from course_lib import widgets

RUNS = {
    "even split": {
        1: {"start": 0.1, "clients": [0.2, 0.3, 0.25], "average": 0.4},
        5: {"start": 0.5, "clients": [0.4, 0.6, 0.5], "average": 0.7},
    },
    "two classes": {
        1: {"start": 0.1, "clients": [0.2, 0.2, 0.2], "average": 0.15},
        5: {"start": 0.3, "clients": [0.2, 0.1, 0.2], "average": 0.45},
        9: {"start": 0.3, "clients": [0.2, 0.1, 0.2], "average": 0.45},
    },
}


def test_moving_the_round_redraws_the_picture_and_its_words():
    assert_redrawn(widgets.round_explorer(RUNS), "number", 1)


def test_it_begins_with_the_last_round_that_all_runs_have():
    view = widgets.round_explorer(RUNS, title="A title")
    assert view.values == {"number": 5} and "A title" in view.alt_text
    assert "the clients reach 40, 60, 50 %" in view.alt_text and "their average 45 %" in view.alt_text
    assert {"even split", "two classes"} <= set(texts(view.figure))


def test_bars_are_clients_and_lines_the_server():
    left, right = widgets.round_explorer(RUNS, start=1).figure.axes
    assert [bar.get_height() for bar in left.patches] == pytest.approx([0.2, 0.3, 0.25])
    assert [line.get_ydata()[0] for line in right.lines] == pytest.approx([0.1, 0.15])
    assert len({line.get_linestyle() for line in right.lines}) == 2, "told apart without color"


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "at least one run"),
        ({"a": {1: RUNS["even split"][1]}, "b": {2: RUNS["even split"][1]}}, "all of them have"),
        ({"a": {1: {"start": 0.1, "clients": [], "average": 0.1}}}, "no clients"),
    ],
)
def test_what_cannot_be_shown_is_refused(runs, message):
    with pytest.raises(ValueError, match=message):
        widgets.round_explorer(runs)
