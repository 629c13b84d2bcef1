"""The reliability diagram: accuracy, gap and calibration error of each bin."""

from __future__ import annotations

import pytest
import torch

from course_lib import plots


def test_a_reliability_diagram_shows_each_bins_accuracy_and_its_gap():
    sure = torch.tensor([0.55, 0.57, 0.95, 0.95, 0.95, 0.95, 1.0])
    right = torch.tensor([1, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    figure = plots.reliability_diagram({"few": (sure, right)}, title="Trust")
    ax = figure.axes[0]
    bars, gaps = ax.patches[0::2], ax.patches[1::2]
    assert [bar.get_height() for bar in bars] == pytest.approx([1.0, 0.2])
    assert [bar.get_x() for bar in bars] == pytest.approx([0.504, 0.904])
    assert [(gap.get_y(), gap.get_height()) for gap in gaps] == [
        pytest.approx((0.56, 0.44)),
        pytest.approx((0.2, 0.76)),
    ]
    error = (2 * 0.44 + 5 * 0.76) / 7
    assert ax.get_title(loc="left") == f"few: error {error:.3f}"
    assert "43 % right, 85 % confidence on average, overconfident" in plots.alt_text(figure)
    with pytest.raises(ValueError, match="at least one group"):
        plots.reliability_diagram({})


def test_a_calibrated_network_has_no_gaps():
    figure = plots.reliability_diagram({"even": (torch.full((10,), 0.5), torch.arange(10) < 5)})
    assert figure.axes[0].get_title(loc="left") == "even: error 0.000" and "about right" in plots.alt_text(figure)
