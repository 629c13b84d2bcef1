"""The pictures of the course: one function a figure, plain arrays or tensors in, a Matplotlib figure out.

Every figure speaks for itself to a screen reader: it carries a sentence or two (`alt_text(figure)`) that say what a
person would see, and a notebook shows it with that text (`show`). A method has one color, marker and line in the whole
course (`method_style`): the color says how the network was pretrained, a dashed line with hollow markers that it was
frozen. No meaning hangs on color alone: markers, lines, hatches and names tell apart what the colors do. Every color
stands out on white by at least 3 : 1; those of the methods of units 00 and 01 are far apart for color-blind eyes too.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import html
import io
import math
import textwrap
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

P = ParamSpec("P")

# ------------------------------------------------------------------------------------------------- style


@dataclasses.dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn in every figure of the course."""

    label: str
    color: str
    marker: str | tuple[int, int, int]  # Matplotlib's, or (points, 1 for a star, angle)
    linestyle: str = "-"
    hollow: bool = False

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments for `Axes.plot`."""
        face = "white" if self.hollow else self.color
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.linestyle,
            "markerfacecolor": face,
            "markeredgecolor": self.color,
        }


METHOD_STYLE: dict[str, MethodStyle] = {
    "scratch": MethodStyle("From scratch", "#000000", "o"),
    "random": MethodStyle("Random weights", "#8C8C8C", "X"),
    "pca": MethodStyle("PCA", "#57330F", "d", ":"),
    "linear_autoencoder": MethodStyle("Linear autoencoder", "#946638", "<"),
    "autoencoder": MethodStyle("Autoencoder", "#0072B2", "s"),
    "denoising": MethodStyle("Denoising autoencoder", "#6600CC", "D"),
    "vae": MethodStyle("Variational autoencoder", "#D000A0", "^"),
    "gan": MethodStyle("GAN discriminator", "#7A6A00", "p"),
    "masked": MethodStyle("Masked reconstruction", "#0F3357", "h"),
    "rotation": MethodStyle("Rotation", "#D55E00", "v"),
    "contrastive": MethodStyle("Contrastive", "#117733", "P"),
    "consistency": MethodStyle("Stop-gradient pair", "#44885A", ">"),
    "transfer": MethodStyle("Supervised transfer", "#882255", "*"),
    "pseudo_label": MethodStyle("Pseudo-labels", "#94384F", "8"),
    "pseudo_label_continued": MethodStyle("Pseudo-labels, continued", "#0072B2", ">", "-."),
    "pseudo_label_all": MethodStyle("All pseudo-labels, no threshold", "#D55E00", "x", ":"),
    "fixmatch": MethodStyle("FixMatch", "#330066", (4, 1, 0)),
    "mean_teacher": MethodStyle("Mean teacher", "#0000E0", "1"),
    "augmented": MethodStyle("Labels alone, strong views", "#6B6B6B", "o", "--"),
    "rotation_fixmatch": MethodStyle("Rotation, then FixMatch", "#D55E00", "H", "--"),
    "student": MethodStyle("Student", "#000000", "|", ":"),
    "teacher": MethodStyle("Averaged teacher", "#0000E0", "1", "--"),
    "without_buffers": MethodStyle("Teacher without buffers", "#D55E00", "x", "-"),
    "distillation": MethodStyle("Distillation", "#B85C2E", "2"),
    "clustering": MethodStyle("Deep clustering", "#4F6F00", "3"),
    "full_labels": MethodStyle("All labels", "#555555", "_", "--"),
}
"""Method -> how it is drawn. A unit that adds a method adds a line here."""

# For names in no table: colors, and markers that are told apart without them.
_SPARE = (("#0072B2", "o"), ("#D55E00", "s"), ("#117733", "^"), ("#AA3377", "D"), ("#332288", "v"), ("#882255", "P"))
_USES = {"frozen": "frozen", "finetuned": "fine-tuned", "probe": "linear probe", "knn": "kNN"}

# Colors of classes: always together with the class's name or a marker of its own.
CLASS_COLORS = (
    "#0072B2", "#D55E00", "#000000", "#8C8C8C", "#6600CC", "#57330F", "#C8009A", "#946638", "#8A2846", "#0F3357",
)  # fmt: skip
CLASS_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

NORMAL, ANOMALY, ACCENT = "#0072B2", "#D55E00", "#882255"

_RC = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
    "axes.titlelocation": "left",
}
_STYLE: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")} | _RC


def method_style(method: str) -> MethodStyle:
    """The style of a method, everywhere the same.

    `name_frozen`, `name_probe` and `name_knn` take the color and marker of `name`, a dashed or dotted line and hollow
    markers; `name_finetuned` is drawn as `name`. A name that is in no table gets a style computed from the name, so
    that it too stays the same from figure to figure.

    >>> method_style("autoencoder_frozen").label
    'Autoencoder, frozen'
    """
    if method in METHOD_STYLE:
        return METHOD_STYLE[method]
    base, _, use = method.rpartition("_")
    if base and use in _USES:
        parent = method_style(base)
        label = f"{parent.label}, {_USES[use]}"
        if use == "finetuned":
            return dataclasses.replace(parent, label=label)
        return dataclasses.replace(parent, label=label, linestyle="--" if use == "frozen" else ":", hollow=True)
    color, marker = _SPARE[zlib.crc32(method.encode()) % len(_SPARE)]
    label = method.replace("_", " ")
    return MethodStyle(label[:1].upper() + label[1:], color, marker, "-.")


def _styles(methods: Sequence[str]) -> dict[str, MethodStyle]:
    """The styles of the lines of one figure: no two spare ones are alike, as long as there are enough of them."""
    styles: dict[str, MethodStyle] = {}
    for method in methods:
        style = method_style(method)
        taken = {(other.color, other.marker) for other in styles.values()}
        if (style.color, style.marker) in _SPARE and (style.color, style.marker) in taken:
            free = [pair for pair in _SPARE if pair not in taken]
            if free:
                style = dataclasses.replace(style, color=free[0][0], marker=free[0][1])
        styles[method] = style
    return styles


# ------------------------------------------------------------------------------------------------- figures that speak


class Figure(MatplotlibFigure):
    """A Matplotlib figure that shows itself in a notebook with its alt text, without pyplot's list of open figures."""

    alt_text: str = ""

    def _ipython_display_(self) -> None:
        show(self)


