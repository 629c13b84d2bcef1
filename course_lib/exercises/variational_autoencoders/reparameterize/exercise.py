"""`reparameterize`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import gradient_of, manual_seed
from course_lib.exercises.variational_autoencoders.exercise import backward


def cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, mu: Tensor, logvar: Tensor) -> Case:
        return Case(name, {"mu": mu, "logvar": logvar, "seed": seed + len(name)})

    def spread(*shape: int) -> Tensor:  # standard deviations from 0.2 to 2.7
        return -3.2 + 5.2 * uniform(*shape)

    return [
        case("many", 2 * normal(250, 12), spread(250, 12)),
        case("one_code_many_times", (2 * normal(1, 20)).repeat(150, 1), spread(1, 20).repeat(150, 1)),
        case("one", 2 * normal(1, 1500), spread(1, 1500)),
        case("one_latent", 2 * normal(1500, 1), spread(1500, 1)),
        case("as_many_images_as_latents", 2 * normal(40, 40), spread(40, 40)),
        case("transposed", 2 * normal(24, 90).t(), spread(24, 90).t()),
        case("any_deviation", 0.01 * normal(60, 30), -18 + 28 * uniform(60, 30)),
        case("float64", 2 * normal(120, 15).double(), spread(120, 15).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    mu, logvar, seed = case.inputs["mu"], case.inputs["logvar"], case.inputs["seed"]
    mu_before, logvar_before, global_before = mu.clone(), logvar.clone(), torch.get_rng_state()
    generator = seeded(seed)
    z = fn(mu.requires_grad_(), logvar.requires_grad_(), generator=generator)
    global_after = torch.get_rng_state()
    backward(z)
    z = z.detach().clone() if isinstance(z, Tensor) else z
    next_call = fn(mu_before.clone(), logvar_before.clone(), generator=generator)
    manual_seed(seed + 1)
    again = fn(mu_before.clone(), logvar_before.clone(), generator=seeded(seed))
    return {
        "z": z,
        "mu_gradient": gradient_of(mu),
        "logvar_gradient": gradient_of(logvar),
        "next_call": next_call,
        "same_seed": again,
        "mu_after": mu,
        "logvar_after": logvar,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


exercise = Exercise(
    name="reparameterize",
    title="Draw a code through which gradients flow",
    signature="reparameterize(mu, logvar, *, generator)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Draw the noise by itself, from a normal distribution that need not be learned. Then stretch it by the "
            "standard deviation and move it to the mean: both are ordinary arithmetic, which has gradients. `logvar` "
            "is the logarithm of the VARIANCE; the standard deviation is the variance's square root."
        ),
        api="`torch.randn(shape, generator=...)`, `Tensor.to`, `torch.exp`",
        skeleton=(
            "epsilon = torch.randn(..., generator=generator).to(mu)  # drawn on the CPU\n"
            "std = ...                                               # (N, code_dim)\n"
            "return ... + ... * epsilon"
        ),
    ),
    takeaway=(
        "The randomness comes in from outside, so the way from the loss back to `mu` and `logvar` is plain arithmetic: "
        "an encoder can be trained through a random draw."
    ),
    cases=cases,
    observe=observe,
    words={
        "z": "the tensor of codes that you return",
    },
)
