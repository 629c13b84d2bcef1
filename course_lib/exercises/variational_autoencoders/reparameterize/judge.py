"""`reparameterize`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, global_state_kept, is_independent, is_standard_normal, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def _noise(case: Case, seen: Values) -> Tensor:
    """What was added to the mean, in units of the standard deviation."""
    return (seen["z"].double() - case.inputs["mu"]) / torch.exp(0.5 * case.inputs["logvar"])


def _distribution(case: Case, seen: Values, expected: Values) -> bool:
    return is_standard_normal(_noise(case, seen))


def _fresh(case: Case, seen: Values, expected: Values) -> bool:
    noise = _noise(case, seen)
    within = noise.shape[1] == 1 or bool((noise.std(dim=1) > 0.1).all())
    across = len(noise) == 1 or float((noise - noise.mean(dim=0, keepdim=True)).std()) > 0.5
    again = abs(float((noise * _noise(case, {"z": seen["next_call"]})).mean())) > 6 / noise.numel() ** 0.5
    return within and across and is_independent(noise) and not again


def _gradients(seen: Values) -> list[bool]:
    """Whether a gradient reaches mu, and logvar."""
    return [bool(seen["mu_gradient"].any()), bool(seen["logvar_gradient"].any())]


def _flows(case: Case, seen: Values, expected: Values) -> bool:
    half = 0.5 * (seen["z"] - case.inputs["mu"])  # dz/dlogvar of any right answer
    right = close(seen["mu_gradient"], expected["mu_gradient"]) and close(seen["logvar_gradient"], half)
    return right and all(_gradients(seen))


def _repeatable(seen: Values) -> bool:
    return global_state_kept(seen) and close(seen["z"], seen["same_seed"])


def _from_generator(case: Case, seen: Values, expected: Values) -> bool:
    moves_on = not torch.equal(seen["z"], seen["next_call"])
    return seen["z"].shape == case.inputs["mu"].shape and moves_on and _repeatable(seen)


def _is_drawn(t: Trial) -> bool:
    return float(_noise(t.case, t.seen).std()) > 0.5


def _root_of_logvar(t: Trial) -> bool:
    """Whether the noise is stretched by the root of logvar, and NaN (or that of its absolute value) below 0."""
    noise = (t.seen["z"] - t.case.inputs["mu"]) / t.case.inputs["logvar"].abs().sqrt()
    return is_standard_normal(noise[noise.isfinite()])


def _without_tails(t: Trial) -> bool:
    noise = _noise(t.case, t.seen)
    return bool(noise.std() > 0.1) and bool((noise - noise.mean()).abs().max() < 1.9 * noise.std())


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("distribution", 1, "`z` has mean `mu` and variance `exp(logvar)`, and is Gaussian", _distribution),
        Criterion(
            "fresh",
            1,
            "every latent of every image gets noise of its own, as wide as `logvar` says, and new noise at each call",
            _fresh,
            form=True,
        ),
        Criterion("gradient", 1, "the right gradient reaches every entry of `mu` and `logvar`", _flows),
        Criterion(
            "generator", 1, "the noise comes from the generator, and from nowhere else", _from_generator, form=True
        ),
    ),
    predicates={
        "root_of_logvar": everywhere(_root_of_logvar),
        "sampled_without_gradient": everywhere(lambda t: not any(_gradients(t.seen)) and _is_drawn(t)),
        "seeded_inside": everywhere(lambda t: torch.equal(t.seen["z"], t.seen["next_call"]) and _is_drawn(t)),
        "generator_ignored": somewhere(lambda t: not _repeatable(t.seen)),
        "uniform_noise": everywhere(_without_tails),
        "deviation_cut_off": everywhere(lambda t: sum(_gradients(t.seen)) == 1),
    },
    exact=False,
)
