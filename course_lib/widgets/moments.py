"""A widget for predictions of what comes next in a recording: which frame does a context expect?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import WIDE
from course_lib.widgets.view import View


def moment_explorer(
    pictures: Any,
    guess: Callable[[int, int, int], Mapping[str, Any]],
    *,
    seconds: float,
    frames: int,
    farthest: int,
    titles: Sequence[str],
    parts: Any = None,
    sounds: Sequence[Sequence[str]] | None = None,
    start: int = 0,
    title: str | None = None,
) -> View:
    """Choose a recording and a frame; see which frames networks expect some frames later.

    Args:
        pictures: (N, F, B) float, what is shown of each recording, such as log-mel values.
        guess: `guess(recording, now, ahead)` gives for each network by name the probabilities of all `frames` frames.
        seconds: how long a recording is.
        frames: how many frames networks tell apart.
        farthest: how many frames ahead can be chosen.
        titles: a text for each recording.
        parts, sounds: where each sound is, and its name, as for `plots.spectrograms`.
        start: the frame that is chosen at first.

    Raises:
        ValueError: no recording, not one title for each, or a guess that is not one probability per frame.
    """
    shown = plots.as_array(pictures)
    if shown.ndim != 3 or len(shown) == 0 or len(titles) != len(shown):
        raise ValueError(
            f"pictures has shape {shown.shape} and there are {len(titles)} titles; (N, F, B) and N are expected."
        )

    def draw(recording: int, now: int, ahead: int) -> Figure:
        now = min(now, frames - 1 - ahead)
        found = {name: plots.as_array(values) for name, values in guess(recording, now, ahead).items()}
        if not found or any(values.shape != (frames,) for values in found.values()):
            raise ValueError(f"guess must give {frames} probabilities for each network, one per frame.")
        marks = None if parts is None or sounds is None else (plots.as_array(parts)[recording], sounds[recording])
        return _draw_moment(shown[recording], found, (now, ahead, seconds), marks, titles[recording], title)

    controls = {
        "recording": _slider("recording", 0, len(shown) - 1, 0),
        "now": _slider("frame", 0, frames - 2, min(start, frames - 2)),
        "ahead": _slider("frames ahead", 1, farthest, 1),
    }
    return View(draw, controls, hint="Move the frame. Where does the network know well what comes next?")


def _slider(name: str, low: int, high: int, value: int) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(value=value, min=low, max=high, description=name, continuous_update=False, **WIDE)


@plots.styled
def _draw_moment(
    picture: np.ndarray,
    found: Mapping[str, np.ndarray],
    when: tuple[int, int, float],
    marks: tuple[Any, Sequence[str]] | None,
    name: str,
    title: str | None,
) -> Figure:
    now, ahead, seconds = when
    figure = plots.new_figure(9.0, 2.2 + 1.25 * len(found) + 0.3 * bool(title))
    top, *below = figure.subplots(1 + len(found), 1, sharex=True, height_ratios=[1.7] + [1.0] * len(found))
    plots.draw_spectrogram(top, picture, seconds)
    if marks is not None:
        plots.mark_sounds(top, *marks, picture.shape[1])
    top.set_ylabel("band")
    top.set_title(f"{name}: frame {now} is now, and frame {now + ahead} is asked for", fontsize=11)
    count = len(next(iter(found.values())))
    times = (np.arange(count) + 0.5) * seconds / count
    color, parts = plots.method_style("cpc").color, []
    for ax, (network, values) in zip(below, found.items(), strict=True):
        faces = [color if k == now + ahead else "white" for k in range(count)]
        ax.bar(times, values, width=0.8 * seconds / count, color=faces, edgecolor=color, linewidth=1.2)
        ax.set_ylim(0, max(1.15 * float(values.max()), 1e-6))
        rank = 1 + int((values > values[now + ahead]).sum())
        ax.set_title(f"{network}: {100 * values[now + ahead]:.0f} % at the true frame, rank {rank}", fontsize=11)
        ax.set_ylabel("chance")
        parts.append(
            f"{network}: {100 * values[now + ahead]:.1f} % at the true frame, which has rank {rank} of {count}"
        )
    for ax in (top, *below):
        ax.axvline(times[now], color=plots.ANOMALY, linewidth=2)
    below[-1].set_xlabel("seconds (the line is now, and the filled bar is the true frame)")
    automatic = f"{title or name}: recording of {name}, frame {now} is now, {ahead} ahead. {'. '.join(parts)}."
    return plots.finished(figure, automatic, title=title)
