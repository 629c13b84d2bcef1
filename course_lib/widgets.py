"""Pictures with controls: move a slider, and the picture is drawn anew.

The picture is an ordinary notebook output with alt text, the controls stand above it. So where no live front end is (a
notebook run by nbclient, turned into a page by nbconvert, or opened without a kernel) the picture is there all the
same, as it was drawn last. `COURSE_WIDGETS=static` leaves the controls out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.patches import Rectangle

from course_lib import plots
from course_lib.plots import Figure, alt_text, mime_bundle, png

# Labels in a column of their own; in a narrow window the sliders give way.
WIDE: dict[str, Any] = {"style": {"description_width": "12em"}, "layout": {"width": "32em", "max_width": "100%"}}


class View:
    """Controls and the figure that they redraw. Shown as the last line of a notebook cell.

    Attributes:
        controls: name -> ipywidget. Setting `view.controls["threshold"].value = 0.3` does what moving it does.
        figure: the figure as it is now.
    """

    def __init__(
        self, draw: Callable[..., Figure], controls: Mapping[str, ipywidgets.ValueWidget], *, hint: str = ""
    ) -> None:
        self.controls = dict(controls)
        self.figure = draw(**self.values)
        self._draw = draw
        self._hint = hint
        self._handle: Any = None
        for control in self.controls.values():
            control.observe(self._moved, names="value")

    @property
    def values(self) -> dict[str, Any]:
        """What the controls are set to."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def png(self) -> bytes:
        """The picture as it is now."""
        return png(self.figure)

    @property
    def alt_text(self) -> str:
        """The picture as it is now, in words."""
        return alt_text(self.figure)

    def _moved(self, _change: Any) -> None:
        self.figure = self._draw(**self.values)
        if self._handle is not None:
            data, metadata = mime_bundle(self.figure)
            self._handle.update(data, metadata=metadata, raw=True)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if os.environ.get("COURSE_WIDGETS", "").strip() != "static":
            hint = ipywidgets.HTML(f"<small>{self._hint}</small>") if self._hint else None
            display(_WithoutText(ipywidgets.VBox([*([hint] if hint else []), *self.controls.values()])))
        self._handle = plots.show(self.figure, display_id=True)


class _WithoutText:
    """A widget whose text form says what is missing, instead of `VBox(children=...)`, where it cannot be shown."""

    def __init__(self, widget: ipywidgets.Widget) -> None:
        self.widget = widget

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = self.widget._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        note = (
            "(The controls appear here in a live notebook: run this cell. Below is the picture as it was drawn last.)"
        )
        return {**data, "text/plain": note}, metadata


def _slider(name: str, low: float, high: float, value: float, *, step: float | None = None) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step if step is not None else (high - low) / 100,
        description=name,
        readout_format=".3g" if high - low < 0.1 else ".2f",
        continuous_update=False,  # one drawing when the slider is let go, not a queue of them on the way
        **WIDE,
    )


# ------------------------------------------------------------------------------------------------- latent explorer


def latent_explorer(
    decode: Callable[[Any], Any],
    ranges: Sequence[tuple[float, float]] | Mapping[str, tuple[float, float]],
    *,
    start: Sequence[float] | None = None,
    steps: int = 7,
    title: str | None = None,
) -> View:
    """A slider for each number of a code; the image that is decoded from it, and the images along each slider.

    The left picture is the code as it is set. Beside it, in a row for each slider, are the images along that slider
    from its low to its high end, all other sliders left where they are: also without a live front end one sees what
    each number does.

    Args:
        decode: codes (N, d), a float32 tensor, -> images (N, C, H, W). It is called without gradients.
        ranges: (low, high) of each of the d numbers, in order, or by name.
        start: where the sliders stand at first (default: the middle).
        steps: images in a row.

    Raises:
        ValueError: no ranges, a range that is empty, or images of the wrong shape.
    """
    import torch

    named = dict(ranges) if isinstance(ranges, Mapping) else {f"number {i + 1}": pair for i, pair in enumerate(ranges)}
    if not named:
        raise ValueError("ranges is empty; give (low, high) for each number of the code.")
    for name, (low, high) in named.items():
        if not low < high:
            raise ValueError(f"The range of {name!r} is ({low}, {high}); the first number must be the smaller one.")
    middle = [(low + high) / 2 for low, high in named.values()] if start is None else [float(v) for v in start]
    if len(middle) != len(named):
        raise ValueError(f"start has {len(middle)} numbers for {len(named)} ranges; give one for each.")
    names = list(named)

    def draw(**values: float) -> Figure:
        code = np.array([values[name] for name in names])
        codes = [code]
        for row, (low, high) in enumerate(named.values()):
            for value in np.linspace(low, high, steps):
                codes.append(code.copy())
                codes[-1][row] = value
        with torch.no_grad():
            images = decode(torch.tensor(np.stack(codes), dtype=torch.float32))
        return _traversals(images, code, named, steps, title)

    controls = {name: _slider(name, *named[name], value) for name, value in zip(names, middle)}
    return View(draw, controls, hint="Move a slider: the image on the left follows.")


