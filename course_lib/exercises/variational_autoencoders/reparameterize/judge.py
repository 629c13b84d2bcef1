"""`reparameterize`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any
from course_lib.exercises.variational_autoencoders.judge import finite


def reference(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def _noise(case: Case, seen: Values, deviation: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """What was added to the mean, in units of the standard deviation (or of another function of logvar)."""
    mu, logvar = case.inputs["mu"].double(), case.inputs["logvar"].double()
    scale = torch.exp(0.5 * logvar) if deviation is None else deviation(logvar)
    return (seen["z"].double() - mu) / scale


def _standard(noise: Tensor) -> bool:
    """Whether the numbers may come from a standard normal distribution, by mean, spread and tails."""
    count = noise.numel()
    tails = float((noise.abs() > 2).double().mean())  # 4.6 % of a normal distribution, nothing of a uniform one
    return (
        finite(noise)
        and abs(float(noise.mean())) < 5 / math.sqrt(count)
        and abs(float(noise.std()) - 1) < 4 / math.sqrt(count)
        and abs(tails - 0.0455) < 5 * math.sqrt(0.0455 / count)
    )


def _fresh(case: Case, seen: Values) -> bool:
    """Whether noise differs between the latents of an image and between images, and again at the next call."""
    noise = _noise(case, seen)
    within = bool((noise.std(dim=1) > 0.1).all())
    across = len(noise) == 1 or float((noise - noise.mean(dim=0, keepdim=True)).std()) > 0.5
    return within and across and not torch.equal(seen["z"], seen["next_call"])


def _flows(case: Case, seen: Values, expected: Values) -> bool:
    half = 0.5 * (seen["z"].double() - case.inputs["mu"].double())  # dz/dlogvar of any right answer
    reached = bool(seen["logvar_gradient"].abs().max() > 0)
    return reached and close(seen["mu_gradient"], expected["mu_gradient"]) and close(seen["logvar_gradient"], half)


def _from_generator(case: Case, seen: Values, expected: Values) -> bool:
    first, again = seen["z"], seen["same_seed"]
    untouched = torch.equal(seen["global_state_before"], seen["global_state_after"])
    moves_on = not torch.equal(first, seen["next_call"])
    return first.shape == case.inputs["mu"].shape and close(first, again) and untouched and moves_on


def _is_noise_of(trials: Sequence[Trial], deviation: Callable[[Tensor], Tensor]) -> bool:
    return in_all(trials, lambda t: _standard(_noise(t.case, t.seen, deviation)))


def _no_gradient(trials: Sequence[Trial]) -> bool:
    def cut(t: Trial) -> bool:
        none = not t.seen["mu_gradient"].any() and not t.seen["logvar_gradient"].any()
        return none and float(_noise(t.case, t.seen).std()) > 0.5

    return in_all(trials, cut)


def _without_tails(trials: Sequence[Trial]) -> bool:
    def flat(t: Trial) -> bool:
        noise = _noise(t.case, t.seen)
        return bool(noise.std() > 0.1) and bool((noise - noise.mean()).abs().max() < 1.9 * noise.std())

    return in_all(trials, flat)


def _global_numbers(trials: Sequence[Trial]) -> bool:
    return in_any(
        trials,
        lambda t: (
            not torch.equal(t.seen["global_state_before"], t.seen["global_state_after"])
            or not close(t.seen["z"], t.seen["same_seed"])
        ),
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "distribution",
            1,
            "`z` has mean `mu` and variance `exp(logvar)`, and is Gaussian",
            lambda c, s, e: _standard(_noise(c, s)),
        ),
        Criterion(
            "fresh",
            1,
            "every latent of every image gets noise of its own, and new noise at each call",
            lambda c, s, e: _fresh(c, s),
        ),
        Criterion("gradient", 1, "gradients reach `mu` and `logvar`", _flows),
        Criterion("generator", 1, "the noise comes from the generator, and from nowhere else", _from_generator),
    ),
    predicates={
        "root_of_logvar": lambda trials: (
            in_any(trials, lambda t: bool(t.seen["z"].isnan().any()))
            or _is_noise_of(trials, lambda logvar: logvar.abs().sqrt())
        ),
        "sampled_without_gradient": _no_gradient,
        "seeded_inside": lambda trials: in_all(
            trials,
            lambda t: torch.equal(t.seen["z"], t.seen["next_call"]) and float(_noise(t.case, t.seen).std()) > 0.5,
        ),
        "generator_ignored": _global_numbers,
        "uniform_noise": _without_tails,
        "deviation_cut_off": lambda trials: in_all(
            trials, lambda t: bool(t.seen["mu_gradient"].any()) != bool(t.seen["logvar_gradient"].any())
        ),
    },
    exact=False,
)
