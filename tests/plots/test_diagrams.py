"""Diagrams of the methods: what they show, in the picture and in words, and whether it can be told apart in gray."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawing import luminance, pixels
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from course_lib import plots
from course_lib.plots import diagram_parts, style

NAMES = [name for name in plots.__all__ if name.startswith("diagram_")]


@pytest.fixture(scope="module", params=NAMES)
def drawn(request):
    figure = getattr(plots, request.param)()
    figure.canvas.draw()
    return figure


def shown(figure):
    return [text for text in figure.axes[0].texts if text.get_text()]


def arrows(figure, color):
    found = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    return [arrow for arrow in found if to_hex(arrow.get_edgecolor()).upper() == color]


def ends(arrow):
    """Where an arrow begins and ends, in inches."""
    (begin, end) = arrow._posA_posB
    return [begin, end]


def test_all_methods_have_one():
    methods = "autoencoder vae gan rotation_batch masking two_views simsiam freezing lp_ft self_training fixmatch"
    methods += " ema_teacher distillation cluster_round transformer masked_words cpc adapters two_towers federated"
    methods += " choice"
    assert [f"diagram_{method}" for method in methods.split()] == NAMES


def test_its_words_name_every_box(drawn):
    words = plots.alt_text(drawn)
    assert len(drawn.boxes) >= 4
    for box in drawn.boxes:
        for line in box.text.replace("-\n", "-").split("\n"):
            assert line.casefold().rstrip(",") in words.casefold(), box.text
    assert "gradient" in words.casefold()


def test_no_text_overlaps_another_or_is_cut(drawn):
    width, height = drawn.canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown(drawn)]
    for name, box in boxes:
        assert box.x0 >= 2 and box.y0 >= 2 and box.x1 <= width - 2 and box.y1 <= height - 2, name
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, (one, other)


def test_texts_fit_into_their_boxes_and_boxes_lie_apart(drawn):
    texts = {text.get_text(): text.get_window_extent() for text in shown(drawn)}
    framed = [box for box in drawn.boxes if box.framed]
    for box in framed:
        extent = texts[box.text]
        assert extent.width <= 100 * box.width - 4 and extent.height <= 100 * box.height - 4, box.text
    for one, other in itertools.combinations(drawn.boxes, 2):
        across = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert across or abs(one.y - other.y) >= (one.height + other.height) / 2, (one.text, other.text)


def test_notes_stay_outside_frames(drawn):
    held = {box.text for box in drawn.boxes}
    for text in shown(drawn):
        if text.get_text() in held:
            continue
        extent = text.get_window_extent()
        for box in (box for box in drawn.boxes if box.framed):
            left, right = 100 * (box.x - box.width / 2), 100 * (box.x + box.width / 2)
            low, high = 100 * (box.y - box.height / 2), 100 * (box.y + box.height / 2)
            apart = extent.x1 <= left or extent.x0 >= right or extent.y1 <= low or extent.y0 >= high
            assert apart, (text.get_text(), box.text)


def test_gradients_are_told_from_data_without_color(drawn):
    back, forward = arrows(drawn, style.GRADIENT), arrows(drawn, style.FORWARD)
    assert len(back) >= 3 and len(forward) >= 4  # one of each is in the legend
    assert {arrow.get_linestyle() for arrow in forward} == {"-"}
    assert all(arrow.get_linestyle() != "-" for arrow in back)
    heads = [{type(arrow.get_arrowstyle()).__name__ for arrow in kind} for kind in (back, forward)]
    assert all(len(kind) == 1 for kind in heads) and heads[0] != heads[1]


def test_its_legend_explains_what_occurs(drawn):
    texts = {text.get_text() for text in shown(drawn)}
    assert {"data", "gradient"} <= texts
    assert ("frozen" in texts) == any(box.frozen for box in drawn.boxes)
    stopped = any(to_hex(line.get_color()).upper() == style.GRADIENT for line in drawn.axes[0].lines)
    assert ("no gradient passes" in texts) == stopped


def test_no_gradient_reaches_what_is_frozen(drawn):
    for arrow in arrows(drawn, style.GRADIENT):
        x, y = ends(arrow)[1]
        for box in (box for box in drawn.boxes if box.frozen):
            inside = abs(x - box.x) <= box.width / 2 + 0.05 and abs(y - box.y) <= box.height / 2 + 0.05
            assert not inside, box.text


def test_it_is_legible_in_gray_and_brings_its_own_ground(drawn):
    picture = pixels(plots.png(drawn))
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edge == 255).all(), "a dark page shows through, or something touches the edge"
    for color in (style.INK, style.FORWARD, style.GRADIENT, style.NOTE):
        assert 1.05 / (luminance(color) + 0.05) >= 4.5, color


def test_what_trains_in_each_stage_of_lp_ft():
    figure = plots.diagram_lp_ft()
    goals = [ends(arrow)[1] for arrow in arrows(figure, style.GRADIENT)]
    encoders = [box for box in figure.boxes if box.text.startswith("encoder")]
    assert [box.frozen for box in encoders] == [True, False]
    reached = [any(abs(x - b.x - b.width / 2) < 0.05 and abs(y - b.y) < 0.2 for x, y in goals) for b in encoders]
    assert reached == [False, True]


def test_a_stop_ends_the_gradient_before_the_box():
    d = diagram_parts.Diagram(4, 2)
    a, b = d.box(0.8, 1, "a"), d.box(3, 1, "b")
    d.flow(a, b, stopped=True)
    (gradient,) = arrows(d.figure, style.GRADIENT)
    assert ends(gradient)[1][0] > a.side("right")[0] + 0.2
    assert len(d.ax.lines) == 2


def test_a_title_and_a_text_of_ones_own():
    assert plots.alt_text(plots.diagram_vae(title="VAE")).startswith("VAE. Diagram of")
    assert plots.alt_text(plots.diagram_vae(alt="One picture.")) == "One picture."
