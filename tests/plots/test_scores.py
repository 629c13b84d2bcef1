"""Figures of scores: histogram, threshold and ROC curve."""

from __future__ import annotations

import pytest
import torch
from drawing import line, texts

from course_lib import plots


def test_histogram_shows_the_threshold_and_what_it_cuts():
    figure = plots.histogram_of_scores([0.1, 0.2, 0.3, 0.9], [False, False, True, True], threshold=0.25)
    assert line(figure.axes[0], "threshold 0.25").get_xdata()[0] == 0.25
    assert {"normal (2)", "anomaly (2)"} <= set(texts(figure))
    assert "2 of 2 anomaly and 0 of 2 normal" in plots.alt_text(figure)


def test_roc_curve_knows_ties_and_gives_the_area():
    figure = plots.roc_curve({"autoencoder": [0.0, 1.0, 1.0, 2.0]}, [False, False, True, True])
    assert "Autoencoder: AUROC 0.88" in texts(figure)
    assert list(line(figure.axes[0], "Autoencoder: AUROC 0.88").get_ydata()) == [0.0, 0.5, 1.0, 1.0]
    assert figure.axes[0].get_legend().get_lines()[0].get_marker() == plots.METHOD_STYLE["autoencoder"].marker


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.histogram_of_scores(torch.rand(3, 2), [1, 0, 1]), "one number per image"),
        (lambda: plots.histogram_of_scores(torch.rand(3), [1, 0]), r"expected \(3,\)"),
        (lambda: plots.roc_curve([0.1, 0.2], [True, True]), "one kind of image only"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
