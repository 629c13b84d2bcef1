"""Accuracies with intervals: a line from end to end, and the chosen one marked."""

from __future__ import annotations

import pytest

from course_lib import plots

ROWS = {"probe": (0.6, 0.7, 0.78), "fine-tuning": (0.72, 0.8, 0.87)}


def test_each_row_reaches_from_one_end_to_the_other_and_the_chosen_one_is_marked():
    figure = plots.accuracy_intervals(ROWS, chosen="fine-tuning", title="Choices")
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(ROWS)
    lines = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert lines == [(0.6, 0.78), (0.72, 0.87)]
    markers = [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1]
    assert markers == ["o", "D"]
    words = plots.alt_text(figure)
    assert words.startswith("Choices") and "fine-tuning 80 % (72 to 87)" in words and "Marked: fine-tuning" in words


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.accuracy_intervals({}), "at least one"),
        (lambda: plots.accuracy_intervals(ROWS, chosen="SimCLR"), "the rows are probe, fine-tuning"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
