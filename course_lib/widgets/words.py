"""A widget for masked words: a word of a text is hidden, and networks guess it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets
from matplotlib.axes import Axes
from torch import Tensor, nn

from course_lib import plots
from course_lib.data.text import MASK, Vocabulary
from course_lib.models import predict_words
from course_lib.plots import Figure
from course_lib.widgets.controls import WIDE
from course_lib.widgets.view import View

Guesses = Mapping[str, Mapping[str, float]]
_PER_LINE = 11  # words of the text per line


def word_explorer(
    encoders: Mapping[str, nn.Module],
    ids: Tensor,
    vocabulary: Vocabulary,
    *,
    start: int = 0,
    title: str | None = "Which word is hidden?",
) -> View:
    """Choose a text and hide one of its words; see which words encoders expect in its place.

    Args:
        encoders: by name, as `models.predict_words` takes them; they are shown side by side.
        ids: int64 (N, T), word numbers of texts without padding.
        vocabulary: of the encoders.
        start: the place that is hidden at first.

    Raises:
        ValueError: no text, or no encoder.
    """

    def guess(text: int, place: int) -> Guesses:
        hidden = ids[text : text + 1].clone()
        hidden[0, place] = MASK
        found = {name: predict_words(encoder, hidden)[0, place].softmax(dim=0) for name, encoder in encoders.items()}
        return {name: dict(zip(vocabulary.words, chances.tolist())) for name, chances in found.items()}

    texts = [[vocabulary.words[number] for number in row] for row in ids.tolist()]
    return explorer_of_guesses(texts, guess, start=start, title=title)


def explorer_of_guesses(
    texts: Sequence[Sequence[str]],
    guess: Callable[[int, int], Guesses],
    *,
    start: int = 0,
    most: int = 6,
    title: str | None = None,
) -> View:
    """What `word_explorer` shows of any guesses.

    Args:
        texts: the words of each text.
        guess: `guess(text, place)`, both from 0, gives for each network by name the probabilities of some words.
            They are shown side by side.
        start: the place that is hidden at first.
        most: how many words are shown per network, the most probable ones.

    Raises:
        ValueError: no text, a text without words, or a network without guesses.
    """
    if not texts or not all(texts):
        raise ValueError("texts is empty or has a text without words; give at least one word per text.")

    rows = -(-max(map(len, texts)) // _PER_LINE)  # of the longest text, so that all pictures have one size

    def draw(text: int, place: int) -> Figure:
        place = min(place, len(texts[text]) - 1)
        guesses = guess(text, place)
        if not guesses or not all(guesses.values()):
            raise ValueError("guess returned no words; {network: {word: probability}} is expected.")
        best = {name: dict(sorted(words.items(), key=lambda item: -item[1])[:most]) for name, words in guesses.items()}
        true = {name: words.get(texts[text][place]) for name, words in guesses.items()}
        return _draw_words(texts[text], place, best, true, text, rows, most, title)

    longest = max(map(len, texts))
    controls = {
        "text": _slider("text", len(texts), 0),
        "place": _slider("hidden word", longest, min(start, longest - 1)),
    }
    return View(draw, controls, hint="Hide another word. Where does the context tell which word is missing?")


def _slider(name: str, count: int, value: int) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(
        value=value, min=0, max=count - 1, description=name, continuous_update=False, **WIDE
    )  # fmt: skip


@plots.styled
def _draw_words(
    words: Sequence[str],
    place: int,
    best: Guesses,
    true: Mapping[str, float | None],
    index: int,
    rows: int,
    most: int,
    title: str | None,
) -> Figure:
    shown = [f"[ {word} ]" if k == place else word for k, word in enumerate(words)]
    lines = [" ".join(shown[k : k + _PER_LINE]) for k in range(0, len(shown), _PER_LINE)]
    largest = max(value for guesses in best.values() for value in guesses.values())
    height = 0.26 * rows + 0.3 * most
    figure = plots.new_figure(9.0, height + 1.3 + 0.3 * bool(title))
    top, *panels = _axes(figure, rows, most, len(best))
    top.axis("off")
    top.text(0.0, 0.5, "\n".join(lines), va="center", ha="left", fontsize=11, transform=top.transAxes)
    color, parts = plots.method_style("masked_words").color, []
    for ax, (name, guesses) in zip(panels, best.items()):
        bars = range(len(guesses))
        faces = [color if word == words[place] else "white" for word in guesses]
        ax.barh(bars, list(guesses.values()), height=0.62, color=faces, edgecolor=color, linewidth=1.5)
        for row, value in zip(bars, guesses.values()):
            ax.text(value + 0.02 * largest, row, _percent(value), va="center")
        ax.set_yticks(bars, list(guesses))
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(most - 0.5, -0.5)
        ax.set_xlim(0, 1.2 * largest)
        ax.set_xticks([0, largest], ["0 %", _percent(largest)])
        of_true = true[name]
        chance = "not among its words" if of_true is None else f"hidden word: {_percent(of_true)}"
        ax.set_title(f"{name} ({chance})", fontsize=11)
        parts.append(f"{name}: {', '.join(f'{word} {_percent(value)}' for word, value in guesses.items())}; {chance}")
    words_of = f"text {index}, word {place} is hidden, {words[place]!r}. {'. '.join(parts)}."
    return plots.finished(figure, f"{title or 'Masked words'}: {words_of}", title=title)


def _percent(value: float) -> str:
    return f"{100 * value:.{0 if value >= 0.1 else 1 if value >= 0.001 else 2}f} %"


def _axes(figure: Figure, lines: int, most: int, panels: int) -> list[Axes]:
    grid = figure.add_gridspec(2, panels, height_ratios=[0.26 * lines + 0.1, 0.3 * most + 0.5])
    below = [figure.add_subplot(grid[1, k]) for k in range(panels)]
    return [figure.add_subplot(grid[0, :]), *below]
