"""A widget for the rounds of federated training: what each client's local steps do, and what their average does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import choice_slider
from course_lib.widgets.view import View

Round = Mapping[str, Any]  # "start" and "average": shares; "clients": a share for each


def round_explorer(
    runs: Mapping[str, Mapping[int, Round]], *, start: int | None = None, title: str | None = None
) -> View:
    """Choose a round; see the accuracy of each client's network after its local steps, and that of their average.

    Args:
        runs: by name, for each round that was looked at: "start", the accuracy of the server's network at its
            beginning, "clients", that of each client's network after its local steps, and "average", that of the
            network which is averaged from these. All on the same images. Runs are shown side by side.
        start: the round that is shown at first; the last one if not given.

    Raises:
        ValueError: no run, no round that all runs have, or a round without clients.
    """
    rounds = sorted(set.intersection(*(set(run) for run in runs.values()))) if runs else []
    if not rounds:
        raise ValueError(f"runs are {list(runs)}; at least one run is expected, and a round that all of them have.")
    if any(len(run[number]["clients"]) == 0 for run in runs.values() for number in rounds):
        raise ValueError("a round has no clients; the accuracy of at least one is expected in each.")

    def draw(number: int) -> Figure:
        return _draw_round({name: run[number] for name, run in runs.items()}, number, title)

    first = rounds[-1] if start is None else start
    controls = {"number": choice_slider("round", rounds, first)}
    return View(draw, controls, hint="Move through the rounds. When is the average better than each client?")


@plots.styled
def _draw_round(runs: Mapping[str, Round], number: int, title: str | None) -> Figure:
    figure = plots.new_figure(9.0, 3.3 + 0.3 * bool(title))
    axes = np.atleast_1d(figure.subplots(1, len(runs), sharey=True))
    words = [_draw_run(ax, name, run) for ax, (name, run) in zip(axes, runs.items(), strict=True)]
    axes[0].set_ylabel("test accuracy")
    axes[0].set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes[0].legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), fontsize=9)
    for ax in axes:
        ax.set_xlabel(f"client, after its local steps in round {number}")
    return plots.finished(figure, f"{title or 'A round'}: round {number}. {' '.join(words)}", title=title)


def _draw_run(ax: Axes, name: str, run: Round) -> str:
    """Bars for the clients, lines for the server before and after; what they show in words."""
    clients = np.asarray(run["clients"], dtype=float)
    color = plots.method_style("rotation").color
    positions = range(1, len(clients) + 1)
    ax.bar(positions, clients, width=0.7, color="white", edgecolor=color, linewidth=1.5)
    ax.axhline(run["start"], color=plots.NOTE, linestyle=":", linewidth=2, label="server before")
    ax.axhline(run["average"], color=color, linestyle="-", linewidth=2, label="server after (the average)")
    ax.set_ylim(0, 1.28)
    ax.set_xticks(list(positions))
    ax.set_title(name, fontsize=11)
    shares = ", ".join(f"{100 * value:.0f}" for value in clients)
    return (
        f"{name}: the server begins at {100 * run['start']:.0f} %, the clients reach {shares} % after their local "
        f"steps, and their average {100 * run['average']:.0f} %."
    )
