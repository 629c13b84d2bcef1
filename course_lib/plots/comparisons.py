"""Figures that compare methods: a line each against the number of labels, or a bar each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.inputs import Baseline, as_array, baseline_of, counted, curve_points
from course_lib.plots.style import FROZEN_HATCH, NOTE, REFERENCE, MethodStyle, method_style, method_styles, styled


@styled
def label_curve(
    curves: Mapping[str, Any],
    *,
    x_label: str = "labels per class",
    y_label: str = "test accuracy",
    percent: bool = True,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Accuracy against the number of labels, a line for each method.

    A line is the mean over seeds, its band one standard deviation to both sides, a small ring each seed.

    Args:
        curves: method -> `records.Curve`, or method -> {labels: values of the seeds}.
        x_label, y_label: with the units.
        percent: write the y axis in percent.

    Raises:
        ValueError: nothing to draw.
    """
    if not curves:
        raise ValueError("curves is empty; give at least one method.")
    points = {method: curve_points(curve) for method, curve in curves.items()}
    for method, pairs in points.items():
        if not pairs:
            raise ValueError(f"The curve of {method!r} has no points.")
    styles = method_styles(list(curves))
    wide = max(len(style.label) for style in styles.values())
    figure = new_figure(6.0 + 0.085 * wide + 0.5, max(3.8, 0.32 * len(curves) + 1.0))
    ax = figure.subplots()
    spread = 0.035 if len(points) > 1 else 0.0  # rings of several methods at one budget stand side by side
    parts = []
    for index, (method, pairs) in enumerate(points.items()):
        means = _draw_method(ax, pairs, styles[method], shift=1.0 + spread * (index - (len(points) - 1) / 2))
        ends = (0, -1) if len(pairs) > 1 else (0,)
        words = [f"{_number(means[end], percent)} at {pairs[end][0]:g}" for end in ends]
        parts.append(f"{styles[method].label}: {', '.join(words)}.")
    _label_budgets(ax, sorted({x for pairs in points.values() for x, _ in pairs}))
    if percent:
        _in_percent(ax.yaxis)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.grid(axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), borderaxespad=0, handlelength=3.0)
    if title:
        ax.set_title(title)
    counts = sorted({len(values) for pairs in points.values() for _, values in pairs})
    seeds = counted(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    # Beside the axes, under the legend, where no line runs.
    ax.text(1.02, 0.0, f"mean of {seeds}", transform=ax.transAxes, ha="left", va="bottom", fontsize=9, color=NOTE)
    automatic = f"{title or 'Line chart'}: {y_label} against {x_label}, mean of {seeds}. {' '.join(parts)}"
    return finished(figure, automatic, alt)


@styled
def bar_with_seeds(
    values: Mapping[str, Any],
    *,
    x_label: str = "test accuracy",
    percent: bool = True,
    labels: Mapping[str, str] | None = None,
    styled_as: str | None = None,
    title: str | None = None,
    alt: str | None = None,
    **line: Unpack[Baseline],
) -> Figure:
    """A horizontal bar for each method: its mean, written beside it, and every seed as a dot.

    Args:
        values: method -> values of the seeds (or a `records.Figure`).
        x_label: what is measured, with its unit.
        percent: write the axis in percent.
        labels: names to write instead of the methods' own.
        styled_as: draw all bars in this method's style, where the bars are something else than methods.
        baseline: a dashed line to compare with.
        baseline_label: what that line is (default: "chance").

    Raises:
        ValueError: nothing to draw.
    """
    baseline, baseline_label = baseline_of(line, "bar_with_seeds", label="chance")
    if not values:
        raise ValueError("values is empty; give at least one method.")
    seeds = {method: np.atleast_1d(as_array(getattr(found, "values", found))) for method, found in values.items()}
    for method, found in seeds.items():
        if found.ndim != 1 or not found.size:
            raise ValueError(f"The values of {method!r} have shape {found.shape}; expected one number per seed.")
    figure = new_figure(7.0, 0.5 * len(seeds) + 1.0 + 0.3 * bool(title) + 0.3 * (baseline is not None))
    ax = figure.subplots()
    largest = max(baseline or 0.0, *(float(found.max()) for found in seeds.values()))
    names, parts = [], []
    for row, (method, found) in enumerate(seeds.items()):
        style, mean = method_style(styled_as or method), float(found.mean())
        names.append((labels or {}).get(method, method if styled_as else style.label))
        text = _number(mean, percent) if percent or abs(mean) >= 10 else f"{mean:.2f}"
        _draw_bar(ax, row, found, style, names[-1])
        ax.text(max(mean, float(found.max())) + 0.02 * largest, row, text, va="center", ha="left")
        parts.append(f"{names[-1]} {text}.")
    ax.set_yticks(range(len(seeds)), names)
    ax.invert_yaxis()
    ax.set_xlim(min(0.0, *(float(v.min()) for v in seeds.values())), largest * 1.14 if largest > 0 else None)
    if percent:
        _in_percent(ax.xaxis)
    ax.set_xlabel(f"{x_label}; a dot for each seed" if max(map(len, seeds.values())) > 1 else x_label)
    ax.tick_params(axis="y", length=0)
    if baseline is not None:
        _draw_baseline(ax, baseline, baseline_label)
        parts.append(f"{baseline_label} {_number(baseline, percent)}.")
    count = counted(min(map(len, seeds.values())), "seed")
    return finished(figure, f"{title or 'Bar chart'}: {x_label}, mean of {count}. {' '.join(parts)}", alt, title=title)


def _draw_method(
    ax: Axes, points: list[tuple[float, NDArray[np.float64]]], style: MethodStyle, *, shift: float
) -> NDArray[np.float64]:
    """Draws one method's line, band and rings, the rings at x times `shift`; returns the mean at each x."""
    x = np.array([position for position, _ in points])
    means = np.array([values.mean() for _, values in points])
    stds = np.array([values.std(ddof=1) if len(values) > 1 else 0.0 for _, values in points])
    ax.plot(x, means, **style.line, label=style.label, zorder=3)
    ax.fill_between(x, means - stds, means + stds, color=style.color, alpha=0.12, linewidth=0)
    rings_x = np.concatenate([np.full(len(values), position * shift) for position, values in points])
    rings_y = np.concatenate([values for _, values in points])
    ax.scatter(rings_x, rings_y, s=12, facecolor="none", edgecolor=style.color, linewidth=0.8, zorder=2)
    return means


def _label_budgets(ax: Axes, budgets: list[float]) -> None:
    """A logarithmic x axis, where there are several positive numbers of labels, with a tick at each of them."""
    if len(budgets) > 1 and budgets[0] > 0:
        ax.set_xscale("log")
        ax.set_xlim(budgets[0] / 1.25, budgets[-1] * 1.25)
    ax.xaxis.set_major_locator(FixedLocator(budgets))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(budgets, [f"{x:g}" for x in budgets])


def _draw_bar(ax: Axes, row: int, values: NDArray[Any], style: MethodStyle, name: str) -> None:
    """Draws a method's mean as a bar and the value of each seed as a dot on it."""
    face, hatch = ("white", FROZEN_HATCH) if style.hollow else (style.color, None)
    look: dict[str, Any] = {"color": face, "edgecolor": style.color, "linewidth": 1.5, "hatch": hatch}
    ax.barh(row, float(values.mean()), height=0.62, label=name, **look)
    offsets = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
    ax.scatter(values, row + offsets, s=26, color="white", edgecolor="black", linewidth=0.9, zorder=3)


def _draw_baseline(ax: Axes, value: float, name: str) -> None:
    """Draws a dashed vertical line with its name above the axes."""
    halo = [patheffects.withStroke(linewidth=3.5, foreground="white")]  # the line crosses dark bars
    ax.axvline(value, color=REFERENCE, linestyle="--", linewidth=1.4, path_effects=halo, label=name)
    place = ax.get_xaxis_transform()
    ax.text(value, 1.01, name, transform=place, ha="center", va="bottom", fontsize=9, color=REFERENCE)


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:.0f} %" if percent else f"{value:.3g}"


def _in_percent(axis: Any) -> None:
    """Ticks in percent, with the digits that they need: 82.5 % is not 82 %."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