def alt_text(figure: MatplotlibFigure) -> str:
    """What the figure shows, in words: what a screen reader reads out."""
    return getattr(figure, "alt_text", "")


def png(figure: MatplotlibFigure, *, dpi: int = 100) -> bytes:
    """The figure as PNG, the same bytes for the same content; its alt text is in the file's description."""
    from PIL import Image, PngImagePlugin

    buffer = io.BytesIO()
    with _course_style():
        figure.savefig(buffer, format="png", dpi=dpi)
    # 256 colors are enough for these pictures and make the notebook a third of the size.
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
        figure: one of this module's, which bring their text along, or your own.
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


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draws with the course's fonts and lines, whatever the learner's own settings are, and leaves those alone."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _course_style():
            return function(*args, **kwargs)

    return draw


def _course_style() -> contextlib.AbstractContextManager[None]:
    return matplotlib.rc_context(_STYLE)


def new_figure(width: float, height: float, **options: Any) -> Figure:
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure


def finished(figure: Figure, automatic: str, alt: str | None) -> Figure:
    figure.alt_text = " ".join((alt if alt is not None else automatic).split())
    return figure


# ------------------------------------------------------------------------------------------------- what comes in


def _array(values: Any) -> NDArray[Any]:
    """A numpy array of a tensor (on any device, with or without gradient), an array or a list."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()
    return np.asarray(values)


def as_pictures(images: Any, what: str = "images") -> NDArray[np.float64]:
    """Images as float (N, H, W) or (N, H, W, 3) in [0, 1]; takes (N, C, H, W) or (N, H, W), uint8 or float."""
    array = _array(images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise ValueError(
            f"{what} has shape {tuple(np.shape(_array(images)))}; expected (N, 1 or 3, H, W) or (N, H, W)."
        )
    if len(array) == 0:
        raise ValueError(f"{what} is empty; give at least one image.")
    if array.dtype == np.uint8:
        array = array / 255.0
    array = np.clip(np.nan_to_num(array.astype(np.float64)), 0.0, 1.0)
    return array[:, 0] if array.shape[1] == 1 else array.transpose(0, 2, 3, 1)


def as_vector(values: Any, what: str) -> NDArray[np.float64]:
    array = _array(values).astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} has shape {tuple(array.shape)}; expected one number an image, shape (N,).")
    return array


def as_flags(values: Any, length: int, what: str = "is_positive") -> NDArray[np.bool_]:
    array = _array(values)
    if array.shape != (length,):
        raise ValueError(f"{what} has shape {tuple(array.shape)}; expected ({length},), one for each score.")
    return array.astype(bool)


def _wrapped(lines: Sequence[Any] | None, width: int) -> list[str]:
    return [textwrap.fill(str(line), max(width, 8)) for line in lines or ()]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


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


def draw_picture(ax: Axes, picture: NDArray[np.float64], **options: Any) -> Any:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, color="#BBBBBB", linewidth=0.8)
    if picture.ndim == 2:
        options = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0, **options}
    return ax.imshow(picture, interpolation="nearest", **options)


# ------------------------------------------------------------------------------------------------- images


@styled
def image_grid(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Images in rows.

    Args:
        images: (N, C, H, W) or (N, H, W), uint8 or float in [0, 1].
        titles: a line above each image.
        captions: a line below each image.
        columns: images in a row (default: at most 8).
        title: the line above all.
        alt: the text for screen readers; by default it counts the images and reads out the titles.

    Raises:
        ValueError: not images, or not as many titles or captions as images.
    """
    pictures = as_pictures(images)
    for name, lines in (("titles", titles), ("captions", captions)):
        if lines is not None and len(lines) != len(pictures):
            raise ValueError(f"{name} has {len(lines)} entries for {len(pictures)} images; give one for each.")
    columns = columns or min(len(pictures), 8)
    rows = math.ceil(len(pictures) / columns)
    widest = max((len(str(line)) for lines in (titles, captions) if lines for line in lines), default=0)
    cell = min(max(1.1 if columns > 1 else 2.0, 0.09 * widest), 9.0 / columns)
    above, below = (_wrapped(lines, int(cell / 0.09)) for lines in (titles, captions))
    extra = sum(0.18 * max(line.count("\n") + 1 for line in lines) + 0.1 for lines in (above, below) if lines)
    figure = new_figure(columns * cell + 0.1, rows * (cell + extra) + 0.4 * bool(title) + 0.1)
    figure.set_layout_engine("compressed")  # the square images give back the room that they leave
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for index, ax in enumerate(axes):
        if index >= len(pictures):
            ax.set_visible(False)
            continue
        draw_picture(ax, pictures[index])
        if above:
            ax.set_title(above[index], fontsize=10, loc="center")
        if below:
            ax.set_xlabel(below[index], fontsize=10)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    parts = [f"{title or 'Image grid'}: {_count(len(pictures), 'image')} in {_count(rows, 'row')}."]
    for lines in (titles, captions):
        if lines:
            parts.append("; ".join(str(line) for line in lines) + ".")
    return finished(figure, " ".join(parts), alt)


