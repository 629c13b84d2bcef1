"""`kl_divergence`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of
from course_lib.exercises.variational_autoencoders.exercise import backward, changed


def cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, *shape: int) -> Case:
        return Case(name, {"mu": 1.5 * normal(*shape), "logvar": -2.5 + 4 * uniform(*shape)})

    turned, doubled = case("transposed", 3, 5), case("float64", 4, 6)
    extreme = case("extreme", 2, 3)
    extreme.inputs["mu"][0, 0], extreme.inputs["logvar"][1, 2] = 12.0, -60.0
    return [
        case("plain", 5, 3),
        extreme,
        Case("prior", {"mu": torch.zeros(4, 2), "logvar": torch.zeros(4, 2)}),
        Case("narrow", {"mu": 0.3 * normal(3, 4), "logvar": -4 - 8 * uniform(3, 4)}),
        case("one", 1, 4),
        case("one_latent", 6, 1),
        case("as_many_images_as_latents", 4, 4),
        changed(turned, Tensor.t),
        changed(doubled, Tensor.double),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    mu, logvar = case.inputs["mu"].requires_grad_(), case.inputs["logvar"].requires_grad_()
    kl = fn(mu, logvar)
    backward(kl)
    return {"kl": kl, "mu_gradient": gradient_of(mu), "logvar_gradient": gradient_of(logvar)}


exercise = Exercise(
    name="kl_divergence",
    title="What a code costs, in nats",
    signature="kl_divergence(mu, logvar)",
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "The formula holds for each latent by itself, so nothing is summed yet. Three terms: the mean squared, the "
            "variance, and the logarithm of the variance, which is `logvar` as it stands."
        ),
        api="`torch.exp`, `**`",
        skeleton="return 0.5 * (... ** 2 + ... - 1 - ...)  # (N, code_dim)",
    ),
    takeaway=(
        "Zero for a latent that says nothing (mean 0, variance 1), and growing with every nat that it tells about the "
        "image. Kept for each latent, it shows which of them are in use."
    ),
    cases=cases,
    observe=observe,
    words={
        "kl": "the KL that you return",
    },
)
