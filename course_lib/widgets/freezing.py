"""A widget for fine-tuning: how many blocks are frozen, the learning rate, and the recorded accuracy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import choice_slider
from course_lib.widgets.view import View


def freeze_picker(
    recorded: Mapping[tuple[int, float], Any],
    parts: Mapping[str, int],
    *,
    start: tuple[int, float, int] | None = None,
    chance: float | None = None,
    title: str | None = None,
) -> View:
    """Choose how many blocks are frozen, the learning rate and the number of labels; see what was recorded for it.

    On the left stands the network with its frozen and its trainable parts, on the right the recorded accuracy of every
    depth and rate with as many labels; the choice has a thick frame. Nothing is trained here.

    Args:
        recorded: (labels per class, learning rate) -> `records.Curve` over the number of frozen blocks, or
            {frozen blocks: values of the seeds}. Every combination of labels, rate and depth must be there.
        parts: name -> number of parameters, from the input to the head; what is frozen is counted from the input.
        start: labels, rate and depth at first (default: the fewest labels, the middle rate, nothing frozen).
        chance: the accuracy of guessing, for the palest shade (default: the lowest that was recorded).

    Raises:
        ValueError: nothing recorded, a combination that is missing, a depth without parts, or a start that was not
            recorded.
    """
    if not recorded:
        raise ValueError("recorded is empty; give (labels, rate) -> accuracy by the number of frozen blocks.")
    grid = _Grid(
        {
            (labels, rate, int(depth)): values
            for (labels, rate), curve in recorded.items()
            for depth, values in plots.curve_points(curve)
        }
    )
    for key in ((n, rate, depth) for n in grid.budgets for rate in grid.rates for depth in grid.depths):
        if key not in grid.accuracies:
            raise ValueError(f"Nothing is recorded for {key[0]} labels, rate {key[1]:g} and {key[2]} frozen blocks.")
    deepest = max(grid.depths)
    if deepest >= len(parts):
        raise ValueError(f"{deepest} frozen blocks leave no part to train: parts names {', '.join(parts)} only.")
    first = start or (grid.budgets[0], grid.rates[len(grid.rates) // 2], grid.depths[0])
    if tuple(first) not in grid.accuracies:
        raise ValueError(
            f"start is {first}; labels are {grid.budgets}, rates {grid.rates}, frozen blocks {grid.depths}."
        )

    def draw(labels: int, rate: float, depth: int) -> Figure:
        return _draw_freezing(grid, parts, (labels, rate, depth), chance, title)

    controls = {
        "labels": choice_slider("labels per class", grid.budgets, first[0]),
        "rate": choice_slider("learning rate", [(f"{rate:g}", rate) for rate in grid.rates], first[1]),
        "depth": choice_slider("frozen blocks", grid.depths, first[2]),
    }
    return View(draw, controls, hint="Which choice would you make with five labels per class, which with fifty?")


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Recorded accuracies: (labels per class, learning rate, frozen blocks) -> values of the seeds."""

    accuracies: Mapping[tuple[int, float, int], np.ndarray]

    @property
    def budgets(self) -> list[int]:
        return sorted({labels for labels, _, _ in self.accuracies})

    @property
    def rates(self) -> list[float]:
        return sorted({rate for _, rate, _ in self.accuracies})

    @property
    def depths(self) -> list[int]:
        return sorted({depth for _, _, depth in self.accuracies})

    def means(self, labels: int) -> np.ndarray:
        """(rates, depths) mean accuracies over the seeds."""
        return np.array([[self.accuracies[labels, r, d].mean() for d in self.depths] for r in self.rates])


@plots.styled
def _draw_freezing(
    grid: _Grid, parts: Mapping[str, int], chosen: tuple[int, float, int], chance: float | None, title: str | None
) -> Figure:
    labels, rate, depth = chosen
    seeds = grid.accuracies[chosen]
    figure = plots.new_figure(9.2, 3.7 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.9])
    trained, total = sum(list(parts.values())[depth:]), sum(parts.values())
    share = f"{trained:,} of {total:,} parameters"
    _draw_network(left, parts, depth)
    left.set_title(f"trained: {share}", fontsize=11, loc="center")
    lowest = min(float(values.mean()) for values in grid.accuracies.values()) if chance is None else chance
    _draw_accuracies(right, grid, chosen, lowest)
    reached = f"{100 * seeds.mean():.0f} %"
    spread = f", seeds from {100 * seeds.min():.0f} to {100 * seeds.max():.0f} %" if len(seeds) > 1 else ""
    right.set_title(f"{labels} labels per class: test accuracy {reached}{spread}", fontsize=11, loc="center")
    means = grid.means(labels)
    best_rate, best_depth = np.unravel_index(means.argmax(), means.shape)
    automatic = (
        f"{title or 'Freezing'}: {labels} labels per class, learning rate {rate:g}, {depth} frozen blocks. Trained are "
        f"{share}; recorded test accuracy {reached}{spread}. Best with as many labels: rate {grid.rates[best_rate]:g} "
        f"and {grid.depths[best_depth]} frozen blocks, {100 * means.max():.0f} %."
    )
    return plots.finished(figure, automatic, title=title)


def _draw_network(ax: Axes, parts: Mapping[str, int], depth: int) -> None:
    """Draws the parts of the network, the input at the bottom; word and hatch tell the frozen ones, not color alone."""
    color = plots.method_style("transfer").color
    for row, (name, count) in enumerate(parts.items()):
        frozen = row < depth
        face, edge, hatch = ("white", plots.FROZEN, plots.FROZEN_HATCH) if frozen else (color, color, None)
        ax.barh(row, 1.0, height=0.78, color=face, edgecolor=edge, linewidth=1.5, hatch=hatch)
        words = f"{name}: {'frozen' if frozen else 'learns'}\n{count:,}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5} if frozen else None
        ax.text(0.5, row, words, ha="center", va="center", color="black" if frozen else "white", bbox=box)
    ax.set_xlim(0, 1)
    ax.set_axis_off()


def _draw_accuracies(ax: Axes, grid: _Grid, chosen: tuple[int, float, int], lowest: float) -> None:
    """Draws the mean accuracy of every rate (row) and depth (column) with the chosen number of labels."""
    labels, *choice = chosen
    table = grid.means(labels)
    mesh = ax.imshow(table, cmap="Blues", vmin=lowest, vmax=1.25, aspect="auto", origin="lower")
    for (row, column), accuracy in np.ndenumerate(table):
        is_chosen = [grid.rates[row], grid.depths[column]] == choice
        weight = "bold" if is_chosen else "normal"
        plots.write_in_cell(ax, mesh, row, column, f"{100 * accuracy:.0f} %", accuracy, fontweight=weight)
        if is_chosen:
            corner = (column - 0.47, row - 0.46)
            ax.add_patch(Rectangle(corner, 0.94, 0.92, fill=False, color=plots.ACCENT, linewidth=3))
    ax.set_xticks(range(len(grid.depths)), [str(depth) for depth in grid.depths])
    ax.set_yticks(range(len(grid.rates)), [f"{rate:g}" for rate in grid.rates])
    plots.bare_axes(ax)
    ax.set(xlabel="frozen blocks", ylabel="learning rate")
