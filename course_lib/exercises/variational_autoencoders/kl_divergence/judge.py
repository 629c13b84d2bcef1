"""`kl_divergence`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, ran


def reference(mu, logvar):
    posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(posterior, prior)


def _offset(trials: Sequence[Trial]) -> bool | Values:
    """By how much the KL is off where it is off by the same amount everywhere, above 0."""
    offsets = [(t.seen["kl"].double() - t.expected["kl"].double()).flatten() for t in ran(trials)]
    every = torch.cat(offsets) if offsets else torch.zeros(1)
    constant = len(offsets) == len(trials) and float(every.min()) > 0.1 and close(every, every[:1].expand_as(every))
    return {"value": f"{float(every[0]):.3g}"} if constant else False


def _plain_mean(t: Trial) -> Tensor:
    """The KL with |mu| where its square belongs."""
    mu, logvar = t.case.inputs["mu"], t.case.inputs["logvar"]
    return 0.5 * (mu.abs() + torch.exp(logvar) - 1 - logvar)


def _kl_reduced(trials: Sequence[Trial], reduce: Callable[[Tensor], Tensor]) -> bool:
    return in_all(trials, lambda t: close(t.seen["kl"], reduce(t.expected["kl"])))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "shape",
            1,
            "a number for each image and each latent, `(N, code_dim)`",
            lambda c, s, e: isinstance(s["kl"], Tensor) and s["kl"].shape == e["kl"].shape,
        ),
        Criterion(
            "zero_at_the_prior",
            1,
            "0 where mean 0 and variance 1 are, and never below 0",
            lambda c, s, e: bool((s["kl"] > -1e-6).all()) and (c.name != "prior" or close(s["kl"], 0 * s["kl"])),
        ),
        Criterion(
            "value",
            1,
            "the value is that of the formula",
            lambda c, s, e: close(s["kl"], e["kl"]),
        ),
        Criterion(
            "gradient",
            1,
            "its gradients reach `mu` and `logvar`",
            lambda c, s, e: (
                close(s["mu_gradient"], e["mu_gradient"]) and close(s["logvar_gradient"], e["logvar_gradient"])
            ),
        ),
    ),
    predicates={
        "without_gradient": lambda trials: in_all(trials, lambda t: close(t.seen["kl"], t.expected["kl"])),
        "summed_over_latents": lambda trials: (
            _kl_reduced(trials, lambda kl: kl.sum(dim=1)) or _kl_reduced(trials, lambda kl: kl.sum(dim=1, keepdim=True))
        ),
        "one_number_for_the_batch": lambda trials: in_all(
            trials,
            lambda t: isinstance(t.seen["kl"], float) or t.seen["kl"].numel() == 1 < t.case.inputs["mu"].numel(),
        ),
        "one_forgotten": _offset,
        "mean_not_squared": lambda trials: in_all(trials, lambda t: close(t.seen["kl"], _plain_mean(t))),
        "held_above_a_floor": lambda trials: (
            in_all(
                trials,
                lambda t: close(t.seen["kl"], t.expected["kl"].clamp(min=float(t.seen["kl"].min()))),
            )
            and in_any(trials, lambda t: t.case.name == "prior" and bool((t.seen["kl"] > 1e-4).all()))
        ),
    },
)
