"""`mask_patches`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.judging import in_all, in_any, ran


def reference(images, patch_size, ratio, *, generator):
    rows, columns = images.shape[2] // patch_size, images.shape[3] // patch_size
    rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (rank < round(ratio * rows * columns)).reshape(-1, 1, rows, columns).to(images.device)
    mask = hidden.repeat_interleave(patch_size, dim=2).repeat_interleave(patch_size, dim=3)
    return images.masked_fill(mask, 0.0), mask


_CHANCE = ("wide", "square", "color", "tall_patches_of_three", "transposed", "float64")  # several images, some hidden


def _cells(case: Case, mask: Tensor) -> Tensor:
    """(N, patches, pixels of a patch) of a mask (N, 1, H, W)."""
    size = case.inputs["patch_size"]
    return mask.unfold(2, size, size).unfold(3, size, size).flatten(4).flatten(1, 3)


def _shape_fine(case: Case, seen: Values) -> bool:
    images, mask = case.inputs["images"], seen["mask"]
    return isinstance(mask, Tensor) and mask.shape == (len(images), 1, *images.shape[2:])


def _whole_patches(case: Case, seen: Values, expected: Values) -> bool:
    if not _shape_fine(case, seen) or seen["mask_dtype"] != "torch.bool":
        return False
    cells = _cells(case, seen["mask"])
    return bool((cells == cells[..., :1]).all())


def _share(case: Case, mask: Tensor) -> list[float]:
    return mask.double().flatten(1).mean(dim=1).tolist()


def _share_right(case: Case, seen: Values, expected: Values) -> bool:
    return (
        _shape_fine(case, seen)
        and seen["masked"].shape == case.inputs["images"].shape
        and all(abs(share - case.inputs["ratio"]) < 1e-6 for share in _share(case, seen["mask"]))
    )


def _each_its_own(case: Case, seen: Values, expected: Values) -> bool:
    mask = seen["mask"]
    fresh = case.name not in _CHANCE or (
        not (mask == mask[:1]).all() and not torch.equal(mask, seen["mask_of_next_call"])
    )
    return (
        bool(fresh)
        and len(mask) == len(case.inputs["images"])
        and torch.equal(mask, seen["mask_of_same_seed"])
        and torch.equal(seen["global_state_before"], seen["global_state_after"])
    )


def _hidden_are_zero(case: Case, seen: Values, expected: Values) -> bool:
    images, masked = case.inputs["images"], seen["masked"]
    mask = seen["mask"] if seen["mask"].ndim == 4 else seen["mask"][:, None]
    return (
        torch.equal(masked, images.masked_fill(mask.bool(), 0.0))
        and masked.dtype == images.dtype
        and torch.equal(seen["images_after"], images)
    )


def _for_chance(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    found = [t for t in ran(trials) if t.case.name in _CHANCE]
    return bool(found) and all(predicate(t) for t in found)


def _hides_share(trials: Sequence[Trial], wanted: Callable[[float], float]) -> bool:
    return _for_chance(
        trials,
        lambda t: all(abs(s - wanted(t.case.inputs["ratio"])) < 1e-6 for s in _share(t.case, t.seen["mask"])),
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "patches",
            1,
            "`mask` is bool, `(N, 1, H, W)`, and hides whole patches of the grid",
            _whole_patches,
        ),
        Criterion("share", 1, "in every image exactly the share `ratio` of the patches is hidden", _share_right),
        Criterion(
            "chance",
            1,
            "other patches in each image and at each call, drawn from the generator alone",
            _each_its_own,
        ),
        Criterion(
            "hidden",
            1,
            "pixels are 0 where `mask` is True and unchanged elsewhere; the images given stay as they are",
            _hidden_are_zero,
        ),
    ),
    predicates={
        "masked_in_place": lambda trials: in_any(
            trials, lambda t: not torch.equal(t.seen["images_after"], t.case.inputs["images"])
        ),
        "same_patches_for_all": lambda trials: _for_chance(
            trials, lambda t: bool((t.seen["mask"] == t.seen["mask"][:1]).all())
        ),
        "mask_for_every_channel": lambda trials: in_all(
            trials, lambda t: t.seen["mask"].shape == t.case.inputs["images"].shape
        ),
        "filled_with_gray": lambda trials: _for_chance(
            trials,
            lambda t: (
                bool((t.seen["masked"] != 0).all()) and not torch.equal(t.seen["masked"], t.case.inputs["images"])
            ),
        ),
        "mask_says_visible": lambda trials: _for_chance(
            trials,
            lambda t: (
                torch.equal(t.seen["masked"], t.case.inputs["images"] * t.seen["mask"].bool())
                and _hides_share([t], lambda ratio: 1 - ratio)
            ),
        ),
        "pixel_by_pixel": lambda trials: _for_chance(trials, lambda t: not _whole_patches(*t[:3])),
        "coin_for_each_patch": lambda trials: in_any(trials, lambda t: len(set(_share(t.case, t.seen["mask"]))) > 1),
    },
    exact=False,
)
