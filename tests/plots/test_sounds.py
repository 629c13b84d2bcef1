"""Spectrograms: time to the right, low bands below, one scale for all, and the sounds where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drawing import shown_image, texts

from course_lib import plots


def pictures(count=3, frames=6, bands=4):
    return np.arange(count * frames * bands, dtype=float).reshape(count, frames, bands)


PARTS = np.array([[[0.1, 0.2], [0.2, 0.5]], [[0.0, 0.3], [math.nan, math.nan]]])


def test_time_goes_to_the_right_low_bands_are_below_and_all_have_one_scale():
    figure = plots.spectrograms(pictures(), seconds=0.6, titles="abc")
    first, last = figure.axes[0], figure.axes[2]
    assert np.array_equal(shown_image(first), pictures()[0].T) and first.images[0].origin == "lower"
    assert first.images[0].get_extent() == [0.0, 0.6, 0.0, 4.0]
    assert first.images[0].get_clim() == last.images[0].get_clim() == (0.0, 71.0)
    assert "3 recordings of 0.6 s in 4 bands: a; b; c." in figure.alt_text


def test_sounds_are_marked_where_they_begin_and_end():
    sounds = [("s", "a"), ("o",)]
    figure = plots.spectrograms(pictures(2), seconds=0.6, titles=("sa", "o"), parts=PARTS, sounds=sounds)
    edges = [[line.get_xdata()[0] for line in ax.lines] for ax in figure.axes]
    assert edges == [[0.1, 0.2, 0.5], [0.0, 0.3]]
    places = {text.get_text(): text.get_position()[0] for ax in figure.axes for text in ax.texts}
    assert places == pytest.approx({"s": 0.15, "a": 0.35, "o": 0.15})
    assert "sa (s, a); o (o)" in figure.alt_text


def test_five_recordings_need_two_rows_and_an_empty_place_shows_nothing():
    figure = plots.spectrograms(pictures(5), seconds=1, titles="abcde")
    assert len(figure.axes) == 8 and [ax.axison for ax in figure.axes] == [True] * 5 + [False] * 3
    assert {"a", "e", "seconds", "band"} <= set(texts(figure))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.spectrograms(pictures()[0], seconds=1, titles="a"), r"\(N, F, B\)"),
        (lambda: plots.spectrograms(pictures(0), seconds=1, titles=""), "at least one"),
        (lambda: plots.spectrograms(pictures(), seconds=1, titles="ab"), "3 pictures"),
        (lambda: plots.spectrograms(pictures(2), seconds=1, titles="ab", parts=PARTS), "belong together"),
        (lambda: plots.spectrograms(pictures(2), seconds=1, titles="ab", parts=PARTS, sounds=[()]), "2 pictures"),
    ],
    ids=range(5),
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
