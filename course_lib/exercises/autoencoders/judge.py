"""What several judges of unit 01 share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Trial, Values, close
from course_lib.exercises.judging import ran


def reference_corrupt(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


UNCUT = ("gray", "same_image", "one", "transposed", "float64")  # so far from 0 and 1 that nothing is cut off


def residual_of(case: Case, seen: Values) -> Tensor:
    return (seen["corrupted"] - case.inputs["images"]).double()


def is_gaussian(case: Case, seen: Values, expected: Values) -> bool:
    residual, noise = residual_of(case, seen), case.inputs["noise"]
    count = residual.numel()
    tails = float(
        (residual.abs() > 2 * noise).double().mean()
    )  # 4.6 % for a normal distribution, none for a uniform one
    return (
        abs(float(residual.mean())) < 5 * noise / math.sqrt(count)
        and abs(float(residual.std()) / noise - 1) < 4 / math.sqrt(count)
        and abs(tails - 0.0455) < 5 * math.sqrt(0.0455 / count)
    )


def is_fresh(case: Case, seen: Values, expected: Values) -> bool:
    residual, noise = residual_of(case, seen), case.inputs["noise"]
    within = residual.flatten(1).std(dim=1)
    if len(residual) == 1:
        return bool((within > 0.5 * noise).all())
    across = (residual - residual.mean(dim=0, keepdim=True)).flatten().std()
    return bool((within > 0.5 * noise).all()) and float(across) > 0.5 * noise


def keeps_range(case: Case, seen: Values, expected: Values) -> bool:
    values, images = seen["corrupted"], case.inputs["images"]
    fine = values.shape == images.shape and values.dtype == images.dtype and bool(((values >= 0) & (values <= 1)).all())
    if case.name == "no_noise":
        return fine and close(values, images)
    if case.name == "dark_and_bright":  # black pixels become brighter, white ones darker: about half are cut off
        cut = float(((values == 0) | (values == 1)).double().mean())
        return fine and 0.4 < cut < 0.6
    return fine


def uses_generator(case: Case, seen: Values, expected: Values) -> bool:
    same = torch.equal(seen["corrupted"], seen["same_seed"])
    untouched = torch.equal(seen["global_state_before"], seen["global_state_after"])
    moves_on = case.inputs["noise"] == 0 or not torch.equal(seen["corrupted"], seen["next_call"])
    return same and untouched and moves_on


def leaves_input(case: Case, seen: Values, expected: Values) -> bool:
    return (
        torch.equal(seen["images_after"], case.inputs["images"])
        and seen["corrupted"].shape == seen["images_after"].shape
    )


def for_uncut(trials: Sequence[Trial], predicate) -> bool:
    found = [t for t in ran(trials) if t.case.name in UNCUT]
    return bool(found) and all(predicate(t) for t in found)


def behaves_cut_too_early(trials: Sequence[Trial]) -> bool:
    def half_is_untouched(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        return bool((residual > -1e-6).all()) and 0.4 < float((residual.abs() < 1e-9).double().mean()) < 0.6

    return for_uncut(trials, half_is_untouched)
