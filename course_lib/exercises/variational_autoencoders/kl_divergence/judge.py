"""`kl_divergence`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(mu, logvar):
    posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(posterior, prior)


def _shape(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["kl"], Tensor) and seen["kl"].shape == expected["kl"].shape


def _zero_at_the_prior(case: Case, seen: Values, expected: Values) -> bool:
    return bool((seen["kl"] > -1e-6).all()) and (case.name != "prior" or close(seen["kl"], 0 * seen["kl"]))


def _offset(trials: Sequence[Trial]) -> bool | Values:
    """How much too high the KL is, if it is by the same amount everywhere."""
    offsets = torch.cat([(t.seen["kl"].double() - t.expected["kl"].double()).flatten() for t in trials])
    constant = float(offsets.min()) > 0.1 and close(offsets, offsets[:1].expand_as(offsets))
    return {"value": f"{float(offsets[0]):.3g}"} if constant else False


def _absolute_mean(t: Trial) -> bool:
    """Whether |mu| stands where its square belongs."""
    mu = t.case.inputs["mu"]
    return close(t.seen["kl"], t.expected["kl"] + (mu.abs() - mu**2) / 2)


_gradients = as_expected("mu_gradient", "logvar_gradient")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("shape", 1, "a number for each image and each latent, `(N, code_dim)`", _shape, form=True),
        Criterion(
            "zero_at_the_prior",
            1,
            "0 where mean 0 and variance 1 are, and never below 0",
            _zero_at_the_prior,
            form=True,
        ),
        Criterion("value", 1, "the value is that of the formula", as_expected("kl")),
        Criterion(
            "gradient", 1, "its gradients reach `mu` and `logvar`", as_expected("mu_gradient", "logvar_gradient")
        ),
    ),
    predicates={
        "without_gradient": everywhere(lambda t: close(t.seen["kl"], t.expected["kl"])),
        "summed_over_latents": everywhere(lambda t: close(t.seen["kl"].flatten(), t.expected["kl"].sum(dim=1))),
        "one_number_for_the_batch": everywhere(lambda t: isinstance(t.seen["kl"], float) or t.seen["kl"].numel() == 1),
        "one_forgotten": _offset,
        "mean_not_squared": everywhere(_absolute_mean),
        "held_above_a_floor": everywhere(
            lambda t: close(t.seen["kl"], t.expected["kl"].clamp(min=float(t.seen["kl"].min())))
        ),
    },
)