@plots.styled
def _traversals(
    images: Any, code: np.ndarray, named: Mapping[str, tuple[float, float]], steps: int, title: str | None
) -> Figure:
    pictures = plots.as_pictures(images, "decode's result")
    expected = 1 + len(named) * steps
    if len(pictures) != expected:
        raise ValueError(f"decode returned {len(pictures)} images for {expected} codes; it must return one for each.")
    rows = len(named)
    figure: Any = plots.new_figure(2.4 + 0.09 * max(map(len, named)) + 0.8 * steps, max(0.95 * rows + 0.5, 2.6))
    left, right = figure.subfigures(1, 2, width_ratios=[2.2, 0.09 * max(map(len, named)) + 0.8 * steps])
    big = left.subplots()
    plots.draw_picture(big, pictures[0])
    big.set_title("decoded image", fontsize=11, loc="center")
    axes = right.subplots(rows, steps, squeeze=False)
    for row, (name, (low, high)) in enumerate(named.items()):
        places = np.linspace(low, high, steps)
        for column, ax in enumerate(axes[row]):
            plots.draw_picture(ax, pictures[1 + row * steps + column])
            if row == 0 or len({tuple(pair) for pair in named.values()}) > 1:
                ax.set_title(f"{places[column]:.2g}", fontsize=9, loc="center")
        nearest = int(np.abs(places - code[row]).argmin())
        for spine in axes[row, nearest].spines.values():
            spine.set(color=plots.ACCENT, linewidth=2.5)
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    settings = ", ".join(f"{name} {value:.2g}" for name, value in zip(named, code))
    automatic = (
        f"{title or 'Latent explorer'}: the image decoded from {settings} (mean brightness {pictures[0].mean():.2f}), "
        f"and {steps} images along each of {', '.join(named)}; the one nearest to the slider has a thick frame."
    )
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- threshold slider


def threshold_slider(
    scores: Any,
    is_positive: Any,
    *,
    start: float | None = None,
    names: tuple[str, str] = ("normal", "anomaly"),
    x_label: str = "anomaly score",
    title: str | None = None,
) -> View:
    """A threshold on scores: the histogram it cuts, what is counted on both sides, precision and recall.

    Args:
        scores: (N,) floats, high for an anomaly.
        is_positive: (N,) booleans, true for an anomaly.
        start: where the threshold stands at first; by default above 95 % of the normal images. (A threshold is chosen
            without looking at the anomalies: in use there are none yet.)
        names: of the two kinds.
        x_label: what the score is.

    Raises:
        ValueError: shapes that do not fit, or scores that are not finite.
    """
    values = plots.as_vector(scores, "scores")
    positive = plots.as_flags(is_positive, len(values))
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of the {len(values)} scores are NaN or infinite.")
    normal = values[~positive] if (~positive).any() else values
    first = float(np.quantile(normal, 0.95)) if start is None else float(start)
    low, high = min(float(values.min()), first), max(float(values.max()), first)
    margin = 0.01 * (high - low or 1.0)

    def draw(threshold: float) -> Figure:
        return _threshold_view(values, positive, threshold, names, x_label, title)

    slider = _slider("threshold", low - margin, high + margin, first, step=(high - low + 2 * margin) / 200)
    return View(draw, {"threshold": slider}, hint=f"Images that score at least the threshold are called {names[1]}.")


