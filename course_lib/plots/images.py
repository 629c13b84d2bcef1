"""Figures of images: grids, examples of each class, reconstructions, nearest neighbors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.inputs import as_array, as_pictures, counted, wrapped
from course_lib.plots.style import ANOMALY, FRAME, styled


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
        columns: images per row (default: at most 8).
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
    above, below = (wrapped(lines, int(cell / 0.09)) for lines in (titles, captions))
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
    parts = [f"{title or 'Image grid'}: {counted(len(pictures), 'image')} in {counted(rows, 'row')}."]
    for lines in (titles, captions):
        if lines:
            parts.append("; ".join(str(line) for line in lines) + ".")
    return finished(figure, " ".join(parts), alt, title=title)


def image_rows(
    rows: Mapping[str, Any],
    *,
    below: bool = False,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """An `image_grid` with a row per entry, named at each image; longer rows are cut to the length of the shortest.

    Args:
        rows: name -> images, (N, C, H, W) or (N, H, W), uint8 or float in [0, 1].
        below: write the names below the images instead of above them.

    Raises:
        ValueError: no row, a row without an image, or not images.
    """
    pictures = {name: as_array(images) for name, images in rows.items()}
    columns = min(map(len, pictures.values()), default=0)
    if columns == 0:
        raise ValueError("There is no row, or one has no image; give at least one row of at least one image.")
    names = [name for name in pictures for _ in range(columns)]
    parts = [images[:columns] for images in pictures.values()]
    shown = np.concatenate([part / 255.0 if part.dtype == np.uint8 else part for part in parts])
    where: dict[str, Any] = {"captions" if below else "titles": names}
    return image_grid(shown, columns=columns, title=title, alt=alt, **where)


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
    """The first images of each class, a row per class, its name beside it.

    Args:
        images: (N, C, H, W) or (N, H, W), uint8 or float in [0, 1].
        labels: (N,) integers, indices into class_names.
        class_names: as many as there are classes.
        per_class: images per row; a class that has fewer leaves its row short.

    Raises:
        ValueError: shapes that do not fit, or a label without a name.
    """
    pictures, targets = as_pictures(images), as_array(labels).astype(int)
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
    automatic = f"{title or 'Examples'}: up to {per_class} images of each class: {', '.join(class_names)}."
    return finished(figure, automatic, alt, title=title)


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
    """The inputs of an autoencoder, its outputs and where they differ.

    Args:
        inputs: (N, C, H, W), what the network saw.
        outputs: the same shape, what it returned.
        clean: the same shape, for a denoising autoencoder: the images before they were corrupted. They get a row of
            their own, and the error is measured against them.
        count: at most so many columns.
        captions: a line below each column (default: the mean squared error per pixel).

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
    difference = absolute_error(rows["output"], target)
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
    automatic = (
        f"{title or 'Reconstructions'}: {counted(columns, 'image')}; rows: {', '.join(rows)}, absolute error per pixel."
        f" Mean squared error per image from {squared[:columns].min():.2g} to {squared[:columns].max():.2g}."
    )
    return finished(figure, automatic, alt, title=title)


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
    """Images, each with the images that have the nearest features, nearest first.

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
    array = as_array(neighbours)
    if array.ndim != 5 or len(array) != len(pictures):
        raise ValueError(f"neighbours has shape {array.shape}; expected ({len(pictures)}, K, C, H, W).")
    near = np.stack([as_pictures(row, "neighbours") for row in array])
    if (query_labels is None) != (neighbour_labels is None):
        raise ValueError("Give query_labels and neighbour_labels, or neither.")
    labeled = query_labels is not None
    own = as_array(query_labels).astype(int) if labeled else np.zeros(len(pictures), int)
    theirs = as_array(neighbour_labels).astype(int) if labeled else np.zeros(near.shape[:2], int)
    names = _class_names(own, theirs, near.shape[:2], class_names)
    lines = max(name.count("\n") + 1 for name in names)
    count = near.shape[1]
    height = 1.05 + 0.19 * lines * labeled
    figure = new_figure((count + 1.25) * 1.05, len(pictures) * height + 0.35 + 0.35 * bool(title))
    widths = [1.0, 0.25] + [1.0] * count
    axes = figure.subplots(len(pictures), count + 2, squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, axes_row in enumerate(axes):
        draw_picture(axes_row[0], pictures[row])
        axes_row[1].set_axis_off()
        for column, ax in enumerate(axes_row[2:]):
            draw_picture(ax, near[row, column])
            if labeled:
                wrong, name = own[row] != theirs[row, column], names[theirs[row, column]]
                ax.set_xlabel(f"[{name}]" if wrong else name, fontsize=9)
                if wrong:
                    frame(ax, ANOMALY, 2.5)
        if labeled:
            axes_row[0].set_xlabel(names[own[row]], fontsize=9)
    axes[0, 0].set_title("image", fontsize=10, loc="center")
    axes[0, 2].set_title("nearest", fontsize=10, loc="center")
    if count > 1:
        axes[0, -1].set_title(f"{count}th" if count > 3 else ("2nd", "3rd")[count - 2], fontsize=10, loc="center")
    automatic = f"{title or 'Nearest neighbors'}: {counted(len(pictures), 'image')} and the {count} nearest to each."
    if labeled:
        same = int((own[:, None] == theirs).sum())
        automatic += f" {same} of {theirs.size} neighbors are of the same class; the others have a thick frame."
    return finished(figure, automatic, alt, title=title)


def _class_names(
    own: NDArray[np.int_], theirs: NDArray[np.int_], shape: tuple[int, ...], class_names: Sequence[str] | None
) -> list[str]:
    """The name to write for each label, wrapped: of the queries (Q,) and of their neighbors (Q, K).

    Raises:
        ValueError: labels of another shape, or outside the names.
    """
    if own.shape != shape[:1] or theirs.shape != shape:
        raise ValueError(f"labels have shapes {own.shape}, {theirs.shape}; expected ({shape[0]},), {shape}.")
    numbers = range(1 + max(int(own.max()), int(theirs.max())))
    names = wrapped(class_names if class_names is not None else list(numbers), 12)
    if own.min() < 0 or theirs.min() < 0 or len(names) < len(numbers):
        raise ValueError(f"A label lies outside the {len(names)} class names.")
    return names


def draw_picture(ax: Axes, picture: NDArray[np.float64], **options: Any) -> Any:
    """Draws one image, (H, W) or (H, W, 3), without ticks and in a thin frame; returns what `Axes.imshow` does."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, color=FRAME, linewidth=0.8)
    if picture.ndim == 2:
        options = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0, **options}
    return ax.imshow(picture, interpolation="nearest", **options)


def frame(ax: Axes, color: str, width: float) -> None:
    """Puts a frame around an image, its width in points."""
    for spine in ax.spines.values():
        spine.set(color=color, linewidth=width)


def absolute_error(outputs: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute difference per pixel, mean over colors: (N, H, W), of two (N, H, W) or two (N, H, W, 3)."""
    difference = np.abs(outputs - targets)
    return difference.mean(axis=-1) if difference.ndim == 4 else difference
