"""Figures of choosing: accuracies with their intervals, the optimism of the best of many, and the pipeline."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.ticker import PercentFormatter

from course_lib.plots.diagram_parts import Diagram
from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.style import ACCENT, FRAME, NORMAL, method_style, styled


@styled
def accuracy_intervals(
    intervals: Mapping[str, tuple[float, float, float]],
    *,
    chosen: str = "",
    x_label: str = "validation accuracy",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Accuracies with their confidence intervals, one per row; a band shows which rows the chosen one overlaps.

    Args:
        intervals: name -> (lower end, accuracy, upper end), from 0 to 1.
        chosen: the row that is marked.
        x_label: what is measured.

    Raises:
        ValueError: nothing to draw, or `chosen` is not a row.
    """
    if not intervals:
        raise ValueError("intervals is empty; give at least one accuracy with its ends.")
    if chosen and chosen not in intervals:
        raise ValueError(f"chosen is {chosen!r}; the rows are {', '.join(intervals)}.")
    rows, wide = list(intervals.items()), max(map(len, intervals))
    figure = new_figure(5.0 + 0.085 * wide, 1.0 + 0.3 * len(intervals) + 0.3 * bool(title))
    ax = figure.subplots()
    if chosen:
        low, _, high = intervals[chosen]
        ax.axvspan(low, high, color=FRAME, alpha=0.5, linewidth=0)
    for row, (name, (low, value, high)) in enumerate(rows):
        color, marker = (ACCENT, "D") if name == chosen else (NORMAL, "o")
        ax.plot([low, high], [row, row], color=color, linewidth=2.2)
        ax.plot(value, row, color=color, marker=marker, markersize=8 if name == chosen else 6)
    ax.set_yticks(range(len(intervals)), list(intervals))
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel(x_label)
    ax.grid(axis="x")
    shown = "; ".join(f"{name} {100 * v:.0f} % ({100 * a:.0f} to {100 * b:.0f})" for name, (a, v, b) in rows)
    mark = f" Marked: {chosen}." if chosen else ""
    return finished(figure, f"{title or 'Accuracies with intervals'}, {x_label}: {shown}.{mark}", alt, title=title)


@styled
def diagram_choice(*, title: str | None = None, alt: str | None = None) -> Figure:
    """From images without labels to a model that is handed on: which images decide at which step."""
    d, color = Diagram(9.0, 3.6), method_style("transfer").color
    y = 2.5
    sources = d.box(0.85, y, "sources\n(encoders)", width=1.2, height=0.6, color=color)
    score = d.box(2.55, y, "score before\ntraining", width=1.3, height=0.6)
    train = d.box(4.25, y, "train each\nconfiguration", width=1.35, height=0.6, color=color)
    choose = d.box(5.95, y, "choose", width=0.95, height=0.6)
    measure = d.box(7.2, y, "measure\nonce", width=0.95, height=0.6)
    out = d.box(8.4, y, "export,\ncard", width=0.85, height=0.6)
    d.chain(sources, score, train, choose, measure, out)
    low = 1.2
    pool = d.data(0.85, low, "images without\nlabels", width=1.2)
    d.data(3.4, low, "40 labels", width=0.9)
    checked = d.data(5.95, low, "100 validation\nlabels", width=1.2)
    test = d.data(7.2, low, "test", width=0.6)
    d.flow(pool, sources)
    d.arrow((3.2, low + 0.2), (score.x, y - 0.32))
    d.arrow((3.6, low + 0.2), (train.x - 0.2, y - 0.32))
    d.flow(checked, choose)
    d.flow(test, measure)
    for learns in (sources, train):
        d.gradient((learns.x + 0.35, y + 0.32), (learns.x - 0.35, y + 0.32), bend=0.9)
    d.note(5.0, y + 0.72, "gradients only in these two", align="left")
    d.legend(0.3, 0.35, ("data", "gradient"))
    d.note(3.3, 0.35, "each set of labels has one task, and the test comes last", align="left")
    words = (
        "Diagram of a project. Images without labels train the sources (encoders). With 40 labels each source gets a "
        "score before training, and they train each configuration. 100 validation labels choose one of them. The test "
        "is used to measure once, after the choice. Then come export, card. Gradients flow only where configurations "
        "are trained, and in the sources."
    )
    return d.done(alt, words, title)