@styled
def class_examples(
    images: Any,
    labels: Any,
    class_names: Sequence[str],
    *,
    per_class: int = 8,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """The first images of each class, a row for each class, its name beside it.

    Args:
        images: (N, C, H, W) or (N, H, W), uint8 or float in [0, 1].
        labels: (N,) integers, indices into class_names.
        class_names: as many as there are classes.
        per_class: images in a row; a class that has fewer leaves its row short.

    Raises:
        ValueError: shapes that do not fit, or a label without a name.
    """
    pictures, targets = as_pictures(images), _array(labels).astype(int)
    if targets.shape != (len(pictures),):
        raise ValueError(f"labels has shape {targets.shape}; expected ({len(pictures)},), one for each image.")
    if targets.min() < 0 or targets.max() >= len(class_names):
        raise ValueError(
            f"labels go from {targets.min()} to {targets.max()}, but there are {len(class_names)} class names."
        )
    # Two classes side by side when there are many, so that the figure fits on a screen.
    blocks = 2 if len(class_names) > 5 else 1
    rows = math.ceil(len(class_names) / blocks)
    longest = max(map(len, class_names))
    widths = ([0.3 + 0.17 * longest] + [1.0] * per_class) * blocks
    figure = new_figure(min(0.62 * sum(widths), 11.0), rows * 0.66 + 0.4 * bool(title) + 0.1)
    axes = figure.subplots(rows, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
    for ax in axes.flat:
        ax.set_axis_off()
    for index, name in enumerate(class_names):
        row, first = index % rows, (index // rows) * (per_class + 1)
        axes[row, first].text(1.0, 0.5, name, ha="right", va="center", transform=axes[row, first].transAxes)
        for column, which in enumerate(np.flatnonzero(targets == index)[:per_class], first + 1):
            axes[row, column].set_axis_on()
            draw_picture(axes[row, column], pictures[which])
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    automatic = f"{title or 'Examples'}: up to {per_class} images of each class: {', '.join(class_names)}."
    return finished(figure, automatic, alt)


@styled
def reconstructions(
    inputs: Any,
    outputs: Any,
    *,
    clean: Any | None = None,
    count: int = 8,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """What went into an autoencoder, what came out, and where they differ.

    Args:
        inputs: (N, C, H, W), what the network saw.
        outputs: the same shape, what it drew.
        clean: the same shape, for a denoising autoencoder: the images before they were corrupted. They get a row of
            their own, and the error is measured against them.
        count: at most so many columns.
        captions: a line below each column (default: the mean squared error).

    Raises:
        ValueError: shapes that differ.
    """
    rows = {"input": as_pictures(inputs, "inputs"), "output": as_pictures(outputs, "outputs")}
    if clean is not None:
        rows = {"clean": as_pictures(clean, "clean"), "corrupted": rows["input"], "output": rows["output"]}
    shapes = {name: pictures.shape for name, pictures in rows.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The images must have one shape; got {', '.join(f'{k} {v}' for k, v in shapes.items())}.")
    target = rows["clean" if clean is not None else "input"]
    difference = np.abs(rows["output"] - target)
    if difference.ndim == 4:
        difference = difference.mean(axis=-1)
    squared = ((rows["output"] - target) ** 2).reshape(len(target), -1).mean(axis=1)
    columns = min(count, len(target))
    lines = captions if captions is not None else [f"{value:.2g}" for value in squared[:columns]]
    if len(lines) < columns:
        raise ValueError(f"captions has {len(lines)} entries for {columns} columns; give one for each.")
    figure = new_figure(columns * 0.95 + 1.6, (len(rows) + 1) * 0.98 + 0.3 + 0.35 * bool(title))
    axes = figure.subplots(len(rows) + 1, columns, squeeze=False)
    for axes_row, (name, pictures) in zip(axes, rows.items()):
        for ax, picture in zip(axes_row, pictures):
            draw_picture(ax, picture)
        axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    top = float(difference[:columns].max()) or 1.0
    mesh: Any = None
    for ax, picture, line in zip(axes[-1], difference, lines):
        mesh = draw_picture(ax, picture, cmap="viridis", vmin=0.0, vmax=top)
        ax.set_xlabel(str(line), fontsize=10)
    label = "error" if captions is not None else "error\n(below:\nmean sq.)"
    axes[-1, 0].set_ylabel(label, rotation=0, ha="right", va="center")
    bar = figure.colorbar(mesh, ax=list(axes[-1]), fraction=0.05, pad=0.01)
    bar.ax.tick_params(labelsize=9)
    bar.set_label("|error|", fontsize=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    automatic = (
        f"{title or 'Reconstructions'}: {_count(columns, 'image')}; rows: {', '.join(rows)}, absolute error per pixel. "
        f"Mean squared error per image from {squared[:columns].min():.2g} to {squared[:columns].max():.2g}."
    )
    return finished(figure, automatic, alt)


@styled
def nearest_neighbours(
    queries: Any,
    neighbours: Any,
    *,
    query_labels: Any | None = None,
    neighbour_labels: Any | None = None,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Images, and the images whose features lie nearest to theirs, nearest first.

    With labels, a neighbor of another class has a thick frame and its class's name in brackets.

    Args:
        queries: (Q, C, H, W).
        neighbours: (Q, K, C, H, W).
        query_labels, neighbour_labels: (Q,) and (Q, K) integers, both or none.
        class_names: written instead of the numbers.

    Raises:
        ValueError: shapes that do not fit.
    """
    pictures = as_pictures(queries, "queries")
    array = _array(neighbours)
    if array.ndim != 5 or len(array) != len(pictures):
        raise ValueError(f"neighbours has shape {array.shape}; expected ({len(pictures)}, K, C, H, W).")
    near = np.stack([as_pictures(row, "neighbours") for row in array])
    if (query_labels is None) != (neighbour_labels is None):
        raise ValueError("Give query_labels and neighbour_labels, or neither.")
    count = near.shape[1]
    labeled = query_labels is not None
    own = _array(query_labels).astype(int) if labeled else np.zeros(len(pictures), int)
    theirs = _array(neighbour_labels).astype(int) if labeled else np.zeros(near.shape[:2], int)
    if own.shape != (len(pictures),) or theirs.shape != near.shape[:2]:
        raise ValueError(
            f"labels have shapes {own.shape}, {theirs.shape}; expected ({len(pictures)},), {near.shape[:2]}."
        )

    numbers = range(1 + max(int(own.max()), int(theirs.max())))
    names = _wrapped(class_names if class_names is not None else list(numbers), 12)
    if labeled and (own.min() < 0 or theirs.min() < 0 or len(names) < len(numbers)):
        raise ValueError(f"A label lies outside the {len(names)} class names.")
    lines = max(name.count("\n") + 1 for name in names)
    height = 1.05 + 0.19 * lines * labeled
    figure = new_figure((count + 1.25) * 1.05, len(pictures) * height + 0.35 + 0.35 * bool(title))
    widths = [1.0, 0.25] + [1.0] * count
    axes = figure.subplots(len(pictures), count + 2, squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, axes_row in enumerate(axes):
        draw_picture(axes_row[0], pictures[row])
        axes_row[1].set_axis_off()
        for column in range(count):
            ax = axes_row[column + 2]
            draw_picture(ax, near[row, column])
            if labeled:
                wrong = own[row] != theirs[row, column]
                label = names[theirs[row, column]]
                ax.set_xlabel(f"[{label}]" if wrong else label, fontsize=9)
                if wrong:
                    for spine in ax.spines.values():
                        spine.set(color=ANOMALY, linewidth=2.5)
        if labeled:
            axes_row[0].set_xlabel(names[own[row]], fontsize=9)
    axes[0, 0].set_title("image", fontsize=10, loc="center")
    axes[0, 2].set_title("nearest", fontsize=10, loc="center")
    if count > 1:
        axes[0, -1].set_title(f"{count}th" if count > 3 else ("2nd", "3rd")[count - 2], fontsize=10, loc="center")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    automatic = f"{title or 'Nearest neighbors'}: {_count(len(pictures), 'image')} and the {count} nearest to each."
    if labeled:
        same = int((own[:, None] == theirs).sum())
        automatic += f" {same} of {theirs.size} neighbors are of the same class; the others have a thick frame."
    return finished(figure, automatic, alt)


# ------------------------------------------------------------------------------------------------- training


def _smooth(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean over the last `window` steps (fewer at the start)."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)


@styled
def learning_curve(
    history: Any,
    *,
    validation: Sequence[tuple[float, float]] | None = None,
    total_steps: int | None = None,
    y_label: str = "loss",
    validation_label: str = "validation",
    baseline: float | None = None,
    baseline_label: str = "baseline",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """The loss of a training run, step by step, with its running mean; validation in a panel of its own.

    Args:
        history: what `fit` returns, or a sequence of losses.
        validation: (step, value) pairs; by default those of the history.
        total_steps: the length of the x axis, when the run is not over.
        y_label: what the loss is, with its unit if it has one ("loss (nats)").
        validation_label: what the validation value is.
        baseline: a horizontal line in the loss panel.

    Raises:
        ValueError: no losses that can be drawn.
    """
    losses = as_vector(getattr(history, "loss", history), "losses") if len(getattr(history, "loss", history)) else None
    if losses is None:
        raise ValueError("The history has no losses yet; train at least one step.")
    points = list(validation if validation is not None else getattr(history, "validation", []) or [])
    figure = new_figure(8.0 if points else 6.0, 3.2)
    axes = figure.subplots(1, 2 if points else 1, squeeze=False)[0]
    ax = axes[0]
    steps = np.arange(1, len(losses) + 1)
    window = max(len(losses) // 25, 1)
    smooth = _smooth(losses, window)
    if window == 1:
        ax.plot(steps, losses, color="#0072B2", marker="o", markersize=4, label="each step")
    else:
        ax.plot(steps, losses, color="#9A9A9A", linewidth=0.8, label="each step")
        ax.plot(steps, smooth, color="#0072B2", label=f"mean of {window} steps")
    if baseline is not None:
        ax.axhline(baseline, color=ACCENT, linestyle="--", linewidth=1.4, label=baseline_label)
    ax.set(xlabel="step", ylabel=y_label)
    ax.set_xlim(0, max(total_steps or 0, len(losses), 2))
    finite = losses[np.isfinite(losses)]
    if window > 1 and len(finite) > 20:
        # The first steps are often far off; the rest is what one looks at.
        low, high = float(finite.min()), float(np.percentile(finite, 99))
        low, high = min(low, baseline or low), max(high, baseline or high)
        if high > low:
            ax.set_ylim(low - 0.05 * (high - low), high + 0.08 * (high - low))
    if len(ax.lines) > 1:
        ax.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")  # a baseline may run behind it
    ax.grid(axis="y")
    parts = [
        f"{title or 'Training'}: {y_label} from {smooth[0]:.3g} at step 1 to {smooth[-1]:.3g} at step {len(losses)}."
    ]
    if points:
        at, values = zip(*points)
        panel = axes[1]
        panel.plot(at, values, color="#117733", marker="o", markersize=4)
        panel.set(xlabel="step", ylabel=validation_label)
        panel.set_xlim(0, max(total_steps or 0, len(losses), 2))
        panel.grid(axis="y")
        best = getattr(history, "best_step", None)
        if best is not None and best in at:
            panel.axvline(best, color="#117733", linestyle=":", linewidth=1.2)
            panel.set_title(f"best at step {best}", fontsize=10)
        parts.append(f"{validation_label} from {values[0]:.3g} to {values[-1]:.3g}.")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finished(figure, " ".join(parts), alt)


class LiveCurve:
    """A training curve that is redrawn while the run goes on, and stays in the notebook as it was at the end.

    Call it as `fit`'s callback, `fit(..., on_step=live_curve())`, or with a number, `curve(loss)`, in a loop of your
    own. The last state is drawn when the notebook cell ends; elsewhere by `finish()` or at the end of a `with` block.
    """

    def __init__(self, *, seconds: float, options: dict[str, Any]) -> None:
        self.seconds = seconds
        self.options = options
        self.figure: Figure | None = None
        self.redraws = 0
        self._history: Any = None
        self._losses: list[float] = []
        self._handle: Any = None
        self._next = -math.inf
        self._shell: Any = None
        self._watch_the_cell()

    def __call__(self, model_or_loss: Any, history: Any | None = None) -> None:
        """One step: (model, history), as `fit` calls it, or a loss."""
        if history is not None:
            self._history = history
        else:
            self._losses.append(float(model_or_loss))
            self._history = self._losses
        if time.monotonic() >= self._next:
            began = time.monotonic()
            self._redraw()
            spent = time.monotonic() - began
            # On a slow machine a drawing takes long: it may have a tenth of the time, the training has the rest.
            self._next = began + max(self.seconds, 10 * spent)

    def finish(self) -> None:
        """Draws the last state."""
        self._redraw()
        if self._shell is not None:
            shell, self._shell = self._shell, None
            shell.events.unregister("post_run_cell", self._cell_ended)

    def __enter__(self) -> LiveCurve:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def _watch_the_cell(self) -> None:
        try:
            from IPython import get_ipython
        except ImportError:
            return
        self._shell = get_ipython()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._cell_ended)

    def _cell_ended(self, *_: object) -> None:
        if self._history is not None:
            self.finish()

    def _redraw(self) -> None:
        losses = getattr(self._history, "loss", self._history)
        if losses is None or len(losses) == 0:
            return
        self.figure = learning_curve(self._history, **self.options)
        self.redraws += 1
        if not _in_notebook():
            return
        if self._handle is None:
            self._handle = show(self.figure, display_id=True)
        else:
            data, metadata = mime_bundle(self.figure)
            self._handle.update(data, metadata=metadata, raw=True)


def live_curve(
    total_steps: int | None = None,
    *,
    seconds: float = 1.0,
    y_label: str = "loss",
    validation_label: str = "validation",
    baseline: float | None = None,
    baseline_label: str = "baseline",
    title: str | None = None,
) -> LiveCurve:
    """A `LiveCurve`: `fit(model, batches, steps=600, on_step=live_curve(600))`.

    Args:
        total_steps: how long the run will be, so that the x axis stands still.
        seconds: at least so long between two drawings.
        y_label, validation_label, baseline, baseline_label, title: as for `learning_curve`.
    """
    options = {"total_steps": total_steps, "y_label": y_label, "validation_label": validation_label, "title": title}
    return LiveCurve(seconds=seconds, options=options | {"baseline": baseline, "baseline_label": baseline_label})


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")


# ------------------------------------------------------------------------------------------------- comparing methods


def _points(curve: Any, method: str) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """x, and at each x the values of the seeds: of a `records.Curve` or of {x: values}."""
    pairs = zip(curve.x, curve.values) if hasattr(curve, "x") else sorted(curve.items())
    x, values = [], []
    for position, seeds in pairs:
        x.append(float(position))
        values.append(np.atleast_1d(_array(seeds)).astype(np.float64))
    if not x:
        raise ValueError(f"The curve of {method!r} has no points.")
    return np.array(x), values


def _in_percent(axis: Any) -> None:
    """Ticks in percent, with the digits that they need: 82.5 % is not 82 %."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))


@styled
def label_curve(
    curves: Mapping[str, Any],
    *,
    x_label: str = "labels a class",
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
    points = {method: _points(curve, method) for method, curve in curves.items()}
    budgets = sorted({x for xs, _ in points.values() for x in xs})
    styles = _styles(list(curves))
    wide = max(len(style.label) for style in styles.values())
    figure = new_figure(6.0 + 0.085 * wide + 0.5, max(3.8, 0.32 * len(curves) + 1.0))
    ax = figure.subplots()
    spread = 0.035 if len(points) > 1 else 0.0  # dots of several methods at one budget stand side by side
    counts = sorted({len(v) for _, values in points.values() for v in values})
    parts = []
    for index, (method, (x, values)) in enumerate(points.items()):
        style = styles[method]
        means = np.array([v.mean() for v in values])
        stds = np.array([v.std(ddof=1) if len(v) > 1 else 0.0 for v in values])
        ax.plot(x, means, **style.line, label=style.label, zorder=3)
        ax.fill_between(x, means - stds, means + stds, color=style.color, alpha=0.12, linewidth=0)
        shift = 1.0 + spread * (index - (len(points) - 1) / 2)
        dots_x = np.concatenate([np.full(len(v), position * shift) for position, v in zip(x, values)])
        ax.scatter(
            dots_x, np.concatenate(values), s=12, facecolor="none", edgecolor=style.color, linewidth=0.8, zorder=2
        )
        figures = [f"{100 * m:.0f} %" if percent else f"{m:.3g}" for m in means]
        if len(x) > 1:
            parts.append(f"{style.label}: {figures[0]} at {x[0]:g}, {figures[-1]} at {x[-1]:g}.")
        else:
            parts.append(f"{style.label}: {figures[0]} at {x[0]:g}.")
    if len(budgets) > 1 and budgets[0] > 0:
        ax.set_xscale("log")
        ax.set_xlim(budgets[0] / 1.25, budgets[-1] * 1.25)
    ax.xaxis.set_major_locator(FixedLocator(budgets))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(budgets, [f"{x:g}" for x in budgets])
    if percent:
        _in_percent(ax.yaxis)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.grid(axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), borderaxespad=0, handlelength=3.0)
    if title:
        ax.set_title(title)
    seeds = _count(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    # Beside the axes, under the legend, where no line runs.
    ax.text(1.02, 0.0, f"mean of {seeds}", transform=ax.transAxes, ha="left", va="bottom", fontsize=9, color="#555555")
    automatic = f"{title or 'Line chart'}: {y_label} against {x_label}, mean of {seeds}. {' '.join(parts)}"
    return finished(figure, automatic, alt)


@styled
def bar_with_seeds(
    values: Mapping[str, Any],
    *,
    x_label: str = "test accuracy",
    percent: bool = True,
    baseline: float | None = None,
    baseline_label: str = "chance",
    labels: Mapping[str, str] | None = None,
    styled_as: str | None = None,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """A horizontal bar for each method: its mean, written beside it, and every seed as a dot.

    Args:
        values: method -> values of the seeds (or a `records.Figure`).
        x_label: what is measured, with its unit.
        percent: write the axis in percent.
        baseline: a dashed line to compare with.
        labels: names to write instead of the methods' own.
        styled_as: draw all bars in this method's style: the bars are then something else than methods.

    Raises:
        ValueError: nothing to draw.
    """
    if not values:
        raise ValueError("values is empty; give at least one method.")
    seeds = {method: np.atleast_1d(_array(getattr(found, "values", found))) for method, found in values.items()}
    for method, found in seeds.items():
        if found.ndim != 1 or not found.size:
            raise ValueError(f"The values of {method!r} have shape {found.shape}; expected one number a seed.")
    figure = new_figure(7.0, 0.5 * len(seeds) + 1.0 + 0.3 * bool(title) + 0.3 * (baseline is not None))
    ax = figure.subplots()
    parts = []
    largest = max(float(v.max()) for v in seeds.values())
    for row, (method, found) in enumerate(seeds.items()):
        style, mean = method_style(styled_as or method), float(found.mean())
        name = (labels or {}).get(method, method if styled_as else style.label)
        face, hatch = ("white", "///") if style.hollow else (style.color, None)
        ax.barh(row, mean, height=0.62, color=face, edgecolor=style.color, linewidth=1.5, hatch=hatch, label=name)
        offsets = np.linspace(-0.16, 0.16, len(found)) if len(found) > 1 else np.zeros(1)
        ax.scatter(found, row + offsets, s=26, color="white", edgecolor="black", linewidth=0.9, zorder=3)
        text = f"{100 * mean:.0f} %" if percent else f"{mean:.2f}" if abs(mean) < 10 else f"{mean:.3g}"
        ax.text(max(mean, float(found.max())) + 0.02 * largest, row, text, va="center", ha="left")
        parts.append(f"{name} {text}.")
    ax.set_yticks(range(len(seeds)), [(labels or {}).get(m, m if styled_as else method_style(m).label) for m in seeds])
    ax.invert_yaxis()
    ax.set_xlim(min(0.0, *(float(v.min()) for v in seeds.values())), largest * 1.14 if largest > 0 else None)
    if percent:
        _in_percent(ax.xaxis)
    ax.set_xlabel(f"{x_label}; a dot for each seed" if max(map(len, seeds.values())) > 1 else x_label)
    ax.tick_params(axis="y", length=0)
    if baseline is not None:
        halo = [patheffects.withStroke(linewidth=3.5, foreground="white")]  # the line crosses dark bars
        ax.axvline(baseline, color="#333333", linestyle="--", linewidth=1.4, path_effects=halo, label=baseline_label)
        place = ax.get_xaxis_transform()
        ax.text(baseline, 1.01, baseline_label, transform=place, ha="center", va="bottom", fontsize=9, color="#333333")
        parts.append(f"{baseline_label} {100 * baseline:.0f} %." if percent else f"{baseline_label} {baseline:.3g}.")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    automatic = (
        f"{title or 'Bar chart'}: {x_label}, mean of {_count(min(map(len, seeds.values())), 'seed')}. {' '.join(parts)}"
    )
    return finished(figure, automatic, alt)


# ------------------------------------------------------------------------------------------------- looking inside


@styled
def latent_map(
    codes: Any,
    labels: Any,
    class_names: Sequence[str],
    *,
    axis_names: tuple[str, str] = ("first component", "second component"),
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Codes of images as points in the plane, a color and a marker for each class, its name at its middle.

    Args:
        codes: (N, 2). Reduce longer codes first, by PCA for example.
        labels: (N,) integers, indices into class_names.
        class_names: as many as there are classes.
        axis_names: what the two numbers are.

    Raises:
        ValueError: codes that are not two numbers an image, or labels that do not fit.
    """
    points, targets = _array(codes).astype(np.float64), _array(labels).astype(int)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"codes has shape {points.shape}; expected (N, 2). Reduce longer codes first, e.g. by PCA.")
    if targets.shape != (len(points),) or targets.min() < 0 or targets.max() >= len(class_names):
        raise ValueError(
            f"labels has shape {targets.shape}; expected ({len(points)},), indices of {len(class_names)} class names."
        )
    figure = new_figure(7.6, 5.0)
    ax = figure.subplots()
    outline = [patheffects.withStroke(linewidth=3, foreground="white")]
    present = np.unique(targets)
    for index in present:
        own = points[targets == index]
        color = CLASS_COLORS[index % len(CLASS_COLORS)]
        marker = CLASS_MARKERS[(index + index // len(CLASS_COLORS)) % len(CLASS_MARKERS)]
        ax.scatter(
            own[:, 0], own[:, 1], s=14, color=color, marker=marker, alpha=0.6, linewidth=0, label=class_names[index]
        )
    for index, (x, y) in zip(present, _apart(points, targets, present)):
        color = CLASS_COLORS[index % len(CLASS_COLORS)]
        ax.text(
            x,
            y,
            class_names[index],
            color=color,
            weight="bold",
            ha="center",
            va="center",
            path_effects=outline,
            zorder=4,
        )
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), markerscale=1.8, borderaxespad=0)
    if title:
        ax.set_title(title)
    automatic = (
        f"{title or 'Map of codes'}: {len(points)} images as points, {axis_names[0]} against {axis_names[1]}, "
        f"{len(present)} classes: {', '.join(class_names[i] for i in present)}."
    )
    return finished(figure, automatic, alt)


def _apart(points: NDArray[np.float64], targets: NDArray[np.int_], present: Iterable[int]) -> NDArray[np.float64]:
    """Places for the names of the classes: their medians, moved apart vertically where two names would overlap."""
    places = np.array([np.median(points[targets == index], axis=0) for index in present])
    width, height = np.maximum(np.ptp(points, axis=0), 1e-9) * (0.14, 0.055)
    for _ in range(50):
        moved = False
        for i in range(len(places)):
            for j in range(i):
                dx, dy = places[i] - places[j]
                if abs(dx) < width and abs(dy) < height:
                    push = (height - abs(dy)) / 2 * (1 if dy >= 0 else -1)
                    places[i, 1] += push
                    places[j, 1] -= push
                    moved = True
        if not moved:
            break
    return places


@styled
def latent_costs(
    costs: Mapping[str, Any],
    *,
    in_use: float = 0.05,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """What each latent of a VAE costs, a panel for each model, its dearest latent first.

    Args:
        costs: name of a model -> (d,) mean KL of each latent, in nats.
        in_use: a latent that costs less is not in use, and its bar is hollow.

    Raises:
        ValueError: no model, or costs that are not one number a latent.
    """
    if not costs:
        raise ValueError("costs is empty; give at least one model.")
    found = {name: np.sort(as_vector(values, f"costs of {name!r}"))[::-1] for name, values in costs.items()}
    top = max(max(float(values.max()) for values in found.values()), 4 * in_use)
    color = METHOD_STYLE["vae"].color
    figure = new_figure(2.3 * len(found) + 0.9, 2.6 + 0.35 * bool(title))
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    parts = []
    for ax, (name, values) in zip(axes, found.items()):
        places, used = np.arange(1, len(values) + 1), values >= in_use
        ax.bar(places[used], values[used], color=color, edgecolor=color)
        ax.bar(places[~used], np.maximum(values[~used], 0.012 * top), color="white", edgecolor=color, linewidth=1.2)
        ax.set_ylim(0, 1.08 * top)
        ax.set_xticks([1, len(values)] if len(values) > 1 else [1])
        ax.set_xlabel("latent, dearest first")
        says = f"{used.sum()} of {len(values)} in use, {values.sum():.1f} nats"
        ax.set_title(f"{textwrap.fill(name, 24)}\n{says}", fontsize=10)
        parts.append(f"{name}: {says}, the dearest {values[0]:.2g}.")
    axes[0].set_ylabel("KL (nats an image)")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finished(figure, f"{title or 'Cost of each latent'}: bars in nats. {' '.join(parts)}", alt)


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
    """A table of numbers between 0 and 1, each in a field that is the darker the larger it is.

    Args:
        shares: (rows, columns), for example how much of each factor is known from each latent.
        row_names, column_names: as many as there are rows and columns.
        x_label, y_label: what columns and rows are.

    Raises:
        ValueError: not a table, or not as many names as rows and columns.
    """
    table = _array(shares).astype(np.float64)
    if table.shape != (len(row_names), len(column_names)) or table.size == 0:
        raise ValueError(
            f"shares has shape {table.shape}; expected ({len(row_names)}, {len(column_names)}), as many as names."
        )
    rows, columns = table.shape
    longest, deepest = (max(map(len, names)) for names in (row_names, column_names))
    figure = new_figure(0.62 * columns + 0.09 * longest + 0.8, 0.36 * rows + 0.07 * deepest + 0.8 + 0.35 * bool(title))
    ax = figure.subplots()
    blues = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.0, 0.95, 256)))
    mesh = ax.imshow(np.clip(table, 0, 1), cmap=blues, vmin=0.0, vmax=1.0, aspect="auto")
    for row in range(rows):
        for column in range(columns):
            value = table[row, column]
            color = ink_on(mesh, value)
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=9)
    ax.set_xticks(range(columns), column_names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(rows), row_names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=x_label, ylabel=y_label)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    best = [
        f"{column_names[c]} {table[:, c].max():.2f} in {row_names[int(table[:, c].argmax())]}" for c in range(columns)
    ]
    return finished(figure, f"{title or 'Table'}: the largest of each column: {', '.join(best)}.", alt)


@styled
def confusion_matrix(
    matrix: Any,
    class_names: Sequence[str],
    *,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """How often each class (row) was taken for each (column).

    The number in a cell counts images; its shade is its share of the row.

    Args:
        matrix: (K, K) counts, rows the true class, columns the prediction (`evaluation.confusion`).
        class_names: K names.

    Raises:
        ValueError: not a square matrix with a name for each class.
    """
    counts = _array(matrix).astype(np.float64)
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
    blues = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.0, 0.95, 256)))
    mesh = ax.imshow(shares, cmap=blues, vmin=0.0, vmax=1.0)
    for row in range(k):
        for column in range(k):
            if counts[row, column]:
                color = ink_on(mesh, shares[row, column])
                weight = "bold" if row == column else "normal"
                text = f"{counts[row, column]:g}"
                ax.text(column, row, text, ha="center", va="center", color=color, fontsize=9, weight=weight)
    ax.set_xticks(range(k), class_names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(k), class_names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#E5E5E5", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    bar = figure.colorbar(mesh, ax=ax, fraction=0.046, pad=0.03, format=PercentFormatter(1.0, decimals=0))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)  # type: ignore[operator]
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    right = np.trace(counts) / max(counts.sum(), 1.0)
    off = counts - np.diag(np.diag(counts))
    row, column = divmod(int(off.argmax()), k)
    automatic = f"{title or 'Confusion matrix'}: {100 * right:.0f} % of {counts.sum():g} images on the diagonal."
    if off.max() > 0:
        automatic += f" Most frequent mistake: {class_names[row]} taken for {class_names[column]}, {off.max():g} times."
    return finished(figure, automatic, alt)


# ------------------------------------------------------------------------------------------------- scores


def draw_histogram(
    ax: Axes,
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    threshold: float | None,
    names: tuple[str, str],
    x_label: str,
) -> None:
    low, high = float(scores.min()), float(scores.max())
    bins = np.linspace(low, high if high > low else low + 1.0, 31).tolist()
    kinds = ((~positive, names[0], NORMAL, None), (positive, names[1], ANOMALY, "////"))
    for which, name, color, hatch in kinds:
        if which.any():
            weights = np.full(int(which.sum()), 1.0 / which.sum())
            ax.hist(scores[which], bins=bins, weights=weights, color=color, alpha=0.25)
            ax.hist(
                scores[which], bins=bins, weights=weights, histtype="step", color=color, hatch=hatch, linewidth=1.5,
                linestyle="-" if hatch is None else "--", label=f"{name} ({which.sum()})",
            )  # fmt: skip
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1.8, label=f"threshold {threshold:.3g}")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel=x_label, ylabel="share of images")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6, columnspacing=1.2
    )


@styled
def histogram_of_scores(
    scores: Any,
    is_positive: Any,
    *,
    threshold: float | None = None,
    names: tuple[str, str] = ("normal", "anomaly"),
    x_label: str = "anomaly score",
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """How the scores of normal images and of anomalies are spread, and where a threshold cuts them.

    Args:
        scores: (N,) floats, high for an anomaly.
        is_positive: (N,) booleans, true for an anomaly.
        threshold: images that score at least this are called anomalies.
        names: of the two kinds.
        x_label: what the score is, with its unit if it has one.

    Raises:
        ValueError: shapes that do not fit.
    """
    values = as_vector(scores, "scores")
    positive = as_flags(is_positive, len(values))
    figure = new_figure(6.6, 3.4 + 0.3 * bool(title))
    ax = figure.subplots()
    draw_histogram(ax, values, positive, threshold, names, x_label)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    parts = [f"{title or 'Histogram'}: {x_label}."]
    for which, name in ((~positive, names[0]), (positive, names[1])):
        if which.any():
            parts.append(f"{which.sum()} {name}, median {np.median(values[which]):.3g}.")
    if threshold is not None:
        above = values >= threshold
        parts.append(
            f"At or above the threshold {threshold:.3g} lie {(positive & above).sum()} of {positive.sum()} {names[1]} "
            f"and {(~positive & above).sum()} of {(~positive).sum()} {names[0]}."
        )
    return finished(figure, " ".join(parts), alt)


@styled
def roc_curve(
    scores: Mapping[str, Any] | Any,
    is_positive: Any,
    *,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """Share of anomalies found against share of false alarms over all thresholds, a line and an AUROC for each method.

    Args:
        scores: method -> (N,) scores, high for an anomaly; or the scores of one method.
        is_positive: (N,) booleans, true for an anomaly.

    Raises:
        ValueError: shapes that do not fit, or only one kind of image.
    """
    from sklearn import metrics

    methods = dict(scores) if isinstance(scores, Mapping) else {"score": scores}
    figure = new_figure(5.4, 4.6 + 0.3 * bool(title))
    ax = figure.subplots()
    parts = []
    for method, values in methods.items():
        values = as_vector(values, f"scores of {method!r}")
        positive = as_flags(is_positive, len(values))
        if positive.all() or not positive.any():
            raise ValueError("is_positive holds one kind of image only; a ROC curve needs anomalies and normal images.")
        false_alarms, found, _ = metrics.roc_curve(positive, values)
        area = metrics.roc_auc_score(positive, values)
        style = method_style(method)
        label = f"{style.label}: AUROC {area:.2f}"
        ax.plot(false_alarms, found, **style.line, markevery=[], label=label)  # its marker stands in the legend only
        every = np.linspace(
            0.1, 0.9, 5
        )  # markers at the same places on every line, so that lines are told apart in gray
        face = "white" if style.hollow else style.color
        ax.plot(every, np.interp(every, false_alarms, found), linestyle="none", marker=style.marker, color=style.color,
                markerfacecolor=face, markersize=6)  # fmt: skip
        parts.append(f"{style.label}: area under the curve {area:.2f}.")
    ax.plot([0, 1], [0, 1], color="#777777", linestyle=(0, (1, 2)), linewidth=1.3, label="chance: 0.50")
    ax.set(
        xlabel="false alarms (share of normal images)",
        ylabel="anomalies found (share)",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
    )
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.set_major_locator(MaxNLocator(5))
    ax.legend(loc="lower right")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finished(figure, f"{title or 'ROC curve'}: anomalies found against false alarms. {' '.join(parts)}", alt)


@styled
def reliability_diagram(
    groups: Mapping[str, tuple[Any, Any]],
    *,
    num_bins: int = 10,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """How often a network is right at each confidence, a panel for each group of images; on the line it is calibrated.

    A bar is the share of right answers in a bin, a hatched part the gap to the mean confidence there (Guo et al. 2017).
    Bins without images stay empty; a small number says how many images a bin has.

    Args:
        groups: name -> (confidences, is_right), (N,) floats from 0 to 1 and (N,) booleans.
        num_bins: bins of equal width.

    Raises:
        ValueError: nothing to draw, or shapes that do not fit.
    """
    if not groups:
        raise ValueError("groups is empty; give at least one group of images.")
    figure = new_figure(4.3 * len(groups) + 0.4, 3.9 + 0.3 * bool(title))
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    parts = []
    for ax, (name, (confidences, is_right)) in zip(axes, groups.items()):
        sure = as_vector(confidences, f"confidences of {name!r}")
        right = as_flags(is_right, len(sure), "is_right")
        place = np.clip(np.ceil(sure * num_bins).astype(int), 1, num_bins) - 1
        error = 0.0
        for m in np.unique(place):
            inside = place == m
            accuracy, confidence = float(right[inside].mean()), float(sure[inside].mean())
            error += float(inside.mean()) * abs(accuracy - confidence)
            at = {"x": (m + 0.5) / num_bins, "width": 0.92 / num_bins}
            ax.bar(height=accuracy, color=NORMAL, alpha=0.75, **at)
            low, high = sorted((accuracy, confidence))
            ax.bar(height=high - low, bottom=low, color="none", edgecolor=ANOMALY, hatch="////", linewidth=1.2, **at)
            ax.text(at["x"], 1.015, f"{inside.sum():,}", ha="center", va="bottom", fontsize=7.5, color="#555555")
        ax.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1.2)
        ax.set(xlabel="confidence", xlim=(0, 1), ylim=(0, 1.08))
        ax.set_title(f"{name}: error {error:.3f}", fontsize=11)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        bold = sure.mean() - right.mean()
        word = "too bold" if bold > 0.01 else "too modest" if bold < -0.01 else "about right"
        parts.append(
            f"{name}: {100 * right.mean():.0f} % right, {100 * sure.mean():.0f} % sure on average, {word}; calibration "
            f"error {error:.3f}."
        )
    axes[0].set_ylabel("share of right answers")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finished(figure, f"{title or 'Reliability diagram'}. {' '.join(parts)}", alt)
