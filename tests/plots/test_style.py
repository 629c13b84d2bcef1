"""One look per method: the same in every figure, told apart without color, legible on white."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from drawing import accuracies, line, linear_rgb, luminance
from matplotlib.colors import to_hex

from course_lib import plots, widgets


def test_every_method_has_a_look_of_its_own():
    looks = [(style.color, style.marker, style.linestyle) for style in plots.METHOD_STYLE.values()]
    assert len(set(looks)) == len(looks)
    assert len({style.label for style in plots.METHOD_STYLE.values()}) == len(looks)
    # In gray, or to someone who sees no color, marker and line alone still tell them apart.
    assert len({look[1:] for look in looks}) == len(looks)


@pytest.mark.parametrize("color", sorted({s.color for s in plots.METHOD_STYLE.values()} | set(plots.CLASS_COLORS)))
def test_every_color_stands_out_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) >= 3


# How a color looks with one kind of cone missing (Machado, Oliveira and Fernandes 2009, full severity).
MISSING = {
    "none": np.eye(3),
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(color: str, missing: str) -> np.ndarray:
    """CIELAB of a color as seen with one kind of cone missing."""
    linear = np.clip(np.array(MISSING[missing]) @ linear_rgb(color), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(np.maximum(xyz / (0.9505, 1.0, 1.089), 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("missing", MISSING)
def test_colors_of_a_figure_are_far_apart_for_color_blind_eyes(missing):
    methods = ("scratch", "random", "pca", "linear_autoencoder", "autoencoder", "denoising")
    together = [[plots.METHOD_STYLE[m].color for m in methods], [plots.NORMAL, plots.ANOMALY], list(plots.CLASS_COLORS)]
    for colors in together:
        for i, one in enumerate(colors):
            for other in colors[:i]:
                distance = np.linalg.norm(seen(one, missing) - seen(other, missing))
                assert distance > (20 if len(colors) < 10 else 9), (one, other)


def test_frozen_is_the_same_color_dashed_and_hollow():
    trained, frozen = plots.method_style("autoencoder"), plots.method_style("autoencoder_frozen")
    assert frozen.color == trained.color and frozen.marker == trained.marker
    assert (frozen.linestyle, frozen.hollow, frozen.label) == ("--", True, "Autoencoder, frozen")
    assert plots.method_style("autoencoder_finetuned").color == trained.color


def test_an_unknown_method_keeps_its_look():
    assert plots.method_style("my_idea") == plots.method_style("my_idea")
    assert plots.method_style("my_idea").label == "My idea"


def test_lines_without_a_style_of_their_own_are_told_apart_without_color():
    names = ["cpu_time", "gradients", "activations", "5_labels", "20_labels", "50_labels"]
    ax = plots.label_curve(accuracies(**dict.fromkeys(names, 0.5))).axes[0]
    drawn = [each for each in ax.lines if not each.get_label().startswith("_")]
    assert len({each.get_marker() for each in drawn}) == len({each.get_color() for each in drawn}) == len(names)
    assert (
        plots.label_curve(accuracies(my_idea=0.5)).axes[0].lines[0].get_marker() == plots.method_style("my_idea").marker
    )


def test_a_method_has_one_color_in_every_figure():
    color = plots.METHOD_STYLE["autoencoder"].color
    curve = plots.label_curve(accuracies(scratch=0.2, autoencoder=0.3)).axes[0]
    roc = plots.roc_curve({"pca": [0.1, 0.2, 0.3], "autoencoder": [0.1, 0.3, 0.2]}, [False, True, True]).axes[0]
    bars = plots.bar_with_seeds({"autoencoder": [0.5], "pca": [0.4]}).axes[0]
    assert line(curve, "Autoencoder").get_color() == color
    assert [found.get_color() for found in roc.lines if found.get_label().startswith("Autoencoder")] == [color]
    assert to_hex(bars.patches[0].get_facecolor()).upper() == color
    classes = plots.bar_with_seeds({"house": [0.5], "star": [0.4]}, styled_as="autoencoder").axes[0]
    assert {to_hex(bar.get_facecolor()).upper() for bar in classes.patches} == {color}
    assert [tick.get_text() for tick in classes.get_yticklabels()] == ["house", "star"]


def test_colors_are_defined_in_one_file():
    files = [path for package in (plots, widgets) for path in Path(package.__file__).parent.glob("*.py")]
    assert len(files) > 15
    with_colors = [path.name for path in files if re.search(r"#[0-9A-Fa-f]{6}\b", path.read_text(encoding="utf-8"))]
    assert with_colors == ["style.py"]
