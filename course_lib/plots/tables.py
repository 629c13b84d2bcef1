"""Tables of shaded cells with a number in each: shares between 0 and 1, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.inputs import as_array
from course_lib.plots.style import CELL_BORDER, styled


@styled
def share_table(
    shares: Any,
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    x_label: str = "",
    y_label: str = "",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """A table of numbers between 0 and 1; the larger the number, the darker its cell.

    Args:
        shares: (rows, columns), for example how much of each factor is known from each latent.
        row_names, column_names: as many as there are rows and columns.
        x_label, y_label: what columns and rows are.

    Raises:
        ValueError: not a table, or not as many names as rows and columns.
    """
    table = as_array(shares).astype(np.float64)
    if table.shape != (len(row_names), len(column_names)) or table.size == 0:
        raise ValueError(
            f"shares has shape {table.shape}; expected ({len(row_names)}, {len(column_names)}), as many as names."
        )
    rows, columns = table.shape
    longest, deepest = (max(map(len, names)) for names in (row_names, column_names))
    figure = new_figure(0.62 * columns + 0.09 * longest + 0.8, 0.36 * rows + 0.07 * deepest + 0.8 + 0.35 * bool(title))
    ax = figure.subplots()
    mesh = ax.imshow(np.clip(table, 0, 1), cmap=_blues(), vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        write_in_cell(ax, mesh, row, column, f"{value:.2f}", value, fontsize=9)
    ax.set_xticks(range(columns), column_names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(rows), row_names)
    bare_axes(ax)
    ax.set(xlabel=x_label, ylabel=y_label)
    best = [
        f"{column_names[c]} {table[:, c].max():.2f} in {row_names[int(table[:, c].argmax())]}" for c in range(columns)
    ]
    automatic = f"{title or 'Table'}: the largest of each column: {', '.join(best)}."
    return finished(figure, automatic, alt, title=title)


def score_table(
    scores: Mapping[str, Sequence[float]],
    column_names: Iterable[str],
    *,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """A `share_table` with a row per entry of `scores`: the name of the row -> its numbers, one per column.

    Raises:
        ValueError: no row, or not as many numbers as columns.
    """
    columns = list(column_names)
    for name, row in scores.items():
        if len(row) != len(columns):
            raise ValueError(
                f"The row {name!r} has {len(row)} numbers for {len(columns)} columns; give one per column."
            )
    if not scores:
        raise ValueError("scores is empty; give at least one row.")
    return share_table(list(scores.values()), list(scores), columns, title=title, alt=alt)


@styled
def confusion_matrix(
    matrix: Any,
    class_names: Sequence[str],
    *,
    of: str = "images",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """How many images of each class (row) were predicted as each class (column).

    The number in a cell counts images; its shade is its share of the row.

    Args:
        matrix: (K, K) counts, rows the true class, columns the prediction (`evaluation.confusion`).
        class_names: K names.
        of: what is counted, in words.

    Raises:
        ValueError: not a square matrix with a name for each class.
    """
    counts = as_array(matrix).astype(np.float64)
    k = len(class_names)
    if counts.shape != (k, k):
        raise ValueError(
            f"matrix has shape {counts.shape}; expected ({k}, {k}), a row and a column for each class name."
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    size = max(0.52 * k, 1.6)
    longest = 0.09 * max(map(len, class_names))  # inches that a class's name takes up
    figure = new_figure(size + longest + 2.0, size + 0.75 * longest + 0.7 + 0.3 * bool(title))
    ax = figure.subplots()
    mesh = ax.imshow(shares, cmap=_blues(), vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            weight = "bold" if row == column else "normal"
            write_in_cell(ax, mesh, row, column, f"{count:g}", shares[row, column], fontsize=9, weight=weight)
    ax.set_xticks(range(k), class_names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(k), class_names)
    bare_axes(ax)
    ax.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=CELL_BORDER, linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    bar = figure.colorbar(mesh, ax=ax, fraction=0.046, pad=0.03, format=PercentFormatter(1.0, decimals=0))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return finished(figure, _confusion_in_words(counts, class_names, of, title), alt, title=title)


def _confusion_in_words(counts: NDArray[np.float64], class_names: Sequence[str], of: str, title: str | None) -> str:
    right = np.trace(counts) / max(counts.sum(), 1.0)
    words = f"{title or 'Confusion matrix'}: {100 * right:.0f} % of {counts.sum():g} {of} on the diagonal."
    mistakes = counts - np.diag(np.diag(counts))
    if mistakes.max() > 0:
        row, column = divmod(int(mistakes.argmax()), len(counts))
        most = f"{class_names[row]} taken for {class_names[column]}, {mistakes.max():g} times"
        words += f" Most frequent mistake: {most}."
    return words


def _blues() -> ListedColormap:
    """White to blue without the darkest shades, so that every number can be read on its cell."""
    return ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.0, 0.95, 256)))


def write_in_cell(ax: Axes, mesh: Any, row: int, column: int, text: str, shade: float, **font: Any) -> None:
    """Writes a text into a cell of an image (`mesh`, from `Axes.imshow`) in the ink that suits the cell's value."""
    ax.text(column, row, text, ha="center", va="center", color=ink_on(mesh, shade), **font)


def ink_on(mesh: Any, value: float) -> str:
    """Black or white, whichever is easier to read on the color that an image (`imshow`) gives to a value.

    >>> from matplotlib.figure import Figure
    >>> mesh = Figure().subplots().imshow([[0.0, 1.0]], cmap="Blues")
    >>> ink_on(mesh, 0.0), ink_on(mesh, 0.6), ink_on(mesh, 1.0)
    ('black', 'black', 'white')
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mesh.cmap(mesh.norm(value))[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]  # as WCAG 2 defines it
    return "black" if luminance > 0.179 else "white"


def bare_axes(ax: Axes) -> None:
    """Takes away the frame of the axes and the marks of its ticks; their labels stay."""
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
