"""The moment explorer shows which frame networks expect, beside the recording."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import assert_redrawn, texts

from course_lib import widgets

PICTURES = np.arange(2 * 9 * 4, dtype=float).reshape(2, 9, 4)
PARTS = np.array([[[0.1, 0.3]], [[0.2, 0.5]]])


def guess(recording, now, ahead):
    even = np.full(10, 0.1)
    sure = np.zeros(10)
    sure[now + ahead] = 0.9
    sure[recording] += 0.1
    return {"before": even, "after": sure}


def exploring(**options):
    usual = {"seconds": 1.0, "frames": 10, "farthest": 3, "titles": ("one", "two"), "start": 4}
    return widgets.moment_explorer(PICTURES, guess, **usual | options)


@pytest.mark.parametrize(("control", "value"), [("recording", 1), ("now", 6), ("ahead", 3)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(exploring(), control, value)


def test_the_true_frame_is_filled_and_now_is_a_line():
    view = exploring(parts=PARTS, sounds=[("a",), ("o",)])
    view.controls["ahead"].value = 2
    _, before, after = view.figure.axes
    filled = [bar.get_facecolor() for bar in after.patches]
    assert [k for k, face in enumerate(filled) if face != (1.0, 1.0, 1.0, 1.0)] == [6]
    assert [bar.get_height() for bar in after.patches][6] == pytest.approx(0.9)
    assert before.lines[0].get_xdata()[0] == pytest.approx(0.45), "the middle of frame 4"
    assert "frame 4 is now, 2 ahead" in view.alt_text and "90.0 % at the true frame, which has rank 1" in view.alt_text
    assert "a" in texts(view.figure) and "o" not in texts(view.figure)


def test_the_last_frames_are_kept_inside_the_recording():
    view = exploring()
    view.controls["now"].value, view.controls["ahead"].value = 8, 3
    assert "frame 6 is now, 3 ahead" in view.alt_text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exploring(titles=("one",)), "1 titles"),
        (lambda: widgets.moment_explorer(PICTURES[0], guess, seconds=1, frames=10, farthest=3, titles=()), "N, F, B"),
        (lambda: exploring(frames=11), "11 probabilities"),
    ],
)
def test_what_cannot_be_shown_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
