"""Figures that compare methods: mean, spread and every seed."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import accuracies, line, texts

from course_lib import plots, records


def test_label_curve_shows_mean_spread_and_every_seed():
    curves = accuracies(scratch=0.3, autoencoder_frozen=0.4)
    ax = plots.label_curve(curves).axes[0]
    mean = line(ax, "From scratch")
    assert list(mean.get_xdata()) == [1, 5, 50]
    assert list(mean.get_ydata()) == pytest.approx([np.mean(curves["scratch"][n]) for n in (1, 5, 50)])
    dots = [c for c in ax.collections if len(c.get_offsets()) == 9]
    assert len(dots) == 2
    assert sorted(dots[0].get_offsets()[:, 1]) == pytest.approx(
        sorted(v for seeds in curves["scratch"].values() for v in seeds)
    )
    bands = [c for c in ax.collections if len(c.get_offsets()) != 9]
    top = max(path.vertices[:, 1].max() for path in bands[0].get_paths())
    assert top == pytest.approx(np.mean(curves["scratch"][50]) + np.std(curves["scratch"][50], ddof=1))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5", "50"]


def test_label_curve_takes_recorded_curves_and_says_how_many_seeds():
    curve = records.Curve(x=(5.0, 10.0), mean=(0.5, 0.6), std=(0.0, 0.0), values=((0.5,), (0.6,)), n=1)
    figure = plots.label_curve({"scratch": curve})
    assert "mean of 1 seed" in texts(figure)
    assert "mean of 1 to 2 seeds" in texts(plots.label_curve({"scratch": curve, "vae": {5: [0.4, 0.5]}}))
    assert "From scratch: 50 % at 5, 60 % at 10." in plots.alt_text(figure)


@pytest.mark.parametrize(("low", "high"), [(0.69, 0.89), (0.1, 0.99), (0.95, 0.97)])
def test_ticks_in_percent_say_where_they_stand(low, high):
    figure = plots.label_curve({"scratch": {1: [low], 10: [high]}})
    figure.canvas.draw()
    for tick in figure.axes[0].yaxis.get_major_ticks():
        assert float(tick.label1.get_text().rstrip("%")) == pytest.approx(100 * tick.get_loc(), abs=1e-6)


def test_bars_show_mean_and_every_seed():
    found = records.Figure(mean=0.8, std=0.1, values=(0.7, 0.9), n=2)
    figure = plots.bar_with_seeds({"pca": [0.4, 0.5, 0.6], "denoising": found}, baseline=0.5)
    ax = figure.axes[0]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([0.5, 0.8])
    assert [sorted(dots.get_offsets()[:, 0]) for dots in ax.collections] == [[0.4, 0.5, 0.6], [0.7, 0.9]]
    assert {"50 %", "80 %", "PCA", "Denoising autoencoder", "chance"} <= set(texts(figure))


def test_the_baseline_of_bars_has_a_name():
    figure = plots.bar_with_seeds({"pca": [0.4]}, baseline=0.25, baseline_label="guessing")
    assert list(line(figure.axes[0], "guessing").get_xdata()) == [0.25, 0.25]
    assert "guessing" in texts(figure) and "guessing 25 %." in plots.alt_text(figure)


@pytest.mark.parametrize("values", [{"pca": [0.1]}, {"pca": [0.0, 0.0], "denoising": [0.3]}, {"pca": [0.9]}])
def test_the_baseline_of_bars_lies_within_the_axes(values):
    """With two classes of one's own images, every bar can be far below chance."""
    left, right = plots.bar_with_seeds(values, baseline=0.5).axes[0].get_xlim()
    assert left <= 0 and right > 0.5 and right > max(max(seeds) for seeds in values.values())


def test_a_keyword_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match=r"bar_with_seeds\(\) got an unexpected keyword argument 'titel'"):
        plots.bar_with_seeds({"pca": [0.4]}, titel="Bars")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.label_curve({}), "at least one method"),
        (lambda: plots.label_curve({"scratch": {}}), "'scratch' has no points"),
        (lambda: plots.bar_with_seeds({}), "at least one method"),
        (lambda: plots.bar_with_seeds({"pca": []}), "one number per seed"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
