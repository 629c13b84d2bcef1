"""Figures of latent spaces: points, names and the KL of each latent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import NAMES, texts
from matplotlib.colors import to_hex

from course_lib import plots


def test_latent_map_has_a_marker_and_a_name_for_each_class():
    codes, labels = torch.rand(90, 2, generator=torch.Generator().manual_seed(0)), torch.arange(90) % 3
    figure = plots.latent_map(codes, labels, ["cup", "key", "boat"])
    ax = figure.axes[0]
    assert [len(points.get_offsets()) for points in ax.collections] == [30, 30, 30]
    assert np.allclose(ax.collections[1].get_offsets(), codes[1::3])
    shapes = {points.get_paths()[0].vertices.tobytes() for points in ax.collections}
    assert len(shapes) == 3
    assert [text.get_text() for text in ax.texts] == ["cup", "key", "boat"]


def test_names_on_a_latent_map_do_not_cover_each_other():
    figure = plots.latent_map(np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 5, NAMES[:5])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for i, one in enumerate(boxes):
        assert not any(one.y0 < other.y1 - 4 and other.y0 < one.y1 - 4 for other in boxes[:i])


def test_latent_costs_are_sorted_and_counted():
    figure = plots.latent_costs({"one": torch.tensor([0.01, 2.0, 1.0]), "other": [0.0, 0.0, 0.0]})
    first, second = figure.axes
    assert [bar.get_height() for bar in first.patches[:2]] == [2.0, 1.0]
    hollow = [bar.get_facecolor()[:3] == (1, 1, 1) for bar in [*first.patches, *second.patches]]
    assert hollow == [False, False, True, True, True, True]
    assert to_hex(first.patches[0].get_facecolor()).upper() == plots.METHOD_STYLE["vae"].color
    assert "one\n2 of 3 in use, 3.0 nats" in texts(figure) and "other\n0 of 3 in use, 0.0 nats" in texts(figure)
    assert first.get_ylim() == second.get_ylim()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.latent_map(torch.rand(3, 5), [0, 1, 2], NAMES), "e.g. by PCA"),
        (lambda: plots.latent_map(torch.rand(3, 2), [0, 1, 20], NAMES), "indices of 10 class names"),
        (lambda: plots.latent_costs({}), "at least one model"),
        (lambda: plots.latent_costs({"one": [[0.1]]}), "expected one number"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
