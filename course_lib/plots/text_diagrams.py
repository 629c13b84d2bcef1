"""Diagrams of the methods for text, with the parts of diagram_parts.py: the transformer encoder, and masked words."""

from __future__ import annotations

from course_lib.plots.diagram_parts import Diagram
from course_lib.plots.figure import Figure
from course_lib.plots.style import CELL_BORDER, method_style, styled


@styled
def diagram_transformer(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A block of a transformer encoder: attention and a small network, each added to what was there."""
    d, color = Diagram(9.0, 3.9), method_style("masked_words").color
    y = 2.75
    x = d.data(0.65, y, "features x\n(N, T, dim)", width=1.05)
    norm1 = d.box(2.05, y, "norm1", width=0.8)
    attention = d.box(3.5, y, "attention", color=color, width=1.2)
    plus1 = d.box(4.7, y, "+", width=0.36, height=0.36)
    norm2 = d.box(5.6, y, "norm2", width=0.8)
    mlp = d.box(6.7, y, "mlp", color=color, width=0.8)
    plus2 = d.box(7.5, y, "+", width=0.36, height=0.36)
    out = d.data(8.4, y, "features\n(N, T, dim)", width=1.05)
    d.chain(x, norm1, attention, plus1, norm2, mlp, plus2, out)
    d.around((1.4, y), plus1, 3.4, "residual")
    d.around((5.05, y), plus2, 3.4, "residual")
    d.ax.plot([0.2, 8.8], [2.1, 2.1], color=CELL_BORDER, linewidth=1)
    y = 1.2
    d.write(0.2, 1.8, "Inside attention, per head:", align="left")
    queries = d.data(0.75, y, "queries\nand keys", width=0.9)
    scores = d.box(2.3, y, "scores\n(N, heads, T, T)", width=1.5, height=0.6)
    mask = d.box(4.05, y, "padding:\nminus infinity", width=1.3, height=0.6)
    softmax = d.box(5.6, y, "softmax\nover keys", width=1.1, height=0.6)
    values = d.box(7.3, y, "weighted mean\nof the values", width=1.45, height=0.6, color=color)
    d.chain(queries, scores, mask, softmax, values, back=True)
    d.legend(0.3, 0.35, ("data", "gradient"))
    d.note(3.3, 0.35, "above, gradients flow back along every arrow too", align="left")
    words = (
        "Diagram of a block of a transformer encoder. Features x (N, T, dim) go through norm1 into the attention. Its "
        "answer is added (+) to the features themselves, which go around it as a residual. The sum goes through norm2 "
        "into a small network, the mlp, and again the result is added (+) to the sum, a second residual. The features "
        "(N, T, dim) that come out have the same shape. Inside attention, per head: queries and keys give scores (N, "
        "heads, T, T), those of padding: minus infinity. A softmax over keys turns them into weights, and the result "
        "is the weighted mean of the values. Gradients flow back along every arrow."
    )
    return d.done(alt, words, title)


@styled
def diagram_masked_words(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Masked words: some words are hidden, and the loss asks for these alone."""
    d, color = Diagram(9.0, 3.1), method_style("masked_words").color
    texts = d.data(0.65, 2.0, "words\n(N, T)", width=0.9)
    hide = d.box(2.1, 2.0, "mask_tokens", width=1.3)
    encoder = d.box(3.95, 2.0, "transformer\nencoder", width=1.2, height=0.6, color=color)
    layer = d.box(5.6, 2.0, "layer for\nwords", width=1.0, height=0.6, color=color)
    logits = d.data(6.95, 2.0, "logits\n(N, T, V)", width=0.9)
    loss = d.box(8.3, 2.0, "loss of the\nchosen words", width=1.2, height=0.6)
    d.flow(texts, hide)
    d.flow(hide, encoder)
    d.chain(encoder, layer, logits, loss, back=True)
    d.around(texts, loss, 2.72, "target: the true words")
    d.around(hide, loss, 1.2, "chosen: which words count (15 %)")
    d.note(2.1, 0.72, "chosen words: 80 % mask, 10 % another word, 10 % unchanged", align="left")
    d.legend(0.3, 0.3, ("data", "gradient"))
    words = (
        "Diagram of the training with masked words. Words (N, T) go into mask_tokens, which chooses 15 % of them. Of "
        "the chosen words 80 % become a mask, 10 % another word and 10 % stay unchanged. The changed text goes through "
        "the transformer encoder and a layer for words, which returns logits (N, T, V). The loss of the chosen words "
        "compares these with the true words, at the chosen places only. Gradients flow from the loss back into the "
        "layer and the encoder."
    )
    return d.done(alt, words, title)
