"""A widget for contrastive learning: two views of an image, and which images a network finds nearest to each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib import plots
from course_lib.plots import Figure
from course_lib.widgets.controls import choice_slider, image_batch, image_slider
from course_lib.widgets.view import View

if TYPE_CHECKING:
    from torch import Tensor

DRAWS = range(1, 21)  # how often other views of an image can be drawn


def view_explorer(
    images: Any,
    augment: Callable[..., Any],
    encode: Callable[[Any], Any],
    *,
    neighbors: int = 5,
    title: str | None = None,
) -> View:
    """Choose an image and draw two views of it; see the images whose features are nearest to those of each view.

    Nearest is the largest cosine. The image itself has a thick frame where it is found.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1]; more than `neighbors` of them.
        augment: `augment(x, generator=generator)`, float images to a view of each.
        encode: float images (K, C, H, W) on the CPU -> (K, d) features. It is called without gradients.
        neighbors: how many are shown.

    Raises:
        ValueError: too few images, or features that are not one row per image.
    """
    import torch
    from torch.nn import functional as F

    batch = image_batch(images)
    if not 1 <= neighbors < len(batch):
        raise ValueError(f"neighbors is {neighbors}; 1 to {len(batch) - 1} is expected for {len(batch)} images.")

    def features(x: Tensor) -> Tensor:
        with torch.no_grad():
            found = torch.as_tensor(encode(x)).detach().float().cpu()
        if found.ndim != 2 or len(found) != len(x):
            raise ValueError(f"encode returned shape {tuple(found.shape)}; expected ({len(x)}, d).")
        return F.normalize(found, dim=1)

    known = features(batch)

    def draw(image: int, draw: int) -> Figure:
        generator = torch.Generator().manual_seed(1000 * image + draw)
        x = batch[image : image + 1]
        views = torch.cat([augment(x, generator=generator) for _ in range(2)]).clamp(0, 1)
        own = features(views)
        nearest = (own @ known.T).topk(neighbors, dim=1).indices
        return _draw_views(batch, views, nearest, image, float(own[0] @ own[1]), title)

    controls = {"image": image_slider(len(batch)), "draw": choice_slider("other views", DRAWS, DRAWS[0])}
    return View(draw, controls, hint="Choose an image, and draw other views of it. Do both find similar images?")


@plots.styled
def _draw_views(
    batch: Tensor, views: Tensor, nearest: Tensor, image: int, cosine: float, title: str | None
) -> Figure:  # fmt: skip
    count = nearest.shape[1]
    figure = plots.new_figure((count + 2.4) * 1.05, 2.6 + 0.35 * bool(title))
    axes = figure.subplots(2, count + 3, squeeze=False, gridspec_kw={"width_ratios": [1, 1, 0.3] + [1] * count})
    pictures, seen = plots.as_pictures(batch), plots.as_pictures(views)
    found = np.asarray(nearest)
    axes[1, 0].set_axis_off()
    plots.draw_picture(axes[0, 0], pictures[image])
    axes[0, 0].set_title("image", fontsize=10, loc="center")
    axes[0, 3].set_title("nearest", fontsize=10, loc="center")
    for row in range(2):
        plots.draw_picture(axes[row, 1], seen[row])
        axes[row, 1].set_xlabel(f"view {row + 1}", fontsize=9)
        axes[row, 2].set_axis_off()
        for ax, position in zip(axes[row, 3:], found[row]):
            plots.draw_picture(ax, pictures[position])
            if position == image:
                plots.frame(ax, plots.method_style("contrastive").color, 3.0)
                ax.set_xlabel("the image itself", fontsize=8)
    ranks = [list(row).index(image) + 1 if image in row else 0 for row in found.tolist()]
    words = ["not among them" if rank == 0 else f"number {rank}" for rank in ranks]
    axes[1, 0].text(0.5, 0.5, f"cosine\n{cosine:.2f}", ha="center", va="center", transform=axes[1, 0].transAxes)
    both = len(set(found[0].tolist()) & set(found[1].tolist()))
    automatic = (
        f"{title or 'Two views'}: image {image}, two views of it, and the {count} nearest images to each by features. "
        f"The image itself is {words[0]} for view 1 and {words[1]} for view 2. {both} of {count} are nearest to both. "
        f"The cosine of the two views is {cosine:.2f}."
    )
    return plots.finished(figure, automatic, title=title)
