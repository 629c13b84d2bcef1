"""Captions for glyphs, made from the factors that the images were drawn with: "one large faint mug at the left top".

A caption has a beginning, at times a size and a brightness, a name of the class, and at times a place. Each class has
up to three names. How often a caption names its class, and which classes are never named, can be chosen; what is not
named is a "thing".

>>> from course_lib.data import draw_glyphs
>>> data = draw_glyphs(n=2)
>>> captions = describe(data, generator=torch.Generator().manual_seed(0))
>>> [" ".join(words) for words in captions]
['a faint pine at the right', 'one faint light at the left']
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.data.images import ImageData

Caption = tuple[str, ...]  # lower-case words

NAMES = {
    "house": ("house", "home", "cottage"),
    "tree": ("tree", "fir", "pine"),
    "boat": ("boat", "ship", "sailboat"),
    "cup": ("cup", "mug", "teacup"),
    "key": ("key",),
    "umbrella": ("umbrella", "parasol"),
    "mushroom": ("mushroom", "toadstool"),
    "fish": ("fish",),
    "lamp": ("lamp", "light"),
    "star": ("star",),
}
UNNAMED = "thing"
BEGINNINGS = ("a", "one", "there is a", "picture of a")
QUALITIES = ("large", "small", "bright", "faint")
LONGEST = 11  # words

# Factors -> words: above and below these a glyph is large or small (half height in pixels), left or right (pixels).
_LARGE, _SMALL, _BRIGHT, _ASIDE = 10.5, 9.0, 0.45, 0.8
_SAID = 0.7  # the chance that a caption has a size, a brightness, a place


def describe(
    data: ImageData, *, generator: torch.Generator, named: float = 1.0, never: Sequence[str] = ()
) -> list[Caption]:
    """A caption for each glyph, as a tuple of words.

    Args:
        data: glyphs with the factors `x`, `y`, `scale` and `contrast`, as `draw_glyphs` returns them.
        generator: CPU generator that all draws come from; the same number of draws per image, whatever the options.
        named: the share of the captions that name the class, between 0 and 1.
        never: classes that no caption names.

    Raises:
        ValueError: a class without names, a share out of range, an unknown class in `never`, or missing factors.
    """
    if unknown := [name for name in (*data.class_names, *never) if name not in NAMES]:
        raise ValueError(f"there are no names for {unknown[0]!r}; there are for {', '.join(NAMES)}.")
    if not 0 <= named <= 1:
        raise ValueError(f"named must be between 0 and 1; got {named}.")
    if missing := [name for name in ("x", "y", "scale", "contrast") if name not in data.factors]:
        raise ValueError(f"the images have no factor {missing[0]!r}; captions are made from the factors of glyphs.")
    draws = torch.rand(len(data), 6, generator=generator).tolist()
    columns = [data.labels.tolist()] + [data.factors[key].tolist() for key in ("x", "y", "scale", "contrast")]
    captions = []
    for drawn, label, x, y, scale, contrast in zip(draws, *columns, strict=True):
        name = data.class_names[label]
        told = drawn[0] < named and name not in never
        words = _one_of(BEGINNINGS, drawn[2]).split()
        if drawn[3] < _SAID and not _SMALL <= scale <= _LARGE:
            words.append("large" if scale > _LARGE else "small")
        if drawn[4] < _SAID:
            words.append("bright" if contrast > _BRIGHT else "faint")
        words.append(_one_of(NAMES[name], drawn[1]) if told else UNNAMED)
        if drawn[5] < _SAID:
            words += ["at", "the", *place_of(x, y)]
        captions.append(tuple(words))
    return captions


def place_of(x: float, y: float) -> Caption:
    """The words for a place, x to the right and y upwards, in pixels from the middle.

    >>> place_of(-2.0, 3.0), place_of(0.0, 0.0)
    (('left', 'top'), ('middle',))
    """
    across = "left" if x < -_ASIDE else "right" if x > _ASIDE else "middle"
    return (across, "top") if y > _ASIDE else (across, "bottom") if y < -_ASIDE else (across,)


def exchanged(captions: Sequence[Caption], share: float, *, generator: torch.Generator) -> list[Caption]:
    """The captions, of which a share is handed around among the images: each of these gets that of the next one.

    >>> exchanged([("a",), ("b",), ("c",)], 0.0, generator=torch.Generator())
    [('a',), ('b',), ('c',)]

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1; got {share}.")
    chosen = torch.randperm(len(captions), generator=generator)[: round(share * len(captions))].tolist()
    result = list(captions)
    for here, there in zip(chosen, chosen[1:] + chosen[:1]):
        result[here] = captions[there]
    return result


def prompts_for(name: str) -> list[str]:
    """All prompts of a class: each beginning, each quality or none, each of its names.

    >>> prompts_for("key")[:3]
    ['a key', 'a large key', 'a small key']

    Raises:
        ValueError: a class without names.
    """
    if name not in NAMES:
        raise ValueError(f"there are no names for {name!r}; there are for {', '.join(NAMES)}.")
    return [
        " ".join([beginning, *quality, word])
        for beginning in BEGINNINGS
        for quality in ((), *((q,) for q in QUALITIES))
        for word in NAMES[name]
    ]


def beside(data: ImageData) -> Tensor:
    """Which glyphs are clearly left (0) or right (1) of the middle; -1 for the others: int64 (N,)."""
    x = data.factors["x"]
    return torch.where(x.abs() > _ASIDE, (x > 0).long(), -torch.ones(len(x), dtype=torch.int64))


def _one_of(choices: Sequence[str], drawn: float) -> str:
    return choices[min(int(drawn * len(choices)), len(choices) - 1)]
