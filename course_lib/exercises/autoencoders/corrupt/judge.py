"""`corrupt`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.autoencoders.judge import (
    UNCUT,
    behaves_blended,
    behaves_cut_too_early,
    behaves_global,
    behaves_masked,
    behaves_not_fresh,
    behaves_not_scaled,
    behaves_one_number,
    behaves_only_brighter,
    behaves_spread,
    behaves_stretched,
    behaves_uniform,
    for_uncut,
    is_fresh,
    is_gaussian,
    keeps_range,
    leaves_input,
    reference_corrupt,
    residual_of,
    uses_generator,
)
from course_lib.exercises.contract import Criterion, Judge
from course_lib.exercises.judging import in_any

judge = Judge(
    reference=reference_corrupt,
    criteria=(
        Criterion(
            "noise",
            1,
            "every pixel of every image gets its own Gaussian noise of standard deviation `noise`",
            lambda c, s, e: is_gaussian(c, s, e) and is_fresh(c, s, e),
            UNCUT,
        ),
        Criterion("range", 1, "shape and dtype stay, values are cut off at 0 and 1", keeps_range),
        Criterion("generator", 1, "the noise comes from the generator, and from nowhere else", uses_generator),
        Criterion("input_kept", 1, "the clean images are not changed", leaves_input),
    ),
    predicates={
        "into_the_input": lambda trials: in_any(
            trials, lambda t: not torch.equal(t.seen["images_after"], t.case.inputs["images"])
        ),
        "images_as_they_are": lambda trials: for_uncut(trials, lambda t: not residual_of(t.case, t.seen).any()),
        "seeded_inside": lambda trials: for_uncut(
            trials, lambda t: torch.equal(t.seen["corrupted"], t.seen["next_call"])
        ),
        "generator_ignored": behaves_global,
        "same_noise_for_all": behaves_not_fresh,
        "one_number_for_each_image": behaves_one_number,
        "noise_only": lambda trials: for_uncut(trials, lambda t: float(residual_of(t.case, t.seen).mean()) < -0.2),
        "stretched": behaves_stretched,
        "not_scaled": behaves_not_scaled,
        "masked": behaves_masked,
        "cut_too_early": behaves_cut_too_early,
        "only_brighter": behaves_only_brighter,
        "blended": behaves_blended,
        "uniform_noise": lambda trials: for_uncut(trials, lambda t: bool((residual_of(t.case, t.seen) > -1e-6).all())),
        "uniform_around_zero": behaves_uniform,
        "noise_as_variance": lambda trials: behaves_spread(trials, lambda noise: noise**-0.5),
        "squared_deviation": lambda trials: behaves_spread(trials, lambda noise: noise),
        "multiplied": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "dark_and_bright"
                and not t.seen["corrupted"][t.case.inputs["images"] == 0].any()
                and bool((t.seen["corrupted"][t.case.inputs["images"] == 1] != 1).any())
            ),
        ),
        "without_clamp": lambda trials: in_any(
            trials, lambda t: bool(((t.seen["corrupted"] < 0) | (t.seen["corrupted"] > 1)).any())
        ),
    },
    exact=False,
)
