"""What several judges of unit 01 share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Trial, Values, close
from course_lib.exercises.judging import in_any, ran


def reference_corrupt(images, noise, *, generator):
    epsilon = torch.randn(images.shape, generator=generator).to(images)
    return (images + noise * epsilon).clamp(0, 1)


UNCUT = ("gray", "same_image", "one", "transposed", "float64")  # so far from 0 and 1 that nothing is cut off


def residual_of(case: Case, seen: Values) -> Tensor:
    return (seen["corrupted"] - case.inputs["images"]).double()


def spread(case: Case, seen: Values) -> float:
    """Standard deviation of what was added, as a multiple of `noise`."""
    return float(residual_of(case, seen).std()) / case.inputs["noise"]


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


def behaves_not_fresh(trials: Sequence[Trial]) -> bool:
    """The same noise in every image of a batch: after the batch mean is taken away nothing is left."""

    def shared(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        rest = (residual - residual.mean(dim=0, keepdim=True)).abs().max()
        return len(residual) == 1 or bool(rest < 0.05 * t.case.inputs["noise"] and residual.std() > 0)

    return for_uncut(trials, shared)


def behaves_one_number(trials: Sequence[Trial]) -> bool:
    def flat(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen).flatten(1)
        return bool((residual.std(dim=1) < 0.05 * t.case.inputs["noise"]).all() and residual.abs().max() > 0)

    return for_uncut(trials, flat)


def behaves_uniform(trials: Sequence[Trial]) -> bool:
    # a uniform distribution has no tails: nothing lies further out than 1.8 standard deviations
    def no_tails(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        centered = (residual - residual.mean()).abs()
        return bool(residual.std() > 0 and centered.max() < 1.85 * residual.std())

    return for_uncut(trials, no_tails)


def behaves_spread(trials: Sequence[Trial], wanted) -> bool:
    return for_uncut(trials, lambda t: abs(spread(t.case, t.seen) / wanted(t.case.inputs["noise"]) - 1) < 0.15)


def behaves_global(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"])
            or not torch.equal(t.seen["corrupted"], t.seen["same_seed"])
        ),
    )


def behaves_stretched(trials: Sequence[Trial]) -> bool:
    return for_uncut(trials, lambda t: t.seen["corrupted"].min() == 0 and t.seen["corrupted"].max() == 1) and any(
        t.case.name == "no_noise" and residual_of(t.case, t.seen).any() for t in ran(trials)
    )


def behaves_not_scaled(trials: Sequence[Trial]) -> bool:
    return any(
        t.case.name == "no_noise" and residual_of(t.case, t.seen).std() > 0.2 for t in ran(trials)
    ) and for_uncut(
        trials, lambda t: float(((t.seen["corrupted"] == 0) | (t.seen["corrupted"] == 1)).double().mean()) > 0.4
    )


def behaves_masked(trials: Sequence[Trial]) -> bool:
    def kept_or_black(t: Trial) -> bool:
        seen, black = t.seen["corrupted"], t.seen["corrupted"] == 0
        return bool((black | (seen == t.case.inputs["images"])).all() and black.any())

    return for_uncut(trials, kept_or_black)


def behaves_cut_too_early(trials: Sequence[Trial]) -> bool:
    def half_is_untouched(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        return bool((residual > -1e-6).all()) and 0.4 < float((residual.abs() < 1e-9).double().mean()) < 0.6

    return for_uncut(trials, half_is_untouched)


def behaves_only_brighter(trials: Sequence[Trial]) -> bool:
    def beyond_uniform(t: Trial) -> bool:
        residual = residual_of(t.case, t.seen)
        return bool((residual > -1e-6).all() and residual.max() > 1.5 * t.case.inputs["noise"])

    return for_uncut(trials, beyond_uniform)


def behaves_blended(trials: Sequence[Trial]) -> bool:
    def darker(t: Trial) -> bool:
        expected = float(t.case.inputs["images"].mean())
        shift = -float(residual_of(t.case, t.seen).mean()) / t.case.inputs["noise"]
        return abs(shift - expected) < 0.2 and abs(spread(t.case, t.seen) - 1) < 0.2

    return for_uncut(trials, darker)


def is_same(seen: Tensor, other: Tensor) -> bool:
    return seen.shape == other.shape and close(seen, other)


def calls_in_train_mode(t: Trial) -> bool:
    return "train" in t.seen["modes"]