@plots.styled
def _threshold_view(
    scores: np.ndarray, positive: np.ndarray, threshold: float, names: tuple[str, str], x_label: str, title: str | None
) -> Figure:
    called = scores >= threshold
    counts = np.array([[(~positive & ~called).sum(), (~positive & called).sum()],
                       [(positive & ~called).sum(), (positive & called).sum()]])  # fmt: skip
    true_found, called_count, positives = int(counts[1, 1]), int(called.sum()), int(positive.sum())
    precision = f"{100 * true_found / called_count:.0f} %" if called_count else "none called"
    recall = f"{100 * true_found / positives:.0f} %" if positives else "no such images"
    figure = plots.new_figure(9.2, 3.6 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[2.0, 1.0])
    plots.draw_histogram(left, scores, positive, threshold, names, x_label)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mesh = right.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.25)
    for row in range(2):
        for column in range(2):
            color = plots.ink_on(mesh, shares[row, column])
            right.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=color, fontsize=14)
    right.set_xticks([0, 1], [f"called\n{name}" for name in names])
    right.set_yticks([0, 1], names)
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_title(f"precision {precision}\nrecall {recall}", fontsize=12)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    automatic = (
        f"{title or 'Threshold'} at {threshold:.3g}: of {positives} {names[1]}, {true_found} are found, {counts[1, 0]} "
        f"missed; of {int((~positive).sum())} {names[0]}, {counts[0, 1]} are false alarms. "
        f"Precision {precision}, recall {recall}."
    )
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- reconstructions


def reconstruction_explorer(
    images: Any,
    reconstruct: Callable[[Any], Any],
    *,
    corrupt: Callable[[Any, float], Any] | None = None,
    levels: tuple[float, float] = (0.0, 1.0),
    start: float | None = None,
    level_name: str = "noise level",
    title: str | None = None,
) -> View:
    """Choose an image and how much it is corrupted; see it clean, corrupted and reconstructed, and the error.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        reconstruct: float images (1, C, H, W) on the CPU -> the same shape. It is called without gradients.
        corrupt: (images, level) -> corrupted images; by default adds Gaussian noise of that standard deviation, the
            same for an image at every level, and clips to [0, 1].
        levels: the lowest and the highest level.
        start: the level at first (default: a third of the way).
        level_name: what the level is.

    Raises:
        ValueError: no images, or levels that are not in order.
    """
    import torch

    batch = torch.as_tensor(images).detach().cpu()
    if batch.ndim != 4 or len(batch) == 0:
        raise ValueError(f"images has shape {tuple(batch.shape)}; expected (N, C, H, W) with at least one image.")
    batch = batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()
    low, high = levels
    if not low < high:
        raise ValueError(f"levels is {levels}; the first number must be the smaller one.")

    def draw(image: int, level: float) -> Figure:
        clean = batch[image : image + 1]
        if corrupt is not None:
            corrupted = corrupt(clean, level)
        else:
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(image))
            corrupted = (clean + level * noise).clamp(0, 1)
        with torch.no_grad():
            output = reconstruct(corrupted)
        if tuple(output.shape) != tuple(clean.shape):
            raise ValueError(f"reconstruct returned shape {tuple(output.shape)} for input of {tuple(clean.shape)}.")
        return _reconstruction_view(clean, corrupted, output, image, f"{level_name} {level:.2g}", title)

    controls = {
        "image": ipywidgets.IntSlider(
            value=0,
            min=0,
            max=len(batch) - 1,
            description="image",
            continuous_update=False,
            **WIDE,
        ),
        "level": _slider(level_name, low, high, low + (high - low) / 3 if start is None else float(start)),
    }
    return View(draw, controls, hint="Choose an image and how much of it is destroyed.")


