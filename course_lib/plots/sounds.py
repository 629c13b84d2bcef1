"""Figures of recordings: spectrograms with the phonemes marked, and the diagram of predictions of what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from course_lib.plots.diagram_parts import Diagram
from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.inputs import as_array
from course_lib.plots.style import CELL_BORDER, method_style, styled

_ACROSS = 4  # panels in a row


@styled
def spectrograms(
    pictures: Any,
    *,
    seconds: float,
    titles: Sequence[str],
    parts: Any = None,
    sounds: Sequence[Sequence[str]] | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Spectrograms of recordings of one length, time from left to right and low bands below.

    Args:
        pictures: (N, F, B) float, such as log-mel values: N recordings, F frames, B bands.
        seconds: how long a recording is.
        titles: a text above each.
        parts: (N, L, 2), where each sound begins and ends, in seconds, NaN for none; needs `sounds`.
        sounds: the names of the sounds of each recording, written where they are.

    Raises:
        ValueError: no pictures, or not one title (or row of sounds) for each.
    """
    shown = as_array(pictures)
    if shown.ndim != 3 or len(shown) == 0:
        raise ValueError(f"pictures has shape {shown.shape}; (N, F, B) with at least one recording is expected.")
    if len(titles) != len(shown) or (sounds is not None and len(sounds) != len(shown)):
        raise ValueError(f"there are {len(shown)} pictures; give one title, and one row of sounds, for each.")
    if (parts is None) != (sounds is None):
        raise ValueError("parts and sounds belong together; give both or neither.")
    across = min(_ACROSS, len(shown))
    rows = -(-len(shown) // across)
    figure = new_figure(9.0, 0.4 + 1.9 * rows + 0.3 * bool(title))
    axes = figure.subplots(rows, across, squeeze=False, sharex=True, sharey=True).flat
    limits = float(shown.min()), float(shown.max())
    for k, ax in enumerate(axes):
        if k >= len(shown):
            ax.axis("off")
            continue
        draw_spectrogram(ax, shown[k], seconds, limits=limits)
        if parts is not None and sounds is not None:
            mark_sounds(ax, as_array(parts)[k], sounds[k], shown.shape[2])
        ax.set_title(titles[k], fontsize=11)
        if k >= len(shown) - across:
            ax.set_xlabel("seconds")
        if k % across == 0:
            ax.set_ylabel("band")
    named = "; ".join(
        f"{text} ({', '.join(sounds[k])})" if sounds is not None else text for k, text in enumerate(titles)
    )
    words = f"{title or 'Spectrograms'}: {len(shown)} recordings of {seconds:g} s in {shown.shape[2]} bands: {named}."
    return finished(figure, words, alt, title=title)


def draw_spectrogram(ax: Axes, picture: Any, seconds: float, *, limits: tuple[float, float] | None = None) -> None:
    """One spectrogram (F, B); `limits` are the values of black and of white, by default its own."""
    shown = as_array(picture)
    low, high = limits if limits is not None else (float(shown.min()), float(shown.max()))
    extent = (0.0, seconds, 0.0, float(shown.shape[1]))
    ax.imshow(shown.T, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high, extent=extent)


def mark_sounds(ax: Axes, parts: Any, sounds: Sequence[str], bands: int) -> None:
    """Lines where the sounds of one recording begin and end, and their names at the upper edge."""
    spans = [(float(start), float(end)) for start, end in parts if start == start]
    for edge in sorted({edge for span in spans for edge in span}):
        ax.axvline(edge, color="white", linewidth=1.2, linestyle=":")
    for (start, end), name in zip(spans, sounds):
        ground = {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.5}
        ax.text((start + end) / 2, 0.9 * bands, name, color="white", ha="center", va="center", fontsize=10, bbox=ground)


@styled
def diagram_cpc(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Contrastive predictive coding: a context predicts the code of a later frame, among other codes."""
    d, color = Diagram(9.0, 3.7), method_style("cpc").color
    waves = d.data(0.6, 2.6, "waves\n(N, T)", width=0.8)
    encoder = d.box(1.85, 2.6, "encoder\n(3 layers)", width=1.05, height=0.6, color=color)
    codes = d.data(3.2, 2.6, "codes\n(N, F, C)", width=0.9)
    gru = d.box(4.5, 2.6, "GRU", width=0.75, color=color)
    contexts = d.data(5.75, 2.6, "contexts\n(N, F, H)", width=0.95)
    step = d.box(7.1, 2.6, "layer for\nk frames", width=0.95, height=0.6, color=color)
    predicted = d.data(8.35, 2.6, "predicted\n(N, F - k, C)", width=1.1)
    d.flow(waves, encoder)
    d.chain(encoder, codes, gru, contexts, step, predicted, back=True)
    true = d.data(3.2, 1.25, "codes k frames later\n(N, F - k, C)", width=1.75)
    loss = d.box(7.1, 1.25, "info_nce_loss: find the\nown code of the recording", width=2.3, height=0.6)
    d.flow(codes, true, back=True)
    d.flow(true, loss, back=True)
    d.arrow((predicted.x - 0.1, predicted.y - 0.32), (7.95, 1.58))
    d.gradient((8.15, 1.58), (predicted.x + 0.1, predicted.y - 0.32))
    d.ax.plot([0.2, 8.8], [0.72, 0.72], color=CELL_BORDER, linewidth=1)
    d.note(4.5, 3.3, "the GRU reads from left to right: a context knows the codes up to its frame")
    d.legend(0.3, 0.4, ("data", "gradient"))
    words = (
        "Diagram of contrastive predictive coding. Waves (N, T) go through an encoder (3 layers) and become codes (N, "
        "F, C). A GRU reads these from left to right and gives contexts (N, F, H), each of which knows the codes up to "
        "its frame. A layer for k frames turns the contexts into predicted codes (N, F - k, C). The codes k frames "
        "later (N, F - k, C) are what they should resemble. The loss, info_nce_loss: find the own code of the "
        "recording, compares each predicted code with all true codes of the same recording. Gradients flow back into "
        "both sides, through the layer and the GRU, and through the codes, into the encoder."
    )
    return d.done(alt, words, title)
