"""What diagrams of the methods are drawn with: boxes, arrows, clouds of points, and a legend of the arrows.

An arrow in black with a filled head is data that flows forward. A gradient is a dashed arrow with an open head beside
it, so that they are told apart without color. What is frozen is hatched. Text stands on white, so that a diagram is
legible in gray and on a dark page, where the picture keeps its white ground.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.style import FORWARD, FROZEN_FILL, FROZEN_HATCH, GRADIENT, INK, NOTE, PAPER

TEXT, SMALL = 10, 9


@dataclasses.dataclass(frozen=True)
class Box:
    """A box that was drawn: its center, its size, what stands in it, and whether it is frozen or has no frame."""

    x: float
    y: float
    width: float
    height: float
    text: str
    frozen: bool = False
    framed: bool = True

    def side(self, towards: str, shift: float = 0.0) -> tuple[float, float]:
        """The middle of a side, "left", "right", "top" or "bottom", moved along it by `shift`."""
        along = {
            "left": (-self.width / 2, shift), "right": (self.width / 2, shift),
            "top": (shift, self.height / 2), "bottom": (shift, -self.height / 2),
        }[towards]  # fmt: skip
        return self.x + along[0], self.y + along[1]


class Diagram:
    """A figure to draw on, in inches from the lower left corner; `done` gives it its title and its alt text.

    Args:
        width, height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure: Figure = new_figure(width, height)
        self.figure.set_layout_engine("none")
        self.ax: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.ax.set(xlim=(0, width), ylim=(0, height))
        self.ax.axis("off")
        self.boxes: list[Box] = []
        self.figure.boxes = self.boxes  # type: ignore[attr-defined]  # so that tests can look at them

    def box(
        self, x: float, y: float, text: str, *, width: float = 1.25, height: float = 0.5, color: str = INK,
        frozen: bool = False,
    ) -> Box:  # fmt: skip
        """A box with a text at its center; a frozen one is hatched and says so by a dashed frame."""
        corner = (x - width / 2, y - height / 2)
        style = "round,pad=0,rounding_size=0.08"
        self.ax.add_patch(
            FancyBboxPatch(
                corner, width, height, boxstyle=style, facecolor=FROZEN_FILL if frozen else PAPER, edgecolor=color,
                linewidth=1.8, linestyle="--" if frozen else "-", zorder=2,
            )
        )  # fmt: skip
        if frozen:
            self.ax.add_patch(
                Rectangle((corner[0] + 0.04, corner[1] + 0.04), width - 0.08, height - 0.08, facecolor="none",
                          edgecolor=NOTE, hatch=FROZEN_HATCH, linewidth=0, zorder=2)
            )  # fmt: skip
        self.write(x, y, text, on_paper=frozen, zorder=4)
        self.boxes.append(Box(x, y, width, height, text, frozen))
        return self.boxes[-1]

    def data(self, x: float, y: float, text: str, *, width: float = 1.0) -> Box:
        """What goes in or comes out: a text between two lines, without a frame."""
        self.write(x, y, text, zorder=4)
        self.boxes.append(Box(x, y, width, 0.36 + 0.17 * text.count("\n"), text, framed=False))
        return self.boxes[-1]

    def arrow(self, start: tuple[float, float], end: tuple[float, float], *, bend: float = 0.0) -> None:
        """Data that flows forward: a solid arrow with a filled head."""
        self._arrow(start, end, bend, color=FORWARD, linestyle="-", arrowstyle="-|>", linewidth=1.6)

    def gradient(self, start: tuple[float, float], end: tuple[float, float], *, bend: float = 0.0) -> None:
        """A gradient that flows back: a dashed arrow with an open head."""
        self._arrow(start, end, bend, color=GRADIENT, linestyle=(0, (3, 2)), arrowstyle="->", linewidth=1.8)

    def _arrow(self, start: tuple[float, float], end: tuple[float, float], bend: float, **look: Any) -> None:
        curve = f"arc3,rad={bend}"
        self.ax.add_patch(
            FancyArrowPatch(
                start, end, connectionstyle=curve, mutation_scale=13, shrinkA=1, shrinkB=1, zorder=3, **look
            )
        )

    def flow(self, start: Box, end: Box, *, back: bool = False, stopped: bool = False) -> None:
        """Data from a box to its neighbor at the right, left, above or below; the gradient goes beside it.

        Args:
            back: the gradient flows back from `end` to `start`.
            stopped: it stops on its way there.
        """
        if (
            abs(end.x - start.x) - (start.width + end.width) / 2
            > abs(end.y - start.y) - (start.height + end.height) / 2
        ):
            out, into = ("right", "left") if end.x > start.x else ("left", "right")
        else:
            out, into = ("top", "bottom") if end.y > start.y else ("bottom", "top")
        apart = 0.1 if back or stopped else 0.0
        self.arrow(start.side(out, apart), end.side(into, apart))
        if back or stopped:
            source, goal = end.side(into, -apart), start.side(out, -apart)
            if stopped:
                goal = (source[0] + 0.6 * (goal[0] - source[0]), source[1] + 0.6 * (goal[1] - source[1]))
                self.stop(*goal, upright=out in ("right", "left"))
            self.gradient(source, goal)

    def chain(self, *boxes: Box, back: bool = False) -> None:
        """Data from box to box, one after the other; `back` as for `flow`."""
        for start, end in itertools.pairwise(boxes):
            self.flow(start, end, back=back)

    def around(self, start: Box | tuple[float, float], end: Box, y: float, text: str) -> None:
        """Data that leaves a box or a point straight up or down to the height y, goes along, and enters `end` there.

        The text stands beyond the line.
        """
        towards, beyond = ("top", 1) if y > end.y else ("bottom", -1)
        if isinstance(start, Box):
            x, begin = start.side(towards)
            start = (x, begin + (0.0 if start.framed else 0.08 * beyond))
        self.ax.plot([start[0], start[0], end.x], [start[1], y, y], color=FORWARD, linewidth=1.6, zorder=1)
        self.arrow((end.x, y), end.side(towards))
        self.note((start[0] + end.x) / 2, y + 0.14 * beyond, text)

    def stop(self, x: float, y: float, *, upright: bool = True) -> None:
        """Where a gradient ends: two short bars across its way."""
        for shift in (-0.03, 0.03):
            across = [x + shift] * 2, [y - 0.11, y + 0.11]
            if not upright:
                across = [x - 0.11, x + 0.11], [y + shift] * 2
            self.ax.plot(*across, color=GRADIENT, linewidth=2, zorder=4)

    def write(
        self, x: float, y: float, text: str, *, size: float = TEXT, align: str = "center", on_paper: bool = False,
        zorder: int = 4,
    ) -> None:  # fmt: skip
        """A text of its own; `on_paper` puts a white ground under it."""
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5} if on_paper else None
        self.ax.text(x, y, text, ha=align, va="center", fontsize=size, color=INK, bbox=ground, zorder=zorder)

    def note(self, x: float, y: float, text: str, *, align: str = "center") -> None:
        """A remark in small letters."""
        self.ax.text(x, y, text, ha=align, va="center", fontsize=SMALL, color=NOTE, zorder=4)

    def cloud(self, x: float, y: float, width: float, height: float, *, color: str, linestyle: str = "-") -> None:
        """A distribution: an ellipse that is filled lightly."""
        for fill, alpha in ((color, 0.18), ("none", 1.0)):
            self.ax.add_patch(
                Ellipse((x, y), width, height, facecolor=fill, edgecolor=color, alpha=alpha, linestyle=linestyle,
                        linewidth=1.6, zorder=2)
            )  # fmt: skip

    def legend(self, x: float, y: float, kinds: Sequence[str]) -> None:
        """What arrows and hatches mean, side by side from x on: of "data", "gradient", "stop" and "frozen"."""
        for kind in kinds:
            if kind == "data":
                self.arrow((x, y), (x + 0.45, y))
            elif kind == "gradient":
                self.gradient((x, y), (x + 0.45, y))
            elif kind == "stop":
                self.stop(x + 0.3, y)
            else:
                self.ax.add_patch(_hatched(x + 0.05, y - 0.1, 0.38, 0.2))
            self.note(x + 0.55, y, _MEANING[kind], align="left")
            x += 0.75 + 0.075 * len(_MEANING[kind])

    def done(self, alt: str | None, words: str, title: str | None) -> Figure:
        """The figure with its title and its alt text."""
        if title:
            self.ax.set_ylim(0, self.ax.get_ylim()[1] + 0.35)
            width, height = self.figure.get_size_inches()
            self.figure.set_size_inches(width, height + 0.35)
        return finished(self.figure, f"{title}. {words}" if title else words, alt, title=title)


_MEANING = {"data": "data", "gradient": "gradient", "stop": "no gradient passes", "frozen": "frozen"}


def _hatched(x: float, y: float, width: float, height: float) -> Patch:
    return Rectangle(
        (x, y), width, height, facecolor=FROZEN_FILL, edgecolor=NOTE, hatch=FROZEN_HATCH, linewidth=1, zorder=2
    )
