"""`two_views`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, global_state_kept, inputs_kept, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.contrastive.judge import reference_two_views

VIEWS = ("view1", "view2")


def _gains(case: Case, view: object) -> Tensor | None:
    """The number that each image was multiplied by; None where a view is not such a product, row by row."""
    images = case.inputs["images"]
    if not isinstance(view, Tensor) or view.shape != images.shape or view.dtype != images.dtype:
        return None
    ratio = (view / images).flatten(1)
    return ratio[:, 0] if bool((ratio - ratio[:, :1]).abs().max() < 1e-4) else None


def _augmented_once(case: Case, view: object) -> bool:
    gains = _gains(case, view)
    inside = gains is not None and bool(((gains > 0.49) & (gains < 1.51)).all())
    return gains is not None and inside and not close(gains, torch.ones_like(gains))


def _right_images(case: Case, seen: Values, expected: Values) -> bool:
    return _augmented_once(case, seen["view1"]) and _augmented_once(case, seen["view2"])


def _apart(case: Case, seen: Values, expected: Values) -> bool:
    one, two = (_gains(case, seen[name]) for name in VIEWS)
    if one is None or two is None or close(one, two):
        return False
    if len(one) < 100:
        return True
    together = torch.corrcoef(torch.stack([one, two]).double())[0, 1]
    return abs(float(together)) < 0.35 and min(float(one.std()), float(two.std())) > 0.22


def _repeatable(seen: Values) -> bool:
    same = all(close(seen[name], seen[f"{name}_of_same_seed"]) for name in VIEWS)
    return same and global_state_kept(seen)


def _drawn_again(seen: Values) -> bool:
    """Whether one of the views is the same in a second call with the same generator."""
    return any(close(seen[name], seen[f"{name}_of_next_call"]) for name in VIEWS)


def _chance(case: Case, seen: Values, expected: Values) -> bool:
    drawn_twice = not close(seen["view1"], seen["view2"])
    return drawn_twice and not _drawn_again(seen) and _repeatable(seen) and inputs_kept(case, seen, "images")


def _is_original(t: Trial, name: str) -> bool:
    return close(t.seen[name], t.case.inputs["images"])


judge = Judge(
    reference=reference_two_views,
    criteria=(
        Criterion("views", 1, "row n of both views is image n, augmented once, `(N, C, H, W)`", _right_images),
        Criterion("apart", 1, "the two views of an image are drawn apart from each other", _apart),
        Criterion(
            "chance",
            1,
            "each view is drawn from the generator given, and the images stay as they are",
            _chance,
            form=True,
        ),
    ),
    predicates={
        "views_changed_in_place": somewhere(lambda t: not inputs_kept(t.case, t.seen, "images")),
        "original_kept": everywhere(lambda t: _is_original(t, "view1") or _is_original(t, "view2")),
        "views_without_generator": somewhere(lambda t: not global_state_kept(t.seen)),
        "same_view_twice": everywhere(lambda t: _right_images(*t[:3]) and close(t.seen["view1"], t.seen["view2"])),
        "augmented_twice": somewhere(
            lambda t: all(_gains(t.case, t.seen[name]) is not None for name in VIEWS) and not _right_images(*t[:3]),
            "many",
        ),
        "seeded_inside": everywhere(lambda t: _right_images(*t[:3]) and _apart(*t[:3]) and _drawn_again(t.seen)),
        "rows_exchanged": somewhere(
            lambda t: (
                any(_augmented_once(t.case, t.seen[name]) for name in VIEWS)
                and any(_gains(t.case, t.seen[name]) is None for name in VIEWS)
                and t.seen["view1"].shape == t.seen["view2"].shape
            ),
            "many",
        ),
    },
    exact=False,
)
