"""Glyphs: ten pictograms, drawn on the fly. No file, no download, thousands of images per second, every factor known.

Each class is a signed-distance function (negative inside the shape) put together from circles, boxes, lines and
triangles, for a whole batch at once. An image is a shape, moved, scaled, tilted and mirrored, in some contrast, on a
background with a gradient, clutter and noise. Every class has one way up. The star is nearly the same when it is
turned; the anomalies, ring and cross, are exactly so.

Images are drawn in chunks of fixed size, each with its own generator, so image i of a stream is the same whatever the
number of images asked for, and nothing touches torch's global random state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_lib import keywords
from course_lib.data.images import ImageData

SIDE = 28
CHUNK = 500
BLOCK = 50  # labels are balanced within each block
STYLES = ("filled", "outlined")
SPLITS = ("train", "validation", "test")
STROKES = 4  # clutter lines that an image can have at most
BLOBS = 3  # and clutter dots

# How much each thing varies when its number in `Variation` is 1.
SHIFT = 0.2  # of half a side
SCALE = (0.55, 0.85)
TILT = 0.3  # radians
CLUTTER = 0.55  # chance that each stray thing is there
MIDDLE = 0.25  # the gray that `contrast` leaves as it is, about the mean of a picture
NOISE = 0.09  # largest standard deviation, of the gray range


# --- signed distances. p = (u, v): canonical coordinates (M, SIDE, SIDE), v upwards, shapes within [-1, 1] ----------


def _circle(u: Tensor, v: Tensor, x: float | Tensor, y: float | Tensor, radius: float | Tensor) -> Tensor:
    du, dv = u - x, v - y
    return (du * du + dv * dv).sqrt() - radius


def _box(u: Tensor, v: Tensor, x: float, y: float, half_width: float | Tensor, half_height: float | Tensor) -> Tensor:
    du, dv = (u - x).abs() - half_width, (v - y).abs() - half_height
    a, b = du.clamp(min=0), dv.clamp(min=0)
    return (a * a + b * b).sqrt() + torch.maximum(du, dv).clamp(max=0)


def _line(u: Tensor, v: Tensor, x0, y0, x1, y1, half_width) -> Tensor:  # type: ignore[no-untyped-def]
    """A stroke with round ends; the arguments are numbers or tensors (M, 1, 1)."""
    du, dv, ex, ey = u - x0, v - y0, x1 - x0, y1 - y0
    along = ((du * ex + dv * ey) / (ex * ex + ey * ey)).clamp(0, 1)
    du, dv = du - along * ex, dv - along * ey
    return (du * du + dv * dv).sqrt() - half_width


def _polygon(u: Tensor, v: Tensor, corners: Sequence[tuple[float | Tensor, float | Tensor]]) -> Tensor:
    """A convex polygon, corners counterclockwise: the largest of the distances to its sides."""
    distance: Tensor | None = None
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]]):
        ex, ey = x1 - x0, y1 - y0
        length = (ex * ex + ey * ey) ** 0.5
        side = ((u - x0) * ey - (v - y0) * ex) / length
        distance = side if distance is None else torch.maximum(distance, side)
    assert distance is not None
    return distance


def _union(*parts: Tensor) -> Tensor:
    result = parts[0]
    for part in parts[1:]:
        result = torch.minimum(result, part)
    return result


def _without(shape: Tensor, hole: Tensor) -> Tensor:
    return torch.maximum(shape, -hole)


# --- the classes. `a` and `b` (M, 1, 1), in [-1, 1], vary the proportions of a shape ---------------------------------


def _house(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    body = _box(u, v, 0, -0.4, 0.62 + 0.06 * b, 0.5)
    roof = _polygon(u, v, [(-0.92, 0.02), (0.92, 0.02), (0.0 * a, 0.85 + 0.1 * a)])
    door = _box(u, v, 0.18, -0.6, 0.16, 0.36)
    return _without(_union(body, roof), door)


def _tree(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    trunk = _box(u, v, 0, -0.72, 0.14 + 0.03 * b, 0.25)
    low = _polygon(u, v, [(-0.78, -0.52), (0.78, -0.52), (0.0 * a, 0.4 + 0.1 * a)])
    high = _polygon(u, v, [(-0.55, 0.05), (0.55, 0.05), (0.0 * a, 0.97)])
    return _union(trunk, low, high)


def _boat(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    hull = _polygon(u, v, [(-0.5 + 0.08 * b, -0.85), (0.5, -0.85), (0.92, -0.38), (-0.92, -0.38)])
    mast = _line(u, v, -0.08, -0.4, -0.08, 0.92, 0.07)
    sail = _polygon(u, v, [(0.08, -0.22), (0.72 + 0.1 * a, -0.22), (0.08, 0.85)])
    return _union(hull, mast, sail)


def _cup(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    body = _polygon(u, v, [(-0.5 + 0.08 * a, -0.72), (0.22 - 0.08 * a, -0.72), (0.42, 0.62), (-0.72, 0.62)])
    handle = _circle(u, v, 0.42, 0.08, 0.34 + 0.04 * b).abs() - 0.1
    return _union(body, _without(handle, _box(u, v, -0.4, 0.0, 0.6, 1.0)))


def _key(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    bow = _circle(u, v, 0, 0.52, 0.32 + 0.03 * a).abs() - 0.13
    shaft = _line(u, v, 0, 0.15, 0, -0.88, 0.11)
    tooth = _box(u, v, 0.25, -0.78, 0.22, 0.09)
    other = _box(u, v, 0.2, -0.42, 0.17 + 0.03 * b, 0.09)
    return _union(bow, shaft, tooth, other)


def _umbrella(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    dome = torch.maximum(_circle(u, v, 0, 0.02, 0.88 + 0.04 * a), 0.1 - v)
    stick = _line(u, v, 0, 0.2, 0, -0.68, 0.08)
    hook = torch.maximum(_circle(u, v, 0.2, -0.68, 0.2).abs() - 0.08, v + 0.68)
    return _union(dome, stick, hook)


def _mushroom(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    cap = torch.maximum(_circle(u, v, 0, -0.02, 0.86), 0.02 - v)
    stem = _box(u, v, 0, -0.4, 0.27 + 0.06 * a, 0.48)
    return _union(cap, stem)


def _fish(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    w = v * (1.7 - 0.2 * a)
    body = _circle(u, w, 0.15, 0, 0.68)
    tail = _polygon(u, v, [(-0.95, -0.42), (-0.4, 0.0 * a), (-0.95, 0.42)])
    fin = _polygon(u, v, [(-0.25, 0.3), (0.35, 0.3), (-0.2, 0.78 + 0.06 * b)])
    eye = _circle(u, v, 0.48, 0.1, 0.1)
    return _without(_union(body, tail, fin), eye)


def _lamp(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    shade = _polygon(u, v, [(-0.72 - 0.06 * a, 0.08), (0.72 + 0.06 * a, 0.08), (0.36, 0.85), (-0.36, 0.85)])
    stem = _line(u, v, 0, 0.1, 0, -0.8, 0.08)
    base = _box(u, v, 0, -0.8, 0.42 + 0.06 * b, 0.09)
    return _union(shade, stem, base)


def _star(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    # Folded along its mirror lines until one side of one point is left; the rest is the distance to that side's line.
    radius, inner, angle = 0.95, 0.4 + 0.03 * a, 0.3 * math.pi
    cos, sin = math.cos(angle), math.sin(angle)  # of the valley to the right of the upper point
    v = v + 0.05
    u = u.abs()
    for _ in range(2):
        beyond = (u * sin - v * cos).clamp(min=0)
        u, v = (u - 2 * sin * beyond).abs(), v + 2 * cos * beyond
    run, fall = inner * cos, radius - inner * sin
    return (u * fall + (v - radius) * run) / (run * run + fall * fall).sqrt()


def _ring(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _circle(u, v, 0, 0, 0.62 + 0.06 * a).abs() - (0.2 + 0.03 * b)


def _cross(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    half = 0.16 + 0.03 * a
    return _union(_line(u, v, -0.65, -0.65, 0.65, 0.65, half), _line(u, v, -0.65, 0.65, 0.65, -0.65, half))


_SHAPES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "house": _house,
    "tree": _tree,
    "boat": _boat,
    "cup": _cup,
    "key": _key,
    "umbrella": _umbrella,
    "mushroom": _mushroom,
    "fish": _fish,
    "lamp": _lamp,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}
ANOMALIES = ("ring", "cross")
CLASSES = tuple(name for name in _SHAPES if name not in ANOMALIES)


@dataclass(frozen=True, kw_only=True)
class Variation:
    """What varies in a set of glyphs, and how much.

    Attributes:
        style: "filled" (light shapes on dark) or "outlined" (dark outlines on light): two domains of the same classes.
        classes: names or indices into `CLASSES`; labels count in the order given. None is all ten. The anomalies
            "ring" and "cross" may be named too.
        clutter: amount of stray lines and dots; 0 is none, 1 the default.
        noise: amount of pixel noise; 0 is none.
        contrast: factor on all differences from a dark gray (0.25), noise included; 0.25 is a faint domain, as if in
            fog.
        jitter: factor on shift, scale, tilt and mirroring; 0 is centered, upright and of one size.
        imbalance: how many times as frequent the first class is as the last, falling geometrically; 1 is balanced.
        label_noise: share of labels replaced by another class; `factors["true_label"]` then keeps the right ones.
        anomalies: share of images replaced by a ring or a cross, labeled as two further classes;
            `factors["anomaly"]` is then 1 for them, 0 for the rest.
    """

    style: str = "filled"
    classes: Sequence[str | int] | None = None
    clutter: float = 1.0
    noise: float = 1.0
    contrast: float = 1.0
    jitter: float = 1.0
    imbalance: float = 1.0
    label_noise: float = 0.0
    anomalies: float = 0.0

    def check(self) -> None:
        """Checks everything but the classes.

        Raises:
            ValueError: a number out of range, or an unknown style.
        """
        for option, low, high in (
            ("clutter", 0, 2),
            ("noise", 0, 10),
            ("contrast", 0, 2),
            ("jitter", 0, 2),
            ("imbalance", 1, 1000),
            ("label_noise", 0, 1),
            ("anomalies", 0, 1),
        ):
            value = getattr(self, option)
            if not low <= value <= high:
                raise ValueError(f"{option} must be between {low} and {high}; got {value}.")
        if self.style not in STYLES:
            raise ValueError(f"style is {self.style!r}; glyphs come in {' and '.join(STYLES)}.")


def draw_glyphs(
    *, n: int, split: str = "train", seed: int = 0, variation: Variation | None = None, **more: Any
) -> ImageData:
    """Draws n gray pictograms of 28x28 pixels, with labels and the factors they were drawn from.

    The same seed draws the same scenes whatever varies beside it: with `style="outlined"` image i is the outline, dark
    on light, of what `style="filled"` shows at i. Train, validation and test are different streams of one seed.

    >>> draw_glyphs(n=3, classes=["house", "tree"], noise=0).images.shape
    torch.Size([3, 1, 28, 28])

    Args:
        n: images.
        split: "train", "validation" or "test".
        seed: of the stream.
        variation: what varies, see `Variation`.
        **more: single entries of it, which go before `variation`: style, classes, clutter, noise, contrast, jitter,
            imbalance, label_noise, anomalies.

    Returns:
        ImageData "glyphs"; images uint8 (n, 1, 28, 28). Factors, float32 (n,): `x`, `y` (of the center, in pixels,
        right and up), `scale` (half height in pixels), `tilt` (radians, counterclockwise), `aspect` (width by height),
        `shape` (a proportion of the pictogram, -1..1), `mirrored` (0 or 1), `contrast` (shape less background) and
        `background` (gray in 0..1; both before the outlined style is inverted), `clutter` (number of stray things),
        `noise` (standard deviation in 0..1).

    Raises:
        ValueError: an unknown split, style or class, or a number out of range.
        TypeError: an unknown keyword; the message names those that there are.
    """
    varied = keywords.merged(Variation, variation, more, function="draw_glyphs", besides=("n", "split", "seed"))
    names = _class_names(varied.classes)
    varied.check()
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; glyphs have {', '.join(SPLITS)}.")
    if n < 1:
        raise ValueError(f"n must be at least 1; got {n}.")
    if varied.label_noise > 0 and len(names) < 2:
        raise ValueError("label_noise needs at least two classes to confuse.")

    images, labels, columns = [], [], []
    for chunk in range(-(-n // CHUNK)):
        generator = _generator(seed, split, chunk)
        # Everything is drawn, whether it is used or not, so that no variation changes the rest of the scene.
        label = _draw_labels(len(names), varied.imbalance, generator)
        wrong = torch.rand(CHUNK, generator=generator) < varied.label_noise
        other = torch.randint(0, max(len(names) - 1, 1), (CHUNK,), generator=generator)
        odd = torch.rand(CHUNK, generator=generator) < varied.anomalies
        which = torch.randint(0, len(ANOMALIES), (CHUNK,), generator=generator)
        label = torch.where(odd, len(names) + which, label)
        picture, factors = _draw_chunk([*names, *ANOMALIES], label, varied, generator)
        if varied.label_noise > 0:
            factors["true_label"] = label
        if varied.anomalies > 0:
            factors["anomaly"] = odd.to(torch.int64)
        shown = torch.where(wrong & ~odd, (label + 1 + other) % len(names), label)
        images.append(picture)
        labels.append(shown)
        columns.append(factors)
    return ImageData(
        name="glyphs",
        images=torch.cat(images)[:n],
        labels=torch.cat(labels)[:n],
        class_names=(*names, *ANOMALIES) if varied.anomalies > 0 else names,
        factors={key: torch.cat([column[key] for column in columns])[:n] for key in columns[0]},
    )


def _class_names(classes: Sequence[str | int] | None) -> tuple[str, ...]:
    if classes is None:
        return CLASSES
    if isinstance(classes, str):
        raise ValueError(f"classes must be a sequence of names or indices, such as ['house', 'tree']; got {classes!r}.")
    names = []
    for entry in classes:
        if isinstance(entry, str) and entry in _SHAPES:
            names.append(entry)
        elif isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry < len(CLASSES):
            names.append(CLASSES[entry])
        else:
            raise ValueError(
                f"There is no glyph class {entry!r}; the names are {', '.join(_SHAPES)}; "
                f"indices run from 0 to {len(CLASSES) - 1}."
            )
    if not names or len(set(names)) < len(names):
        raise ValueError(f"classes must name at least one class, and none twice; got {list(classes)!r}.")
    return tuple(names)


def _generator(seed: int, split: str, chunk: int) -> torch.Generator:
    state = np.random.SeedSequence([seed, SPLITS.index(split), chunk]).generate_state(2)
    return torch.Generator().manual_seed(int(state[0]) | (int(state[1]) & 0x7FFFFFFF) << 32)


def _draw_labels(count: int, imbalance: float, generator: torch.Generator) -> Tensor:
    """(CHUNK,) labels, stratified within blocks of BLOCK images: exactly balanced where the classes divide a block."""
    rank = torch.rand(CHUNK // BLOCK, BLOCK, generator=generator).argsort(dim=1).argsort(dim=1).flatten()
    place = (rank + torch.rand(CHUNK, generator=generator)) / BLOCK
    weight = imbalance ** -(torch.arange(count, dtype=torch.float64) / max(count - 1, 1))
    edges = (weight / weight.sum()).cumsum(0)[:-1].to(torch.float32)
    return torch.searchsorted(edges.contiguous(), place.contiguous(), right=True)


def _draw_chunk(
    names: list[str], labels: Tensor, varied: Variation, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """CHUNK images of the classes `names[labels]`: uint8 (CHUNK, 1, SIDE, SIDE), and their factors."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(CHUNK, *shape, generator=generator)

    jitter = varied.jitter
    x, y = jitter * uniform(-SHIFT, SHIFT), jitter * uniform(-SHIFT, SHIFT)
    middle = (SCALE[0] + SCALE[1]) / 2
    scale = middle + jitter * uniform(SCALE[0] - middle, SCALE[1] - middle)
    tilt = jitter * uniform(-TILT, TILT)
    aspect = 1 + jitter * uniform(-0.15, 0.15)
    a, b = uniform(-1, 1), uniform(-1, 1)
    mirrored = (uniform(0, 1) < 0.5).to(torch.float32) * (1.0 if jitter > 0 else 0.0)
    background = uniform(0.05, 0.35)
    difference = uniform(0.3, 0.6)
    stroke = uniform(0.8, 1.3)  # outline width in pixels

    half = (SIDE - 1) / 2
    across = (torch.arange(SIDE) - half) / (SIDE / 2)  # pixel centers, in half sides
    right, up = across[None, None, :], -across[None, :, None]

    def column(values: Tensor) -> Tensor:
        return values[:, None, None]

    # Into the shape's own coordinates: move back, turn back, scale back.
    cos, sin = column(tilt.cos()), column(tilt.sin())
    dx, dy = right - column(x), up - column(y)
    flip = column(1 - 2 * mirrored)
    u = (cos * dx + sin * dy) / column(scale * aspect) * flip
    v = (cos * dy - sin * dx) / column(scale)

    distance = torch.empty(CHUNK, SIDE, SIDE)
    for label, name in enumerate(names):
        chosen = torch.nonzero(labels == label).squeeze(1)
        if len(chosen):
            distance[chosen] = _SHAPES[name](u[chosen], v[chosen], column(a[chosen]), column(b[chosen]))
    distance = distance * column(scale * (SIDE / 2))  # in pixels
    if varied.style == "outlined":
        distance = distance.abs() - column(stroke) / 2
    coverage = (0.5 - distance).clamp(0, 1)

    # Background: a flat gray, a gradient, stray lines and dots.
    slope = uniform(-0.12, 0.12, 2)
    canvas = column(background) + column(slope[:, 0]) * right + column(slope[:, 1]) * up
    stray = torch.zeros(CHUNK)
    for kind in range(STROKES + BLOBS):
        drawn = uniform(0, 1) < CLUTTER * varied.clutter
        place, direction, length = uniform(-1, 1, 2), uniform(0, 2 * math.pi), uniform(0.3, 1.0)
        width, gray = uniform(0.04, 0.1), uniform(-0.3, 0.6)
        x0, y0 = column(place[:, 0]), column(place[:, 1])
        if kind < STROKES:
            x1, y1 = x0 + column(length * direction.cos()), y0 + column(length * direction.sin())
            d = _line(right, up, x0, y0, x1, y1, column(width))
        else:
            d = _circle(right, up, x0, y0, column(2 * width))
        inside = (0.5 - d * (SIDE / 2)).clamp(0, 1) * column(drawn.to(torch.float32))
        canvas = canvas + inside * column(gray)
        stray += drawn

    canvas = canvas + coverage * (column(background + difference) - canvas)
    sigma = varied.noise * uniform(0, NOISE)
    canvas = canvas + column(sigma) * torch.randn(CHUNK, SIDE, SIDE, generator=generator)
    canvas = MIDDLE + varied.contrast * (canvas - MIDDLE)
    if varied.style == "outlined":
        canvas = 1 - canvas
    images = (canvas * 255).round().clamp(0, 255).to(torch.uint8)[:, None]
    factors = {
        "x": x * (SIDE / 2),
        "y": y * (SIDE / 2),
        "scale": scale * (SIDE / 2),
        "tilt": tilt,
        "aspect": aspect,
        "shape": a,
        "mirrored": mirrored,
        "contrast": varied.contrast * difference,
        "background": MIDDLE + varied.contrast * (background - MIDDLE),
        "clutter": stray,
        "noise": varied.contrast * sigma,
    }
    return images, factors
