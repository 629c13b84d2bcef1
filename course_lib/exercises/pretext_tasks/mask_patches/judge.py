"""`mask_patches`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, everywhere_with_dtype, inputs_kept, is_independent, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.pretext_tasks.judge import repeatable


def reference(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


_CHANCE = ("wide", "square", "color", "tall_patches_of_three", "transposed", "float64")  # several images, some hidden


def _has_shape(case: Case, seen: Values) -> bool:
    images, mask = case.inputs["images"], seen["mask"]
    return isinstance(mask, Tensor) and mask.shape == (len(images), 1, *images.shape[2:])


def _grid(case: Case, seen: Values, expected: Values) -> bool:
    if not _has_shape(case, seen) or seen["mask_dtype"] != "torch.bool":
        return False
    size = case.inputs["patch_size"]
    pixels = seen["mask"].unfold(2, size, size).unfold(3, size, size).flatten(4)  # (N, 1, rows, columns, size * size)
    return bool((pixels == pixels[..., :1]).all())


def _hides(mask: Tensor, ratio: float) -> bool:
    """Whether that share of the pixels is hidden in every image."""
    return bool(((mask.double().flatten(1).mean(dim=1) - ratio).abs() < 1e-6).all())


def _share(case: Case, seen: Values, expected: Values) -> bool:
    whole = _has_shape(case, seen) and seen["masked"].shape == case.inputs["images"].shape
    return whole and _hides(seen["mask"], float(expected["mask"].double().mean()))


def _same_for_all(mask: Tensor) -> bool:
    return bool((mask == mask[:1]).all())


def _chance(case: Case, seen: Values, expected: Values) -> bool:
    mask = seen["mask"]
    varied = not _same_for_all(mask) and not torch.equal(mask, seen["mask_of_next_call"])
    if case.name == "square":  # no hidden patch tells of the one beside it, nor of another image
        hidden = mask[:, 0, ::4, ::4].double().flatten(1)
        varied = varied and is_independent((hidden - hidden.mean()) / hidden.std())
    return (varied or case.name not in _CHANCE) and repeatable(seen, "mask") and len(mask) == len(case.inputs["images"])


def _hidden(case: Case, seen: Values, expected: Values) -> bool:
    images, masked = case.inputs["images"], seen["masked"]
    mask = seen["mask"] if seen["mask"].ndim == 4 else seen["mask"][:, None]
    zero = torch.equal(masked, images.masked_fill(mask.bool(), 0.0))
    return zero and masked.dtype == images.dtype and inputs_kept(case, seen, "images")


def _never_zero(t: Trial) -> bool:
    return bool((t.seen["masked"] != 0).all()) and not torch.equal(t.seen["masked"], t.case.inputs["images"])


def _shows_where_true(t: Trial) -> bool:
    shown = torch.equal(t.seen["masked"], t.case.inputs["images"] * t.seen["mask"].bool())
    return shown and _hides(t.seen["mask"], 1 - float(t.expected["mask"].double().mean()))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "patches", 1, "`mask` is bool, `(N, 1, H, W)`, and hides whole patches of the grid", _grid, form=True
        ),
        Criterion("share", 1, "in every image exactly the share `ratio` of the patches is hidden", _share),
        Criterion(
            "chance",
            1,
            "the hidden patches differ in each image and at each call, and come from the generator alone",
            _chance,
            form=True,
        ),
        Criterion(
            "hidden",
            1,
            "pixels are 0 where `mask` is True and unchanged elsewhere; the images given stay as they are",
            _hidden,
        ),
    ),
    predicates={
        "masked_in_place": somewhere(lambda t: not inputs_kept(t.case, t.seen, "images")),
        "same_patches_for_all": everywhere(lambda t: _same_for_all(t.seen["mask"]), *_CHANCE),
        "mask_for_every_channel": everywhere(lambda t: t.seen["mask"].shape == t.case.inputs["images"].shape),
        "filled_with_gray": everywhere(_never_zero, *_CHANCE),
        "mask_says_visible": everywhere(_shows_where_true, *_CHANCE),
        "mask_of_numbers": everywhere_with_dtype(lambda t: t.seen["mask"].dtype != torch.bool, "mask_dtype"),
        "pixel_by_pixel": everywhere(lambda t: not _grid(*t[:3]), *_CHANCE),
        "coin_for_each_patch": somewhere(lambda t: len(t.seen["mask"].double().flatten(1).mean(dim=1).unique()) > 1),
    },
    exact=False,
)
