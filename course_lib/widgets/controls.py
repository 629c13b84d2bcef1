"""Sliders and input checks that several widgets use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from torch import Tensor

# Labels in a column of their own; in a narrow window the sliders give way.
WIDE: dict[str, Any] = {"style": {"description_width": "12em"}, "layout": {"width": "32em", "max_width": "100%"}}

# A slider redraws once, when it is let go, and does not queue drawings on the way.
_SLIDER: dict[str, Any] = {"continuous_update": False, **WIDE}


def number_slider(
    name: str, low: float, high: float, value: float, *, step: float | None = None
) -> ipywidgets.FloatSlider:
    """A slider for a number from low to high, by default in a hundred steps."""
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step if step is not None else (high - low) / 100,
        description=name,
        readout_format=".3g" if high - low < 0.1 else ".2f",
        **_SLIDER,
    )


def choice_slider(name: str, options: Sequence[Any], value: Any) -> ipywidgets.SelectionSlider:
    """A slider for one of several values, given as they are or as (text, value) pairs."""
    return ipywidgets.SelectionSlider(options=options, value=value, description=name, **_SLIDER)


def image_slider(count: int) -> ipywidgets.IntSlider:
    """A slider for the index of one of `count` images."""
    return ipywidgets.IntSlider(value=0, min=0, max=count - 1, description="image", **_SLIDER)


def image_batch(images: Any, *, square: bool = False) -> Tensor:
    """Images as a float tensor (N, C, H, W) on the CPU, in [0, 1]; takes uint8 or float.

    Raises:
        ValueError: another shape, no image, or images that are not square where they must be.
    """
    import torch

    batch = torch.as_tensor(images).detach().cpu()
    if batch.ndim != 4 or len(batch) == 0 or (square and batch.shape[2] != batch.shape[3]):
        expected = "(N, C, H, H)" if square else "(N, C, H, W)"
        raise ValueError(f"images has shape {tuple(batch.shape)}; expected {expected} with at least one image.")
    return batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()
