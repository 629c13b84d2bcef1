"""Augmentation in batches: every image draws its own parameters, and one tensor operation serves the whole batch.

All functions take float images (N, C, H, W) on any device and return a new tensor of the same shape, dtype and device.
Parameters are drawn on the CPU from the given generator and then moved, so CPU and GPU see the same augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Augmentation = Callable[..., Tensor]


def _check(x: Tensor) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(
            f"augmentation needs float images (N, C, H, W); got {x.dtype} of {tuple(x.shape)}. Use as_float(images)."
        )


def _uniform(x: Tensor, low: float, high: float, generator: torch.Generator, columns: int = 1) -> Tensor:
    """(N, columns) numbers in [low, high), drawn on the CPU, on the device and in the dtype of `x`."""
    drawn = low + (high - low) * torch.rand(len(x), columns, generator=generator)
    return drawn.to(device=x.device, dtype=x.dtype)


def _window(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """The (height, width) window of each image at its own corner: (N, C, H, W), (N,), (N,) -> (N, C, height, width)."""
    # A view with every window of every image, without copying; then one window per image is copied row by row. An index
    # for each pixel gives the same and takes nine times as long.
    windows = x.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, tops, lefts, height, width)
    return windows[torch.arange(len(x), device=x.device), :, top, left]


def random_crop(
    x: Tensor, *, size: int | None = None, padding: int = 4, mode: str = "constant", generator: torch.Generator
) -> Tensor:
    """Pads by `padding` pixels on each side, then cuts a window at a random place of each image.

    Args:
        size: height and width of the window; None keeps the size of the images.
        mode: how to pad: "constant" (zeros), "reflect" or "replicate".
    """
    _check(x)
    height, width = (x.shape[2], x.shape[3]) if size is None else (size, size)
    room = (x.shape[2] + 2 * padding - height, x.shape[3] + 2 * padding - width)
    if padding < 0 or min(room) < 0 or min(height, width) < 1:
        raise ValueError(
            f"a window of {height}x{width} does not fit {x.shape[2]}x{x.shape[3]} images with padding {padding}."
        )
    padded = F.pad(x, (padding,) * 4, mode=mode) if padding else x
    top = torch.randint(0, room[0] + 1, (len(x),), generator=generator).to(x.device)
    left = torch.randint(0, room[1] + 1, (len(x),), generator=generator).to(x.device)
    return _window(padded, top, left, height, width)


def random_shift(x: Tensor, *, max_shift: int = 2, generator: torch.Generator) -> Tensor:
    """Moves each image by up to `max_shift` whole pixels in each direction; the border pixels are repeated."""
    return random_crop(x, padding=max_shift, mode="replicate", generator=generator)


def random_horizontal_flip(x: Tensor, *, probability: float = 0.5, generator: torch.Generator) -> Tensor:
    """Mirrors each image left to right with the given probability."""
    _check(x)
    chosen = (torch.rand(len(x), generator=generator) < probability).to(x.device)
    return torch.where(chosen[:, None, None, None], x.flip(3), x)


def random_affine(
    x: Tensor,
    *,
    max_degrees: float = 15.0,
    max_shift: float = 0.1,
    scale: tuple[float, float] = (0.9, 1.1),
    generator: torch.Generator,
) -> Tensor:
    """Turns, moves and scales each image about its center, by bilinear sampling; the border pixels are repeated.

    Args:
        max_degrees: largest turn, either way.
        max_shift: largest move, as a share of the image's side.
        scale: smallest and largest magnification.
    """
    _check(x)
    if not 0 < scale[0] <= scale[1]:
        raise ValueError(f"scale must be (smallest, largest), both above 0; got {scale}.")
    radians = max_degrees * math.pi / 180
    angle = _uniform(x, -radians, radians, generator)[:, 0]
    shift = _uniform(x, -2 * max_shift, 2 * max_shift, generator, columns=2)  # a side is 2 long in sampling coordinates
    zoom = _uniform(x, scale[0], scale[1], generator)[:, 0]
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    # The aspect ratio enters because sampling coordinates run from -1 to 1 along both sides, whatever their lengths.
    ratio = x.shape[2] / x.shape[3]
    theta = torch.stack(
        [torch.stack([cos, -sin * ratio, shift[:, 0]], 1), torch.stack([sin / ratio, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def turned(x: Tensor, degrees: float, *, padding: str = "zeros") -> Tensor:
    """Turns all images counterclockwise by one angle, without any chance.

    Args:
        degrees: the angle; 90 is a quarter turn.
        padding: what comes into the corners: "zeros", or "border" to repeat the border pixels.
    """
    _check(x)
    angle, ratio = math.radians(degrees), x.shape[2] / x.shape[3]
    cos, sin = math.cos(angle), math.sin(angle)
    # Where a pixel of the turned image comes from; rows count downwards.
    theta = torch.tensor([[cos, -sin * ratio, 0.0], [sin / ratio, cos, 0.0]], dtype=x.dtype, device=x.device)
    grid = F.affine_grid(theta.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def cutout(x: Tensor, *, size: int = 8, fill: float | None = None, generator: torch.Generator) -> Tensor:
    """Covers a square of `size` pixels in each image (DeVries and Taylor 2017); part of it may lie outside.

    Args:
        fill: gray level of the square; None takes each image's own mean.
    """
    _check(x)
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel; got {size}.")
    height, width = x.shape[2:]
    row = torch.randint(0, height, (len(x), 1), generator=generator).to(x.device)
    column = torch.randint(0, width, (len(x), 1), generator=generator).to(x.device)
    # Distance is measured from the square's first pixel, so that an even size covers exactly `size` pixels.
    down = torch.arange(height, device=x.device) - (row - size // 2)
    right = torch.arange(width, device=x.device) - (column - size // 2)
    covered = ((down >= 0) & (down < size))[:, None, :, None] & ((right >= 0) & (right < size))[:, None, None, :]
    value = x.mean(dim=(1, 2, 3), keepdim=True) if fill is None else torch.full_like(x[:, :1, :1, :1], fill)
    return torch.where(covered, value, x)


def random_brightness_contrast(
    x: Tensor, *, brightness: float = 0.2, contrast: float = 0.2, generator: torch.Generator
) -> Tensor:
    """Scales each image about its own mean by 1 +- `contrast`, adds up to +- `brightness`, and clips to [0, 1]."""
    _check(x)
    gain = 1 + _uniform(x, -contrast, contrast, generator)[:, :, None, None]
    offset = _uniform(x, -brightness, brightness, generator)[:, :, None, None]
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return ((x - mean) * gain + mean + offset).clamp(0, 1)


def gaussian_noise(x: Tensor, *, std: float = 0.1, generator: torch.Generator) -> Tensor:
    """Adds independent normal noise of standard deviation `std` (in gray levels of [0, 1]) and clips to [0, 1]."""
    _check(x)
    if std < 0:
        raise ValueError(f"std must not be negative; got {std}.")
    noise = torch.randn(x.shape, generator=generator).to(device=x.device, dtype=x.dtype)
    return (x + std * noise).clamp(0, 1)


def compose(*augmentations: Augmentation) -> Augmentation:
    """One augmentation that applies the given ones in order, all with the same generator.

    >>> weak = compose(random_shift, random_horizontal_flip)
    >>> weak(torch.rand(2, 1, 8, 8), generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 8, 8])
    """

    def composed(x: Tensor, *, generator: torch.Generator) -> Tensor:
        for augmentation in augmentations:
            x = augmentation(x, generator=generator)
        return x

    return composed
