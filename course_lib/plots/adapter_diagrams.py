"""Figures of unit 11: a diagram of the adapters, and one of two towers for images and captions."""

from __future__ import annotations

from course_lib.plots.diagram_parts import Diagram
from course_lib.plots.figure import Figure
from course_lib.plots.style import CELL_BORDER, method_style, styled


@styled
def diagram_adapters(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A low-rank update beside a frozen layer, and a bottleneck behind one; what is trained has a solid frame."""
    d, color = Diagram(9.0, 4.1), method_style("lora").color
    y = 3.3
    d.write(0.2, 3.85, "LoRALinear: beside a layer", align="left")
    x = d.data(0.7, y, "x\n(N, in)", width=0.8)
    weight = d.box(3.3, y, "W x + bias", width=1.5, frozen=True)
    plus = d.box(6.9, y, "+", width=0.36, height=0.36)
    out = d.data(8.2, y, "output\n(N, out)", width=0.9)
    down = d.box(2.6, 2.4, "A (rank, in)", width=1.25, color=color)
    up = d.box(4.6, 2.4, "B (out, rank)", width=1.25, color=color)
    scale = d.box(6.2, 2.4, "alpha / rank", width=1.1)
    d.chain(x, weight, plus, out)
    d.arrow((0.95, 3.02), (1.95, 2.5))
    d.chain(down, up, scale, back=True)
    d.arrow((6.5, 2.67), (6.82, 3.1))
    d.gradient((7.02, 3.1), (6.72, 2.67))
    d.ax.plot([0.2, 8.8], [1.95, 1.95], color=CELL_BORDER, linewidth=1)
    d.write(0.2, 1.72, "BottleneckAdapter: behind a layer", align="left")
    y = 1.0
    features = d.data(0.7, y, "features\n(N, d)", width=0.9)
    layer = d.box(2.05, y, "layer", width=0.9, frozen=True)
    down = d.box(3.75, y, "down\n(d to width)", width=1.15, height=0.6, color=color)
    relu = d.box(5.2, y, "ReLU", width=0.8)
    up = d.box(6.6, y, "up\n(width to d)", width=1.15, height=0.6, color=color)
    plus = d.box(7.75, y, "+", width=0.36, height=0.36)
    d.chain(features, layer, down)
    d.chain(down, relu, up, plus, back=True)
    d.around((2.85, y), plus, 1.5, "residual")
    end = d.data(8.5, y, "(N, d)", width=0.6)
    d.flow(plus, end)
    d.legend(0.3, 0.3, ("data", "gradient", "frozen"))
    words = (
        "Diagram of two adapters. Above, LoRALinear: beside a layer. x (N, in) goes through the frozen layer, W x + "
        "bias. Beside it x goes through A (rank, in) and B (out, rank), which are trained, and is multiplied by alpha "
        "/ rank. The sum (+) is the output (N, out). Gradients flow into B and A alone. Below, BottleneckAdapter: "
        "behind a layer. Features (N, d) go through a frozen layer. Its output goes down (d to width), through a ReLU "
        "and up (width to d), and is added (+) to itself, which goes around as a residual, to (N, d) again. Gradients "
        "flow into down and up alone."
    )
    return d.done(alt, words, title)


@styled
def diagram_two_towers(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Two towers for images and captions, compared pair by pair in one table of cosines."""
    d, color = Diagram(9.0, 3.5), method_style("captions").color
    images = d.data(0.75, 2.75, "images\n(N, 1, 28, 28)", width=1.2)
    captions = d.data(0.75, 1.25, "captions\n(N, T)", width=1.2)
    image_tower = d.box(2.6, 2.75, "image tower", width=1.25, color=color)
    text_tower = d.box(2.6, 1.25, "caption tower", width=1.35, color=color)
    i, t = d.data(4.3, 2.75, "vectors\n(N, d)", width=0.8), d.data(4.3, 1.25, "vectors\n(N, d)", width=0.8)
    table = d.box(6.0, 2.0, "cosines (N, N)\ntimes the scale", width=1.5, height=0.7)
    loss = d.box(7.95, 2.0, "cross-entropy\nof rows and\nof columns", width=1.3, height=0.85)
    d.flow(images, image_tower)
    d.flow(captions, text_tower)
    d.chain(image_tower, i, back=True)
    d.chain(text_tower, t, back=True)
    for source, entry in ((i, 0.2), (t, -0.2)):
        d.arrow((4.75, source.y), (5.25, 2.0 + 1.15 * entry))
        d.gradient((5.25, 2.0 + 0.4 * entry), (4.72, source.y - entry))
    d.chain(table, loss, back=True)
    d.note(6.9, 2.7, "the right ones stand on the diagonal")
    d.legend(0.3, 0.35, ("data", "gradient"))
    words = (
        "Diagram of two towers. Images (N, 1, 28, 28) go through the image tower and become vectors (N, d). Captions "
        "(N, T) go through the caption tower and become vectors (N, d) too. All images are compared with all captions "
        "by cosines (N, N) times the scale, and the right ones stand on the diagonal. The loss is the cross-entropy of "
        "rows and of columns. Gradients flow back into both towers."
    )
    return d.done(alt, words, title)
