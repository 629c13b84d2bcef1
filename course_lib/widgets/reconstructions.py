"""A widget for autoencoders: an image, how much it is corrupted, and its reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import image_batch, image_slider, number_slider
from course_lib.widgets.view import View


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

    batch = image_batch(images)
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
        return _draw_reconstruction(clean, corrupted, output, image, f"{level_name} {level:.2g}", title)

    first = low + (high - low) / 3 if start is None else float(start)
    controls = {"image": image_slider(len(batch)), "level": number_slider(level_name, low, high, first)}
    return View(draw, controls, hint="Choose an image and how much of it is destroyed.")


@plots.styled
def _draw_reconstruction(clean: Any, corrupted: Any, output: Any, index: int, level: str, title: str | None) -> Figure:
    panels = {
        "clean": plots.as_pictures(clean),
        f"corrupted\n{level}": plots.as_pictures(corrupted),
        "reconstructed": plots.as_pictures(output),
    }
    target, given, drawn = panels.values()
    before, after = float(((given - target) ** 2).mean()), float(((drawn - target) ** 2).mean())
    figure = plots.new_figure(9.0, 2.9 + 0.3 * bool(title))
    axes = figure.subplots(1, 4)
    for ax, (name, pictures) in zip(axes, panels.items()):
        plots.draw_picture(ax, pictures[0])
        ax.set_title(name, fontsize=11, loc="center")
    error = plots.absolute_error(drawn, target)[0]
    mesh = plots.draw_picture(axes[3], error, cmap="viridis", vmin=0.0, vmax=1.0)
    axes[3].set_title("|reconstructed - clean|", fontsize=11, loc="center")
    axes[1].set_xlabel(f"mean squared\nerror {before:.4f}", fontsize=10)
    axes[2].set_xlabel(f"mean squared\nerror {after:.4f}", fontsize=10)
    figure.colorbar(mesh, ax=axes[3], fraction=0.046, pad=0.03).ax.tick_params(labelsize=9)
    automatic = (
        f"{title or 'Reconstruction'}: image {index}, {level}. Mean squared error to the clean image: "
        f"corrupted {before:.4f}, reconstructed {after:.4f}."
    )
    return plots.finished(figure, automatic, title=title)
