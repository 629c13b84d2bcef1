"""A widget for methods with a strength, such as a penalty's weight: recorded accuracies and a measure beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import WIDE, choice_slider
from course_lib.widgets.view import View


def strength_explorer(
    curves: Mapping[str, Mapping[str, Any]],
    *,
    beside: str,
    start: float | None = None,
    strength: str = "lambda",
    title: str | None = None,
) -> View:
    """Choose a method and its strength; see the recorded accuracies there, and one further measure beside.

    Args:
        curves: method -> measure -> `records.Curve`, or {strength: values of the seeds}. All measures of a method are
            taken at the same strengths. Measures but `beside` are accuracies. The slider has the strengths of all
            methods; for one that a method lacks, its nearest is shown.
        beside: the measure that is drawn on its own, such as a distance.
        start: the strength at first (default: the middle one).
        strength: what the slider's number is.

    Raises:
        ValueError: no method, no measure `beside` or nothing else, or measures at different strengths.
    """
    if not curves:
        raise ValueError("curves is empty; give at least one method.")
    tables: dict[str, dict[str, np.ndarray]] = {}
    strengths: dict[str, list[float]] = {}
    for method, measures in curves.items():
        if beside not in measures or len(measures) < 2:
            raise ValueError(f"{method!r} has the measures {', '.join(measures)}; expected {beside!r} and an accuracy.")
        tables[method] = {}
        for measure, curve in measures.items():
            points = {x: float(values.mean()) for x, values in plots.curve_points(curve)}
            if list(points) != strengths.setdefault(method, list(points)):
                raise ValueError(
                    f"{method!r}, {measure!r} is recorded at {list(points)}, its others at {strengths[method]}."
                )
            tables[method][measure] = np.array(list(points.values()))
    every = sorted(set().union(*strengths.values()))
    first = every[len(every) // 2 if start is None else _nearest(every, float(start))]

    def draw(method: str, chosen: float) -> Figure:
        own = strengths[method]
        return _draw_strength(tables[method], own, _nearest(own, chosen), beside, method, strength, title)

    controls = {
        "method": ipywidgets.Dropdown(options=list(curves), description="method", **WIDE),
        "chosen": choice_slider(strength, [(f"{x:g}", x) for x in every], first),
    }
    return View(draw, controls, hint=f"Choose a method and its {strength}: what is kept, and what is learned?")


def _nearest(values: Sequence[float], value: float) -> int:
    """Index of the nearest of several values."""
    return min(range(len(values)), key=lambda index: abs(values[index] - value))


@plots.styled
def _draw_strength(
    measures: Mapping[str, np.ndarray],
    strengths: Sequence[float],
    chosen: int,
    beside: str,
    method: str,
    strength: str,
    title: str | None,
) -> Figure:
    figure = plots.new_figure(9.2, 3.6 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[1.9, 1.0])
    places = range(len(strengths))
    accuracies = {name: values for name, values in measures.items() if name != beside}
    lines = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
    parts = []
    for (name, values), color, (line, marker) in zip(accuracies.items(), plots.CLASS_COLORS, lines * len(accuracies)):
        text = f"{100 * values[chosen]:.0f} %"
        left.plot(places, values, color=color, linestyle=line, marker=marker, label=f"{name}: {text}")
        left.plot(chosen, values[chosen], color=color, marker=marker, markersize=11)
        parts.append(f"{name} {text}")
    left.axvline(chosen, color=plots.ACCENT, linewidth=1.2, zorder=0)
    left.set_ylim(0, 1.02)
    left.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    left.set_ylabel("test accuracy")
    left.grid(axis="y")
    plots.legend_above(left, 2, columnspacing=1.2)
    faces = [plots.ACCENT if place == chosen else "white" for place in places]
    right.bar(places, measures[beside], color=faces, edgecolor=plots.ACCENT, linewidth=1.5)
    value = f"{measures[beside][chosen]:.2f}"
    right.set_title(f"{beside}: {value}", fontsize=11)
    for ax in (left, right):
        ax.set_xticks(places, [f"{x:g}" for x in strengths])
        ax.set_xlabel(f"{strength} of {method}")
    words = f"{method} with {strength} {strengths[chosen]:g}: {', '.join(parts)}; {beside} {value}"
    return plots.finished(figure, f"{title or 'How strongly held'}: {words}.", title=title)
