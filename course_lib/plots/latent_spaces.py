"""Figures of latent spaces: codes as points in the plane, and the KL of each latent of a VAE."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from numpy.typing import NDArray

from course_lib.plots.figure import Figure, finished, new_figure
from course_lib.plots.inputs import as_array, as_vector
from course_lib.plots.style import METHOD_STYLE, class_style, styled


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
        ValueError: codes that are not two numbers per image, or labels that do not fit.
    """
    points, targets = as_array(codes).astype(np.float64), as_array(labels).astype(int)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"codes has shape {points.shape}; expected (N, 2). Reduce longer codes first, e.g. by PCA.")
    if targets.shape != (len(points),) or targets.min() < 0 or targets.max() >= len(class_names):
        raise ValueError(
            f"labels has shape {targets.shape}; expected ({len(points)},), indices of {len(class_names)} class names."
        )
    figure = new_figure(7.6, 5.0)
    ax = figure.subplots()
    present = np.unique(targets)
    for index in present:
        x, y = points[targets == index].T
        color, marker = class_style(index)
        ax.scatter(x, y, s=14, color=color, marker=marker, alpha=0.6, linewidth=0, label=class_names[index])
    text: dict[str, Any] = {"weight": "bold", "ha": "center", "va": "center", "zorder": 4}
    text["path_effects"] = [patheffects.withStroke(linewidth=3, foreground="white")]
    for index, (x, y) in zip(present, _name_positions(points, targets, present)):
        ax.text(x, y, class_names[index], color=class_style(index)[0], **text)
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), markerscale=1.8, borderaxespad=0)
    if title:
        ax.set_title(title)
    automatic = (
        f"{title or 'Map of codes'}: {len(points)} images as points, {axis_names[0]} against {axis_names[1]}, "
        f"{len(present)} classes: {', '.join(class_names[i] for i in present)}."
    )
    return finished(figure, automatic, alt)


@styled
def latent_costs(
    costs: Mapping[str, Any],
    *,
    in_use: float = 0.05,
    title: str | None = None,
    alt: str | None = None,
) -> Figure:
    """The KL of each latent of a VAE, a panel for each model, highest KL first.

    Args:
        costs: name of a model -> (d,) mean KL of each latent, in nats.
        in_use: a latent with less KL is not in use, and its bar is hollow.

    Raises:
        ValueError: no model, or costs that are not one number per latent.
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
        ranks, used = np.arange(1, len(values) + 1), values >= in_use
        ax.bar(ranks[used], values[used], color=color, edgecolor=color)
        ax.bar(ranks[~used], np.maximum(values[~used], 0.012 * top), color="white", edgecolor=color, linewidth=1.2)
        ax.set_ylim(0, 1.08 * top)
        ax.set_xticks([1, len(values)] if len(values) > 1 else [1])
        ax.set_xlabel("latent, dearest first")
        summary = f"{used.sum()} of {len(values)} in use, {values.sum():.1f} nats"
        ax.set_title(f"{textwrap.fill(name, 24)}\n{summary}", fontsize=10)
        parts.append(f"{name}: {summary}, the dearest {values[0]:.2g}.")
    axes[0].set_ylabel("KL (nats per image)")
    automatic = f"{title or 'Cost of each latent'}: bars in nats. {' '.join(parts)}"
    return finished(figure, automatic, alt, title=title)


def _name_positions(
    points: NDArray[np.float64], targets: NDArray[np.int_], present: Iterable[int]
) -> NDArray[np.float64]:
    """(K, 2) positions of class names: the classes' medians, moved apart vertically where two names would overlap."""
    positions = np.array([np.median(points[targets == index], axis=0) for index in present])
    width, height = np.maximum(np.ptp(points, axis=0), 1e-9) * (0.14, 0.055)
    for _ in range(50):
        moved = False
        for i in range(len(positions)):
            for j in range(i):
                dx, dy = positions[i] - positions[j]
                if abs(dx) < width and abs(dy) < height:
                    push = (height - abs(dy)) / 2 * (1 if dy >= 0 else -1)
                    positions[i, 1] += push
                    positions[j, 1] -= push
                    moved = True
        if not moved:
            break
    return positions