@plots.styled
def _reconstruction_view(clean: Any, corrupted: Any, output: Any, index: int, level: str, title: str | None) -> Figure:
    panels = {
        "clean": plots.as_pictures(clean)[0],
        f"corrupted\n{level}": plots.as_pictures(corrupted)[0],
        "reconstructed": plots.as_pictures(output)[0],
    }
    target, seen, drawn = panels.values()
    before, after = float(((seen - target) ** 2).mean()), float(((drawn - target) ** 2).mean())
    difference = np.abs(drawn - target)
    difference = difference.mean(axis=-1) if difference.ndim == 3 else difference
    figure = plots.new_figure(9.0, 2.9 + 0.3 * bool(title))
    axes = figure.subplots(1, 4)
    for ax, (name, picture) in zip(axes, panels.items()):
        plots.draw_picture(ax, picture)
        ax.set_title(name, fontsize=11, loc="center")
    mesh = plots.draw_picture(axes[3], difference, cmap="viridis", vmin=0.0, vmax=1.0)
    axes[3].set_title("|reconstructed - clean|", fontsize=11, loc="center")
    axes[1].set_xlabel(f"mean squared\nerror {before:.4f}", fontsize=10)
    axes[2].set_xlabel(f"mean squared\nerror {after:.4f}", fontsize=10)
    figure.colorbar(mesh, ax=axes[3], fraction=0.046, pad=0.03).ax.tick_params(labelsize=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    automatic = (
        f"{title or 'Reconstruction'}: image {index}, {level}. Mean squared error to the clean image: "
        f"corrupted {before:.4f}, reconstructed {after:.4f}."
    )
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- turning an image

TURNS = ("upright", "one quarter", "two quarters", "three quarters")


def turn_explorer(
    images: Any, probabilities: Callable[[Any], Any], *, start: float = 0.0, title: str | None = None
) -> View:
    """Choose an image and turn it by any angle; see how probable a network finds each of the four quarter turns.

    Args:
        images: (N, C, H, W) with H = W, uint8 or float in [0, 1]. Border pixels are repeated into the corners.
        probabilities: float images (1, C, H, W) on the CPU -> (1, 4): of none, one, two and three counterclockwise
            quarter turns. It is called without gradients.
        start: the angle at first, in degrees counterclockwise.

    Raises:
        ValueError: no images, images that are not square, or something else than four numbers.
    """
    import torch

    batch = torch.as_tensor(images).detach().cpu()
    if batch.ndim != 4 or len(batch) == 0 or batch.shape[2] != batch.shape[3]:
        raise ValueError(f"images has shape {tuple(batch.shape)}; expected (N, C, H, H) with at least one image.")
    batch = batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()

    def draw(image: int, angle: float) -> Figure:
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        # Where a pixel of the turned image comes from; rows count downwards.
        theta = torch.tensor([[[c, -s, 0.0], [s, c, 0.0]]], dtype=torch.float32)
        one = batch[image : image + 1]
        grid = torch.nn.functional.affine_grid(theta, list(one.shape), align_corners=False)
        turned = torch.nn.functional.grid_sample(one, grid, padding_mode="border", align_corners=False)
        with torch.no_grad():
            found = np.asarray(torch.as_tensor(probabilities(turned)).float().cpu())
        if found.shape != (1, len(TURNS)):
            raise ValueError(f"probabilities returned shape {found.shape}; expected (1, {len(TURNS)}).")
        return _turn_view(turned.clamp(0, 1), found[0], image, angle, title)

    image = ipywidgets.IntSlider(
        value=0,
        min=0,
        max=len(batch) - 1,
        description="image",
        continuous_update=False,
        **WIDE,
    )
    angle = _slider("degrees", 0.0, 360.0, start, step=5.0)
    hint = "Turn the image, counterclockwise. When does the network change its mind?"
    return View(draw, {"image": image, "angle": angle}, hint=hint)


@plots.styled
def _turn_view(turned: Any, found: np.ndarray, index: int, angle: float, title: str | None) -> Figure:
    style = plots.method_style("rotation")
    figure = plots.new_figure(8.0, 2.8 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 2.2])
    plots.draw_picture(left, plots.as_pictures(turned)[0])
    left.set_title(f"turned by {angle:.0f} degrees", fontsize=11, loc="center")
    best = int(found.argmax())
    faces = [style.color if row == best else "white" for row in range(len(TURNS))]
    right.barh(range(len(TURNS)), found, height=0.62, color=faces, edgecolor=style.color, linewidth=1.5)
    for row, value in enumerate(found):
        right.text(min(float(value), 1.0) + 0.02, row, f"{100 * value:.0f} %", va="center")
    right.set_yticks(range(len(TURNS)), TURNS)
    right.invert_yaxis()
    right.set_xlim(0, 1.15)
    right.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    right.tick_params(axis="y", length=0)
    right.set_xlabel("probability that the network gives to each turn")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    shares = ", ".join(f"{name} {100 * value:.0f} %" for name, value in zip(TURNS, found))
    automatic = f"{title or 'Turned image'}: image {index}, turned by {angle:.0f} degrees. The network says: {shares}."
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- freezing


