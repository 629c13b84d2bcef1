"""Figures with alt text: made, finished, shown in a notebook, saved as PNG."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MatplotlibFigure

from course_lib.plots.style import course_style


class Figure(MatplotlibFigure):
    """A Matplotlib figure that shows itself in a notebook with its alt text, without pyplot's list of open figures."""

    alt_text: str = ""

    def _ipython_display_(self) -> None:
        show(self)


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure, width and height in inches; options go to Matplotlib's `Figure`."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure


def finished(figure: Figure, automatic: str, alt: str | None = None, *, title: str | None = None) -> Figure:
    """The figure with its title above all axes and its alt text: the caller's `alt`, or else the automatic one."""
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    figure.alt_text = " ".join((alt if alt is not None else automatic).split())
    return figure


def legend_above(ax: Axes, columns: int, **spacing: float) -> None:
    """A legend above the axes at their left, its entries side by side."""
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.2, **spacing)


def alt_text(figure: MatplotlibFigure) -> str:
    """What the figure shows, in words, as a screen reader reads it out."""
    return getattr(figure, "alt_text", "")


def png(figure: MatplotlibFigure, *, dpi: int = 100) -> bytes:
    """The figure as PNG, the same bytes for the same content; its alt text is in the file's description."""
    from PIL import Image, PngImagePlugin

    buffer = io.BytesIO()
    with course_style():
        figure.savefig(buffer, format="png", dpi=dpi)
    # 256 colors are enough for these figures and make the notebook a third of the size.
    image = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    about = PngImagePlugin.PngInfo()
    about.add_itxt("Description", alt_text(figure))
    small = io.BytesIO()
    image.save(small, format="png", optimize=True, pnginfo=about)
    return small.getvalue()


def mime_bundle(figure: MatplotlibFigure) -> tuple[dict[str, str], dict[str, Any]]:
    """The figure as a notebook output: (data, metadata).

    JupyterLab drops a PNG's alt text, so the output is HTML first; PNG with alt metadata for the tools that prefer
    that; and the text itself where there are no pictures at all.
    """
    encoded = base64.b64encode(png(figure)).decode("ascii")
    alt = alt_text(figure)
    image = f'<img src="data:image/png;base64,{encoded}" alt="{html.escape(alt, quote=True)}" style="max-width: 100%">'
    return {"text/html": image, "image/png": encoded, "text/plain": alt}, {"image/png": {"alt": alt}}


def show(figure: MatplotlibFigure, alt: str | None = None, *, display_id: bool | str | None = None) -> Any:
    """Shows a figure, any Matplotlib figure, in a notebook together with its alt text; in a script it prints that text.

    Args:
        figure: one of this package's, which bring their text along, or your own.
        alt: what the figure shows, in words.
        display_id: as for `IPython.display.display`; returns a handle when given.

    Raises:
        ValueError: the figure has no alt text and none is given.
    """
    from IPython import get_ipython
    from IPython.display import display

    if alt is not None:
        figure.alt_text = alt  # type: ignore[attr-defined]
    if not alt_text(figure):
        raise ValueError(
            'This figure has no alt text. Say in a sentence what it shows: show(figure, "Loss falls from ...").'
        )
    if get_ipython() is None:  # a script: words are what a terminal can show
        print(alt_text(figure))
        return None
    data, metadata = mime_bundle(figure)
    options = {} if display_id is None else {"display_id": display_id}
    return display(data, metadata=metadata, raw=True, **options)
