"""Curves of a training run, after it and while it goes on."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import History, line

from course_lib import plots


def test_learning_curve_draws_every_step_and_a_running_mean():
    history = History(300)
    figure = plots.learning_curve(history, y_label="loss (nats)")
    ax, validation = figure.axes
    assert list(line(ax, "each step").get_ydata()) == pytest.approx(history.loss)
    smooth = line(ax, "mean of 12 steps").get_ydata()
    assert smooth[0] == pytest.approx(history.loss[0]) and smooth[100] == pytest.approx(np.mean(history.loss[89:101]))
    assert list(validation.lines[0].get_ydata()) == [value for _, value in history.validation]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("loss (nats)", "step")


def test_learning_curve_takes_plain_losses_and_survives_a_divergence():
    assert len(plots.learning_curve([3.0, 2.0]).axes) == 1
    assert "nan" in plots.alt_text(plots.learning_curve([1.0] * 30 + [float("nan")] * 30))


@pytest.mark.parametrize(("seconds", "redraws"), [(1000, 2), (0, 18)])
def test_live_curve_is_a_callback_of_fit_and_takes_little_time(seconds, redraws):
    live = plots.live_curve(150, seconds=seconds)
    # A clock that goes on by a second whenever it is read: so a step takes a second and a drawing two.
    live.clock = iter(range(10_000)).__next__
    history = History(0)
    with live:
        for step in range(150):
            history.loss.append(float(150 - step))
            live(None, history)
    assert live.redraws <= redraws  # the first step and the end; or as many as a tenth of the time allows
    assert line(live.figure.axes[0], "each step").get_ydata()[-1] == 1.0
    assert live.figure.axes[0].get_xlim() == (0, 150)


def test_a_history_without_losses_is_refused():
    with pytest.raises(ValueError, match="no losses yet"):
        plots.learning_curve([])


def test_a_baseline_is_drawn_under_its_name():
    ax = plots.learning_curve([3.0, 2.0], baseline=2.5, baseline_label="guessing").axes[0]
    assert list(line(ax, "guessing").get_ydata()) == [2.5, 2.5]
    assert list(line(plots.learning_curve([3.0, 2.0], baseline=2.5).axes[0], "baseline").get_ydata()) == [2.5, 2.5]


def test_a_keyword_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match=r"learning_curve\(\) got an unexpected keyword argument 'y_labl'"):
        plots.learning_curve([3.0, 2.0], y_labl="loss (nats)")


def test_a_schedule_shows_every_step_and_marks_one():
    figure = plots.schedule([0.0, 0.25, 0.5, 0.75, 1.0, 1.0], marked=4, y_label="weight", title="A ramp")
    (ax,) = figure.axes
    assert list(ax.lines[0].get_ydata()) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert list(ax.lines[1].get_xdata()) == [4, 4] and ax.get_ylabel() == "weight"
    assert "1.00 at step 4" in plots.alt_text(figure) and "dashed line marks step 4" in plots.alt_text(figure)
    assert len(plots.schedule([0.0, 1.0]).axes[0].lines) == 1