def freeze_picker(
    recorded: Mapping[tuple[int, float], Any],
    parts: Mapping[str, int],
    *,
    start: tuple[int, float, int] | None = None,
    chance: float | None = None,
    title: str | None = None,
) -> View:
    """Choose how many blocks are frozen, the learning rate and the number of labels; see what is trained, and what was
    recorded for that choice.

    On the left stands the network with its frozen and its open parts, on the right the recorded accuracy of every
    depth and rate with as many labels; the choice has a thick frame. Nothing is trained here.

    Args:
        recorded: (labels a class, learning rate) -> `records.Curve` over the number of frozen blocks, or
            {frozen blocks: values of the seeds}. Every combination of labels, rate and depth must be there.
        parts: name -> number of parameters, from the input to the head; what is frozen is counted from the input.
        start: labels, rate and depth at first (default: the fewest labels, the middle rate, nothing frozen).
        chance: the accuracy of guessing, for the darkest color (default: the lowest that was recorded).

    Raises:
        ValueError: nothing recorded, a combination that is missing, a depth without parts, or a start that was not
            recorded.
    """
    if not recorded:
        raise ValueError("recorded is empty; give (labels, rate) -> accuracy by the number of frozen blocks.")
    figures: dict[tuple[int, float, int], np.ndarray] = {}
    for (labels, rate), curve in recorded.items():
        pairs = zip(curve.x, curve.values) if hasattr(curve, "x") else curve.items()
        for depth, values in pairs:
            figures[labels, rate, int(depth)] = np.atleast_1d(np.asarray(values, dtype=np.float64))
    budgets = sorted({labels for labels, _, _ in figures})
    rates, depths = sorted({rate for _, rate, _ in figures}), sorted({depth for _, _, depth in figures})
    for key in ((n, rate, depth) for n in budgets for rate in rates for depth in depths):
        if key not in figures:
            raise ValueError(f"Nothing is recorded for {key[0]} labels, rate {key[1]:g} and {key[2]} frozen blocks.")
    if max(depths) >= len(parts):
        raise ValueError(f"{max(depths)} frozen blocks leave no part to train: parts names {', '.join(parts)} only.")
    first = start or (budgets[0], rates[len(rates) // 2], depths[0])
    if tuple(first) not in figures:
        raise ValueError(f"start is {first}; labels are {budgets}, rates {rates}, frozen blocks {depths}.")

    def draw(labels: int, rate: float, depth: int) -> Figure:
        return _freezing_view(figures, parts, rates, depths, (labels, rate, depth), chance, title)

    options: dict[str, Any] = {"continuous_update": False, **WIDE}
    controls = {
        "labels": ipywidgets.SelectionSlider(options=budgets, value=first[0], description="labels a class", **options),
        "rate": ipywidgets.SelectionSlider(
            options=[(f"{rate:g}", rate) for rate in rates], value=first[1], description="learning rate", **options
        ),
        "depth": ipywidgets.SelectionSlider(options=depths, value=first[2], description="frozen blocks", **options),
    }
    return View(draw, controls, hint="Which choice would you make with five labels a class, which with fifty?")


@plots.styled
def _freezing_view(
    figures: Mapping[tuple[int, float, int], np.ndarray],
    parts: Mapping[str, int],
    rates: Sequence[float],
    depths: Sequence[int],
    chosen: tuple[int, float, int],
    chance: float | None,
    title: str | None,
) -> Figure:
    labels, rate, depth = chosen
    seeds = figures[chosen]
    trained, total = sum(list(parts.values())[depth:]), sum(parts.values())
    share = f"{trained:,} of {total:,} parameters"
    reached = f"{100 * seeds.mean():.0f} %"
    figure = plots.new_figure(9.2, 3.7 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.9])
    # The network, the input at the bottom. Frozen is told by word and hatching, not by color alone.
    color = plots.method_style("transfer").color
    for row, (name, count) in enumerate(parts.items()):
        frozen = row < depth
        face, edge, hatch = ("white", "#777777", "///") if frozen else (color, color, None)
        left.barh(row, 1.0, height=0.78, color=face, edgecolor=edge, linewidth=1.5, hatch=hatch)
        words = f"{name}: {'frozen' if frozen else 'learns'}\n{count:,}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5} if frozen else None
        left.text(0.5, row, words, ha="center", va="center", color="black" if frozen else "white", bbox=box)
    left.set_xlim(0, 1)
    left.set_axis_off()
    left.set_title(f"trained: {share}", fontsize=11, loc="center")
    table = np.array([[figures[labels, r, d].mean() for d in depths] for r in rates])
    low = min(float(v.mean()) for v in figures.values()) if chance is None else chance
    mesh = right.imshow(table, cmap="Blues", vmin=low, vmax=1.25, aspect="auto", origin="lower")
    for i, r in enumerate(rates):
        for j, d in enumerate(depths):
            here = (r, d) == (rate, depth)
            right.text(
                j, i, f"{100 * table[i, j]:.0f} %", ha="center", va="center", color=plots.ink_on(mesh, table[i, j]),
                fontweight="bold" if here else "normal",
            )  # fmt: skip
            if here:
                right.add_patch(
                    Rectangle((j - 0.47, i - 0.46), 0.94, 0.92, fill=False, color=plots.ACCENT, linewidth=3)
                )
    right.set_xticks(range(len(depths)), [str(d) for d in depths])
    right.set_yticks(range(len(rates)), [f"{r:g}" for r in rates])
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set(xlabel="frozen blocks", ylabel="learning rate")
    spread = f", seeds from {100 * seeds.min():.0f} to {100 * seeds.max():.0f} %" if len(seeds) > 1 else ""
    right.set_title(f"{labels} labels a class: test accuracy {reached}{spread}", fontsize=11, loc="center")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    best = max(((r, d) for r in rates for d in depths), key=lambda pair: figures[(labels, *pair)].mean())
    automatic = (
        f"{title or 'Freezing'}: {labels} labels a class, learning rate {rate:g}, {depth} frozen blocks. Trained are "
        f"{share}; recorded test accuracy {reached}{spread}. Best with as many labels: rate {best[0]:g} and {best[1]} "
        f"frozen blocks, {100 * figures[(labels, *best)].mean():.0f} %."
    )
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- how strongly held


def strength_explorer(
    curves: Mapping[str, Mapping[str, Any]],
    *,
    beside: str,
    start: float | None = None,
    strength: str = "lambda",
    title: str | None = None,
) -> View:
    """Choose a method and how strongly it acts; see the recorded accuracies there, and one further measure beside.

    Args:
        curves: method -> measure -> `records.Curve`, or {strength: values of the seeds}. All measures of a method are
            taken at the same strengths. Measures but `beside` are accuracies. The slider has the strengths of all
            methods; one that a method lacks shows its nearest.
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
            pairs = zip(curve.x, curve.values) if hasattr(curve, "x") else sorted(curve.items())
            points = {float(x): float(np.mean(values)) for x, values in pairs}
            if list(points) != strengths.setdefault(method, list(points)):
                raise ValueError(
                    f"{method!r}, {measure!r} is recorded at {list(points)}, its others at {strengths[method]}."
                )
            tables[method][measure] = np.array(list(points.values()))
    every = sorted(set().union(*strengths.values()))

    def nearest(options: Sequence[float], value: float) -> int:
        return min(range(len(options)), key=lambda place: abs(options[place] - value))

    first = every[len(every) // 2] if start is None else every[nearest(every, float(start))]

    def draw(method: str, chosen: float) -> Figure:
        own = strengths[method]
        return _strength_view(tables[method], own, nearest(own, chosen), beside, method, strength, title)

    controls = {
        "method": ipywidgets.Dropdown(options=list(curves), description="method", **WIDE),
        "chosen": ipywidgets.SelectionSlider(
            options=[(f"{x:g}", x) for x in every], value=first, description=strength, continuous_update=False,
            **WIDE,
        ),
    }  # fmt: skip
    return View(draw, controls, hint=f"Choose a method and its {strength}: what is kept, and what is learned?")


@plots.styled
def _strength_view(
    measures: Mapping[str, np.ndarray], strengths: Sequence[float], chosen: int, beside: str, method: str,
    strength: str, title: str | None,
) -> Figure:  # fmt: skip
    figure = plots.new_figure(9.2, 3.6 + 0.3 * bool(title))
    left, right = figure.subplots(1, 2, width_ratios=[1.9, 1.0])
    places = range(len(strengths))
    lines = {name: values for name, values in measures.items() if name != beside}
    looks = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
    says = []
    for (name, values), color, (line, marker) in zip(lines.items(), plots.CLASS_COLORS, looks * len(lines)):
        text = f"{100 * values[chosen]:.0f} %"
        left.plot(places, values, color=color, linestyle=line, marker=marker, label=f"{name}: {text}")
        left.plot(chosen, values[chosen], color=color, marker=marker, markersize=11)
        says.append(f"{name} {text}")
    left.axvline(chosen, color=plots.ACCENT, linewidth=1.2, zorder=0)
    left.set_ylim(0, 1.02)
    left.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    left.set_ylabel("test accuracy")
    left.grid(axis="y")
    left.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, columnspacing=1.2)
    faces = [plots.ACCENT if place == chosen else "white" for place in places]
    right.bar(places, measures[beside], color=faces, edgecolor=plots.ACCENT, linewidth=1.5)
    distance = f"{measures[beside][chosen]:.2f}"
    right.set_title(f"{beside}: {distance}", fontsize=11)
    for ax in (left, right):
        ax.set_xticks(places, [f"{x:g}" for x in strengths])
        ax.set_xlabel(f"{strength} of {method}")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    at = f"{strength} {strengths[chosen]:g}"
    automatic = f"{title or 'How strongly held'}: {method} with {at}: {', '.join(says)}; {beside} {distance}."
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- pseudo-labels


def pseudo_label_slider(
    labels: Any,
    confidences: Any,
    true_labels: Any,
    *,
    class_names: Sequence[str],
    start: float = 0.9,
    title: str | None = None,
) -> View:
    """A threshold on pseudo-labels: how many it lets through, how many of those are right, and of which classes.

    Left are all confidences, right and wrong labels stacked; right are the chosen images of each class.

    Args:
        labels, true_labels: (N,) whole numbers from 0 to K - 1: what the network says, and what is so.
        confidences: (N,) floats from 0 to 1.
        class_names: K names.
        start: the threshold at first.

    Raises:
        ValueError: shapes that do not fit, or confidences that are no probabilities.
    """
    sure = plots.as_vector(confidences, "confidences")
    said, true = (
        plots.as_vector(v, name).astype(int) for v, name in ((labels, "labels"), (true_labels, "true_labels"))
    )
    if not len(sure) == len(said) == len(true):
        raise ValueError(
            f"there are {len(said)} labels, {len(sure)} confidences and {len(true)} true labels; give one an image."
        )
    if not len(sure) or not ((sure >= 0) & (sure <= 1 + 1e-6)).all():
        raise ValueError("confidences must be probabilities, from 0 to 1, of at least one image.")
    if min(said.min(), true.min()) < 0 or max(said.max(), true.max()) >= len(class_names):
        raise ValueError(f"labels must be from 0 to {len(class_names) - 1}: there are {len(class_names)} class names.")

    def draw(tau: float) -> Figure:
        return _pseudo_label_view(said, sure, said == true, tau, class_names, title)

    slider = _slider("threshold", 0.0, 1.0, start, step=0.01)
    return View(draw, {"tau": slider}, hint="Images whose confidence is at least the threshold get a pseudo-label.")


@plots.styled
def _pseudo_label_view(
    labels: np.ndarray, sure: np.ndarray, right: np.ndarray, tau: float, class_names: Sequence[str], title: str | None
) -> Figure:
    chosen = sure >= tau - 1e-9
    count, good = int(chosen.sum()), int((chosen & right).sum())
    coverage = f"{100 * count / len(sure):.0f} %"
    precision = f"{100 * good / count:.0f} %" if count else "none chosen"
    figure = plots.new_figure(9.6, max(3.8, 0.27 * len(class_names) + 1.5) + 0.3 * bool(title))
    left, side = figure.subplots(1, 2, width_ratios=[1.5, 1.0])
    kinds = ((right, "right", plots.NORMAL, None), (~right, "wrong", plots.ANOMALY, "////"))
    bins = np.linspace(0.0, 1.0, 41)
    bottom = np.zeros(40)
    for which, name, color, hatch in kinds:
        heights = np.histogram(sure[which], bins)[0].astype(float)
        left.bar(
            bins[:-1], heights, width=0.025, bottom=bottom, align="edge", color=color, alpha=0.75, hatch=hatch,
            edgecolor="white", linewidth=0.4, label=f"{name} ({which.sum():,})",
        )  # fmt: skip
        bottom += heights
    left.axvline(tau, color="black", linewidth=1.8, label=f"threshold {tau:.2f}")
    left.axvspan(0.0, tau, color="white", alpha=0.55, zorder=2.5, linewidth=0)  # what is not chosen pales
    left.set(xlabel="confidence", ylabel="unlabeled images", xlim=(0.0, 1.0))
    left.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.4, columnspacing=1.0
    )
    start = np.zeros(len(class_names))
    for which, _, color, hatch in kinds:
        counts = np.bincount(labels[chosen & which], minlength=len(class_names)).astype(float)
        side.barh(
            range(len(class_names)), counts, left=start, height=0.7, color=color, alpha=0.75, hatch=hatch,
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        start += counts
    side.set_yticks(range(len(class_names)), class_names)
    side.invert_yaxis()
    side.tick_params(axis="y", length=0)
    side.set_xlim(0, max(1.0, 1.05 * float(start.max())))
    side.set_xlabel("chosen images, by pseudo-label")
    side.set_title(f"coverage {coverage}\nprecision {precision}", fontsize=12)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    few, many = int(start.argmin()), int(start.argmax())
    automatic = (
        f"{title or 'Pseudo-labels'}: with threshold {tau:.2f}, {count} of {len(sure)} unlabeled images are chosen "
        f"(coverage {coverage}); {good} of those labels are right (precision {precision}). Most are called "
        f"{class_names[many]} ({start[many]:.0f}), fewest {class_names[few]} ({start[few]:.0f})."
    )
    return plots.finished(figure, automatic, None)


# ------------------------------------------------------------------------------------------------- who teaches


def teaching_views(
    weak: Any,
    strong: Any,
    probabilities: Any,
    *,
    class_names: Sequence[str],
    labels: Any = None,
    start: float = 0.8,
    title: str | None = None,
) -> View:
    """A threshold on confidence: which weak views are sure enough to teach their strong views, and what they teach.

    Above, each image in its weak view with the class that the network sees there and how sure it is; below, the strong
    view. Where the threshold is reached both are framed; elsewhere both are faded.

    Args:
        weak, strong: (N, C, H, W), two views of the same images, uint8 or float in [0, 1].
        probabilities: (N, K), the network's for the weak views; rows sum to 1.
        class_names: K names.
        labels: (N,) the true classes, if known: a class that is taught wrongly is then said so.
        start: the threshold at first.

    Raises:
        ValueError: views, probabilities, names or labels that do not fit together, or rows that are no probabilities.
    """
    pictures = plots.as_pictures(weak, "weak"), plots.as_pictures(strong, "strong")
    shares = np.asarray(probabilities.detach().float().cpu() if hasattr(probabilities, "detach") else probabilities)
    count = len(pictures[0])
    if len(pictures[1]) != count or shares.shape != (count, len(class_names)):
        raise ValueError(
            f"{count} weak views, {len(pictures[1])} strong views and probabilities of shape {shares.shape} for "
            f"{len(class_names)} classes do not fit together; expected ({count}, {len(class_names)})."
        )
    if not np.allclose(shares.sum(axis=1), 1.0, atol=1e-2) or shares.min() < 0:
        raise ValueError("A row of probabilities does not sum to 1; give softmax(dim=1) of the logits.")
    true = None if labels is None else np.asarray(plots.as_vector(labels, "labels"), dtype=int)
    if true is not None and len(true) != count:
        raise ValueError(f"There are {len(true)} labels for {count} images; give one for each.")

    def draw(threshold: float) -> Figure:
        return _teaching_view(*pictures, shares, list(class_names), true, threshold, title)

    slider = _slider("threshold", 0.0, 1.0, start, step=0.01)
    return View(draw, {"threshold": slider}, hint="Only framed images teach. How sure must one be?")


@plots.styled
def _teaching_view(
    weak: np.ndarray, strong: np.ndarray, shares: np.ndarray, names: list[str], true: np.ndarray | None,
    threshold: float, title: str | None,
) -> Figure:  # fmt: skip
    color = plots.method_style("fixmatch").color
    guesses, confidence = shares.argmax(axis=1), shares.max(axis=1)
    teaches = confidence >= threshold
    figure = plots.new_figure(1.25 * len(weak) + 0.9, 3.7)
    axes = figure.subplots(2, len(weak), squeeze=False)
    words = []
    for column in range(len(weak)):
        sure, guess = bool(teaches[column]), names[guesses[column]]
        wrong = true is not None and true[column] != guesses[column]
        frame = plots.ACCENT if wrong else color
        for ax, picture in ((axes[0, column], weak[column]), (axes[1, column], strong[column])):
            plots.draw_picture(ax, picture, alpha=1.0 if sure else 0.25)
            for spine in ax.spines.values():
                spine.set(color=frame if sure else "#BBBBBB", linewidth=3.0 if sure else 0.8)
        axes[0, column].set_title(f"{guess}\n{100 * confidence[column]:.0f} %", fontsize=10, loc="center")
        said = f"teaches\n{guess}" if sure else "silent"
        if sure and wrong and true is not None:
            said += f" ({names[true[column]]})"
        axes[1, column].set_xlabel(said, fontsize=10, color=frame if sure else "#555555")
        words.append(f"{guess} {100 * confidence[column]:.0f} %" + (" teaches" if sure else "")
                     + (" wrongly" if sure and wrong else ""))  # fmt: skip
    axes[0, 0].set_ylabel("weak view", fontsize=10)
    axes[1, 0].set_ylabel("strong view", fontsize=10)
    summary = f"{int(teaches.sum())} of {len(weak)} teach at {threshold:.2f}"
    if true is not None:
        summary += f", {int((teaches & (true == guesses)).sum())} of them rightly"
    figure.suptitle(f"{title}: {summary}" if title else summary, x=0.01, ha="left")
    return plots.finished(figure, f"{title or 'Who teaches'}: {summary}. {'; '.join(words)}.", None)
