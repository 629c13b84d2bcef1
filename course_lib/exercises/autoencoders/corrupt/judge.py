"""`corrupt`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import (
    everywhere,
    global_state_kept,
    inputs_kept,
    is_independent,
    is_standard_normal,
    somewhere,
)
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close

UNCUT = ("gray", "same_image", "one", "transposed", "float16", "float64")  # so far from 0 and 1 that nothing is cut off


def reference(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


def added(case: Case, seen: Values) -> Tensor:
    """What was added to the images, as a multiple of `noise`."""
    return (seen["corrupted"] - case.inputs["images"]).double() / case.inputs["noise"]


def gaussian_and_fresh(case: Case, seen: Values, expected: Values) -> bool:
    epsilon = added(case, seen)
    within_images = (epsilon.flatten(1).std(dim=1) > 0.5).all()
    among_images = len(epsilon) == 1 or (epsilon - epsilon.mean(dim=0)).std() > 0.5
    following = (seen["next_call"] - case.inputs["images"]).double() / case.inputs["noise"]
    unlike_the_next = abs(float((epsilon * following).mean())) < 6 / epsilon.numel() ** 0.5
    own = bool(within_images and among_images) and unlike_the_next and is_independent(epsilon)
    return is_standard_normal(epsilon) and own


def keeps_range(case: Case, seen: Values, expected: Values) -> bool:
    corrupted, images = seen["corrupted"], case.inputs["images"]
    cut = float(((corrupted == 0) | (corrupted == 1)).double().mean())
    # black pixels become brighter, white ones darker: about half are cut off; with strong noise, gray ones too
    shares = {"dark_and_bright": 0.4 < cut < 0.6, "strong": 0.54 < cut < 0.7 and bool((corrupted != images).all())}
    special = {"no_noise": close(corrupted, images), **shares}
    kept = corrupted.shape == images.shape and corrupted.dtype == images.dtype
    return kept and bool(corrupted.min() >= 0 and corrupted.max() <= 1) and special.get(case.name, True)


def uses_generator(case: Case, seen: Values, expected: Values) -> bool:
    same = torch.equal(seen["corrupted"], seen["same_seed"])
    moves_on = case.inputs["noise"] == 0 or not torch.equal(seen["corrupted"], seen["next_call"])
    return same and moves_on and global_state_kept(seen)


def leaves_input(case: Case, seen: Values, expected: Values) -> bool:
    kept = inputs_kept(case, seen, "images") and not seen["memory_of_the_images"]
    return kept and seen["corrupted"].shape == case.inputs["images"].shape


def cut_too_early(t: Trial) -> bool:
    """Whether nothing became darker, and about half of the pixels stayed as they were."""
    epsilon = added(t.case, t.seen)
    return bool((epsilon >= 0).all()) and 0.4 < float((epsilon == 0).double().mean()) < 0.6


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "noise",
            1,
            "every pixel of every image gets its own Gaussian noise of standard deviation `noise`",
            gaussian_and_fresh,
            UNCUT,
        ),
        Criterion("range", 1, "shape and dtype stay, values are cut off at 0 and 1", keeps_range),
        Criterion(
            "generator", 1, "the noise comes from the generator, and from nowhere else", uses_generator, form=True
        ),
        Criterion(
            "input_kept",
            1,
            "the clean images are not changed, and the result is a new tensor, without noise too",
            leaves_input,
        ),
    ),
    predicates={
        "into_the_input": somewhere(lambda t: not inputs_kept(t.case, t.seen, "images")),
        "seeded_inside": everywhere(lambda t: torch.equal(t.seen["corrupted"], t.seen["next_call"]), *UNCUT),
        "cut_too_early": everywhere(cut_too_early, *UNCUT),
        "without_clamp": somewhere(lambda t: bool(t.seen["corrupted"].min() < 0 or t.seen["corrupted"].max() > 1)),
    },
    exact=False,
)
