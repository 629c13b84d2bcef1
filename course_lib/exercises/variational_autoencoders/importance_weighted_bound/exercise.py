"""`importance_weighted_bound`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of
from course_lib.exercises.variational_autoencoders.exercise import backward, changed


def cases(seed: int) -> list[Case]:
    normal = drawing(seed).normal

    def case(name: str, samples: int, images: int, level: float = -3.0) -> Case:
        log_px_given_z = level + 2 * normal(samples, images)
        log_pz, log_qz = -4 + normal(samples, images), -2 + normal(samples, images)
        return Case(name, {"log_px_given_z": log_px_given_z, "log_pz": log_pz, "log_qz": log_qz})

    mixed = case("mixed", 5, 4)
    mixed.inputs["log_px_given_z"] += torch.tensor([-1000.0, 0.0, 300.0, -150.0])
    mixed.inputs["log_px_given_z"][2, :3] += 200.0  # one sample far above the mean of the others
    turned, doubled = case("transposed", 6, 4), case("float64", 3, 5)
    return [
        case("plain", 5, 7),
        case("one_sample", 1, 6),
        case("as_many_samples_as_images", 4, 4),
        case("one_image", 8, 1),
        case("unlikely", 8, 5, level=-900.0),
        case("dense", 4, 6, level=300.0),
        mixed,
        changed(turned, Tensor.t),
        changed(doubled, Tensor.double),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    terms = [case.inputs[key].requires_grad_() for key in ("log_px_given_z", "log_pz", "log_qz")]
    bound = fn(*terms)
    backward(bound)
    return {"bound": bound, "gradients": [gradient_of(term) for term in terms]}


exercise = Exercise(
    name="importance_weighted_bound",
    title="A tighter bound from several codes",
    signature="importance_weighted_bound(log_px_given_z, log_pz, log_qz)",
    minutes=12,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Each sample has a weight, $p(x|z)\\,p(z)\\,/\\,q(z|x)$; products and quotients become sums and "
            "differences of logarithms. The bound is the logarithm of the MEAN weight. Weights such as `exp(-900)` are "
            "zero for a computer, so the sum must be taken without leaving the logarithms."
        ),
        api="`torch.logsumexp`, `math.log`",
        skeleton=(
            "log_w = ... + ... - ...                          # (K, N)\n"
            "return torch.logsumexp(..., dim=...) - math.log(...)  # (N,)"
        ),
    ),
    takeaway=(
        "The logarithm of a mean is at least the mean of logarithms, so this bound is never looser than the ELBO; with "
        "one sample it is the ELBO."
    ),
    cases=cases,
    observe=observe,
    words={
        "bound": "the bound that you return",
        "gradients": "the list of the gradients with respect to the three arguments",
    },
)
