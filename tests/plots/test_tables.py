"""Tables: every number is written, shaded and legible."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import luminance, shown_image

from course_lib import plots


def test_a_share_table_writes_and_shades_every_number():
    figure = plots.share_table([[0.25, 0.0], [0.5, 0.75]], ["a", "b"], ["x", "y"])
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.00", "0.50", "0.75"]
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.25, 0.0], [0.5, 0.75]]
    assert plots.alt_text(figure).endswith("x 0.50 in b, y 0.75 in b.")


def test_a_score_table_is_a_share_table_with_named_rows():
    table = plots.score_table({"a": [0.25, 0.0], "b": (0.5, 0.75)}, {"x": 1, "y": 2}, title="Scores")
    shares = plots.share_table([[0.25, 0.0], [0.5, 0.75]], ["a", "b"], ["x", "y"], title="Scores")
    assert plots.png(table) == plots.png(shares)
    assert plots.alt_text(table) == plots.alt_text(shares)


def test_a_score_table_names_the_row_that_does_not_fit():
    with pytest.raises(ValueError, match="'b' has 1 numbers for 2 columns"):
        plots.score_table({"a": [0.25, 0.0], "b": [0.5]}, ["x", "y"])
    with pytest.raises(ValueError, match="at least one row"):
        plots.score_table({}, ["x"])


def test_confusion_matrix_writes_counts_and_shades_shares():
    figure = plots.confusion_matrix([[8, 2], [0, 1]], ["cup", "key"])
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["8", "2", "1"]
    assert np.allclose(shown_image(ax), [[0.8, 0.2], [0, 1]])
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    assert "82 % of 11 images" in plots.alt_text(figure) and "cup taken for key, 2 times" in plots.alt_text(figure)


@pytest.mark.parametrize("right", range(0, 101, 5))
def test_numbers_can_be_read_on_every_shade(right):
    ax = plots.confusion_matrix([[right, 100 - right], [0, 1]], ["cup", "key"]).axes[0]
    shades = ax.images[0].to_rgba(ax.images[0].get_array())
    for text in ax.texts:
        column, row = text.get_position()
        dark, light = sorted(luminance(color) for color in (text.get_color(), shades[row, column][:3]))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.share_table([[0.1, 0.2]], ["a"], ["x"]), r"expected \(1, 1\)"),
        (lambda: plots.confusion_matrix([[1, 2]], ["a", "b"]), r"expected \(2, 2\)"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
