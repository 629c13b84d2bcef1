"""Unit 02, variational autoencoders: references, criteria with points, known mistakes, other right answers.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any, ran


def _finite(value: Tensor) -> bool:
    return bool(value.isfinite().all())


# --- 2.1 reparameterize ---------------------------------------------------------------------------------------------


def _reference_reparameterize(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def root_of_the_variance(mu, logvar, *, generator):
    epsilon = torch.empty(mu.shape, dtype=mu.dtype).normal_(generator=generator).to(mu.device)
    return torch.addcmul(mu, logvar.exp().sqrt(), epsilon)


def row_by_row(mu, logvar, *, generator):
    codes = []
    for mean, log_variance in zip(mu, logvar):
        noise = torch.normal(torch.zeros(mean.shape), torch.ones(mean.shape), generator=generator)
        codes.append(mean + (log_variance / 2).exp() * noise.to(mean))
    return torch.stack(codes)


def variance_as_deviation(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(logvar) * epsilon


def logvar_as_deviation(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + logvar * epsilon


def root_of_logvar(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + logvar.sqrt() * epsilon


def deviation_and_noise_added(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) + epsilon


def never_below_the_mean(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).abs().to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def inverse_deviation(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(-0.5 * logvar) * epsilon


def doubled_exponent(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(2 * logvar) * epsilon


def sampled_without_gradient(mu, logvar, *, generator):
    return torch.distributions.Normal(mu, torch.exp(0.5 * logvar)).sample()


def generator_ignored(mu, logvar, *, generator):
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def seeded_inside(mu, logvar, *, generator):
    generator.manual_seed(0)
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def same_noise_for_all(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape[1], generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def one_number_for_each_image(mu, logvar, *, generator):
    epsilon = torch.randn(len(mu), 1, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def one_number_for_everything(mu, logvar, *, generator):
    epsilon = torch.randn(1, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def uniform_noise(mu, logvar, *, generator):
    epsilon = torch.rand(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar) * epsilon


def no_noise(mu, logvar, *, generator):
    return mu


def mean_plus_deviation(mu, logvar, *, generator):
    return mu + torch.exp(0.5 * logvar)


def mean_forgotten(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return torch.exp(0.5 * logvar) * epsilon


def deviation_forgotten(mu, logvar, *, generator):
    return mu + torch.randn(mu.shape, generator=generator).to(mu)


def drawn_from_the_prior(mu, logvar, *, generator):
    return torch.randn(mu.shape, generator=generator).to(mu)


def deviation_cut_off(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    return mu + torch.exp(0.5 * logvar).detach() * epsilon


def into_the_input(mu, logvar, *, generator):
    epsilon = torch.randn(mu.shape, generator=generator).to(mu)
    mu += torch.exp(0.5 * logvar) * epsilon
    return mu


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
        _finite(noise)
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


def _shared_noise(trials: Sequence[Trial]) -> bool:
    """The same noise in every image of a batch: nothing is left when the batch's mean is taken away."""

    def shared(t: Trial) -> bool:
        noise = _noise(t.case, t.seen)
        rest = (noise - noise.mean(dim=0, keepdim=True)).abs().max()
        return len(noise) == 1 or bool(rest < 0.01 and noise.std() > 0.1)

    return in_all(trials, shared)


def _one_for_each_image(trials: Sequence[Trial]) -> bool:
    def flat(t: Trial) -> bool:
        noise = _noise(t.case, t.seen)
        spread = len(noise) == 1 or float(noise.std()) > 0.1
        return bool((noise.std(dim=1) < 0.01).all()) and bool(noise.abs().max() > 0.001) and spread

    return in_all(trials, flat)


def _one_for_all(trials: Sequence[Trial]) -> bool:
    def constant(t: Trial) -> bool:
        noise = _noise(t.case, t.seen)
        return bool(noise.std() < 0.01) and not close(noise.mean(), torch.ones(())) and bool(noise.abs().max() > 0.001)

    return in_all(trials, constant)


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


reparameterize = Judge(
    reference=_reference_reparameterize,
    criteria=(
        Criterion(
            "distribution", 1, "`z` has mean `mu` and variance `exp(logvar)`, and is Gaussian",
            lambda c, s, e: _standard(_noise(c, s)),
        ),
        Criterion(
            "fresh", 1, "every latent of every image gets noise of its own, and new noise at each call",
            lambda c, s, e: _fresh(c, s),
        ),
        Criterion("gradient", 1, "gradients reach `mu` and `logvar`", _flows),
        Criterion("generator", 1, "the noise comes from the generator, and from nowhere else", _from_generator),
    ),
    mistakes=(
        Mistake(
            "into_the_input", into_the_input,
            "You change `mu` or `logvar` in place, and both are needed again, for the KL and for the gradient. Make a "
            "new tensor: no `+=`, no call that ends in an underscore.",
            behaves=lambda trials: failed_with(trials, "in-place operation")
            or failed_with(trials, "modified by an inplace")
            or in_any(trials, lambda t: not close(t.seen["mu_after"], t.case.inputs["mu"])),
        ),
        Mistake(
            "root_of_logvar", root_of_logvar,
            "You take the square root of `logvar`, which may be negative (then the code is NaN). It is the LOGARITHM "
            "of the variance: undo the logarithm first.",
            behaves=lambda trials: in_any(trials, lambda t: bool(t.seen["z"].isnan().any()))
            or _is_noise_of(trials, lambda logvar: logvar.abs().sqrt()),
        ),
        Mistake(
            "sampled_without_gradient", sampled_without_gradient,
            "The numbers are right, but no gradient reaches `mu` or `logvar`: `.sample()`, `torch.normal(mu, std)` and "
            "`detach` give a draw without the way that led to it. Draw noise of its own, then stretch and move it.",
            behaves=_no_gradient,
        ),
        Mistake(
            "seeded_inside", seeded_inside,
            "The generator is seeded anew at each call, so every batch gets the same noise. Leave its seed alone: it "
            "was chosen by whoever passed it to you.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: torch.equal(t.seen["z"], t.seen["next_call"]) and float(_noise(t.case, t.seen).std()) > 0.5,
            ),
        ),
        Mistake(
            "no_noise", no_noise,
            "You give back the mean itself. That is an ordinary autoencoder: the draw is missing.",
            behaves=lambda trials: in_all(trials, lambda t: close(t.seen["z"], t.case.inputs["mu"])),
        ),
        Mistake(
            "mean_plus_deviation", mean_plus_deviation,
            "You add the standard deviation as it is, so nothing is random. Multiply it by noise first.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(_noise(t.case, t.seen), torch.ones_like(t.seen["z"]), atol=1e-3)
            ),
        ),
        Mistake(
            "one_number_for_everything", one_number_for_everything,
            "A single random number serves for the whole batch. Draw as many as `mu` has entries: `mu.shape`.",
            behaves=_one_for_all,
        ),
        Mistake(
            "same_noise_for_all", same_noise_for_all,
            "All images of a batch get the same noise. Draw numbers for the whole batch: the shape is that of `mu`.",
            behaves=_shared_noise,
        ),
        Mistake(
            "one_number_for_each_image", one_number_for_each_image,
            "All latents of an image share one random number, so they move together. Each needs its own: the shape is "
            "that of `mu`.",
            behaves=_one_for_each_image,
        ),
        Mistake(
            "generator_ignored", generator_ignored,
            "The noise does not come from `generator`, so the run cannot be repeated. Pass it to the function that "
            "draws (`randn_like` and `rsample` take none; `torch.randn` does).",
            behaves=_global_numbers,
        ),
        Mistake(
            "variance_as_deviation", variance_as_deviation,
            "You stretch the noise by the variance, `exp(logvar)`. The standard deviation is its square root: halve "
            "`logvar` before the exponential.",
            behaves=lambda trials: _is_noise_of(trials, torch.exp),
        ),
        Mistake(
            "logvar_as_deviation", logvar_as_deviation,
            "You multiply by `logvar` itself, as if it were the standard deviation. It is the logarithm of the "
            "variance: exponentiate half of it.",
            behaves=lambda trials: _is_noise_of(trials, lambda logvar: logvar),
        ),
        Mistake(
            "inverse_deviation", inverse_deviation,
            "The sign in the exponent is wrong: where the encoder is certain (`logvar` very negative) you add the most "
            "noise.",
            behaves=lambda trials: _is_noise_of(trials, lambda logvar: torch.exp(-0.5 * logvar))
            or _is_noise_of(trials, lambda logvar: torch.exp(-logvar)),
        ),
        Mistake(
            "doubled_exponent", doubled_exponent,
            "You double `logvar` where it must be halved: the standard deviation is the square ROOT of the variance.",
            behaves=lambda trials: _is_noise_of(trials, lambda logvar: torch.exp(2 * logvar)),
        ),
        Mistake(
            "drawn_from_the_prior", drawn_from_the_prior,
            "Your codes do not depend on the image: they are plain standard normal noise, the prior. Stretch it by the "
            "standard deviation and move it to `mu`.",
            behaves=lambda trials: in_all(trials, lambda t: _standard(t.seen["z"].double())),
        ),
        Mistake(
            "mean_forgotten", mean_forgotten,
            "The spread is right, but `mu` is missing: all images have the same mean code, zero. Add `mu`.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: _standard(t.seen["z"].double() / torch.exp(0.5 * t.case.inputs["logvar"].double())),
            ),
        ),
        Mistake(
            "deviation_forgotten", deviation_forgotten,
            "Your noise has standard deviation 1 whatever `logvar` says. Stretch it by the standard deviation.",
            behaves=lambda trials: _is_noise_of(trials, torch.ones_like),
        ),
        Mistake(
            "deviation_and_noise_added", deviation_and_noise_added,
            "You add the standard deviation and the noise, one after the other. The noise is MULTIPLIED by the "
            "standard deviation; only the mean is added.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: _standard(
                    t.seen["z"].double()
                    - t.case.inputs["mu"].double()
                    - torch.exp(0.5 * t.case.inputs["logvar"].double())
                ),
            ),
        ),
        Mistake(
            "never_below_the_mean", never_below_the_mean,
            "Your noise is never negative, so codes lie on one side of their mean. Leave the signs of the random "
            "numbers as they are drawn.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: bool((_noise(t.case, t.seen) > -1e-6).all())
                and float(_noise(t.case, t.seen).max()) > 1.5
                and float(_noise(t.case, t.seen).std()) > 0.1,
            ),
        ),
        Mistake(
            "uniform_noise", uniform_noise,
            "Your noise is uniform: it never goes far out, and `rand` is never negative. Gaussian noise comes from "
            "`randn`.",
            behaves=_without_tails,
        ),
        Mistake(
            "deviation_cut_off", deviation_cut_off,
            "A gradient reaches only one of `mu` and `logvar`. Both must learn: leave out `detach` and `no_grad`.",
            behaves=lambda trials: in_all(
                trials, lambda t: bool(t.seen["mu_gradient"].any()) != bool(t.seen["logvar_gradient"].any())
            ),
        ),
    ),
    alternatives=(root_of_the_variance, row_by_row),
    exact=False,
)  # fmt: skip


# --- 2.2 kl_divergence ----------------------------------------------------------------------------------------------


def _reference_kl(mu, logvar):
    posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(posterior, prior)


def by_the_textbook(mu, logvar):
    return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp())


def by_the_deviation(mu, logvar):
    std = torch.exp(logvar / 2)
    return (std**2 + mu**2 - 1) / 2 - torch.log(std)


def wrong_sign(mu, logvar):
    return 0.5 * (1 + logvar - mu**2 - torch.exp(logvar))


def half_forgotten(mu, logvar):
    return mu**2 + torch.exp(logvar) - 1 - logvar


def one_forgotten(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - logvar)


def mean_not_squared(mu, logvar):
    return 0.5 * (mu + torch.exp(logvar) - 1 - logvar)


def mean_left_out(mu, logvar):
    return 0.5 * (torch.exp(logvar) - 1 - logvar)


def logvar_added(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 + logvar)


def logarithm_forgotten(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1)


def log_deviation(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(2 * logvar) - 1 - 2 * logvar)


def variance_itself(mu, logvar):
    return 0.5 * (mu**2 + logvar - 1 - torch.log(logvar))


def deviation_itself(mu, logvar):
    return 0.5 * (mu**2 + logvar**2 - 1 - torch.log(logvar**2))


def deviation_for_variance(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(0.5 * logvar) - 1 - logvar)


def held_above_a_floor(mu, logvar):
    return (0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar)).clamp(min=0.1)


def arguments_swapped(mu, logvar):
    return 0.5 * ((1 + mu**2) / torch.exp(logvar) - 1 + logvar)


def summed_over_latents(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar).sum(dim=1)


def averaged_over_latents(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar).mean(dim=1)


def kl_summed_over_batch(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar).sum(dim=0)


def one_number_for_the_batch(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar).sum(dim=1).mean()


def one_sample_estimate(mu, logvar):
    std = torch.exp(0.5 * logvar)
    posterior, prior = torch.distributions.Normal(mu, std), torch.distributions.Normal(0.0, 1.0)
    z = posterior.rsample()
    return posterior.log_prob(z) - prior.log_prob(z)


def without_gradient(mu, logvar):
    with torch.no_grad():
        return 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar)


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


kl_divergence = Judge(
    reference=_reference_kl,
    criteria=(
        Criterion(
            "shape", 1, "a number for each image and each latent, `(N, code_dim)`",
            lambda c, s, e: isinstance(s["kl"], Tensor) and s["kl"].shape == e["kl"].shape,
        ),
        Criterion(
            "zero_at_the_prior", 1, "0 where mean 0 and variance 1 are, and never below 0",
            lambda c, s, e: bool((s["kl"] > -1e-6).all()) and (c.name != "prior" or close(s["kl"], 0 * s["kl"])),
        ),
        Criterion(
            "value", 1, "the value is that of the formula",
            lambda c, s, e: close(s["kl"], e["kl"]),
        ),
        Criterion(
            "gradient", 1, "its gradients reach `mu` and `logvar`",
            lambda c, s, e: close(s["mu_gradient"], e["mu_gradient"])
            and close(s["logvar_gradient"], e["logvar_gradient"]),
        ),
    ),
    mistakes=(
        Mistake(
            "wrong_sign", wrong_sign,
            "The sign is wrong: your KL is never above 0, and a network that minimizes it runs away to minus infinity.",
            behaves=lambda trials: in_all(trials, lambda t: bool((t.seen["kl"] < 1e-6).all()))
            and in_any(trials, lambda t: bool((t.seen["kl"] < -0.1).any())),
        ),
        Mistake(
            "without_gradient", without_gradient,
            "The values are right, but no gradient reaches `mu` or `logvar`: leave out `no_grad`, `detach` and "
            "`.data`.",
            behaves=lambda trials: in_all(trials, lambda t: close(t.seen["kl"], t.expected["kl"])),
        ),
        Mistake(
            "summed_over_latents", summed_over_latents,
            "You sum over the latents already. Keep them apart, `(N, code_dim)`: later we want to see which of them "
            "are in use, and the loss does the summing.",
            behaves=lambda trials: _kl_reduced(trials, lambda kl: kl.sum(dim=1))
            or _kl_reduced(trials, lambda kl: kl.sum(dim=1, keepdim=True)),
        ),
        Mistake(
            "averaged_over_latents", averaged_over_latents,
            "You average over the latents. Keep them apart, `(N, code_dim)`; and when they are put together, in the "
            "loss, they are summed, never averaged.",
            behaves=lambda trials: _kl_reduced(trials, lambda kl: kl.mean(dim=1))
            or _kl_reduced(trials, lambda kl: kl.mean(dim=1, keepdim=True)),
        ),
        Mistake(
            "kl_summed_over_batch", kl_summed_over_batch,
            "You sum or average over the images, so it can no longer be said which image costs what. Keep "
            "`(N, code_dim)`.",
            behaves=lambda trials: _kl_reduced(trials, lambda kl: kl.mean(dim=0)),
        ),
        Mistake(
            "one_number_for_the_batch", one_number_for_the_batch,
            "You give back a single number. Keep a number for each image and each latent, `(N, code_dim)`; the loss "
            "does the summing.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: isinstance(t.seen["kl"], float) or t.seen["kl"].numel() == 1 < t.case.inputs["mu"].numel(),
            ),
        ),
        Mistake(
            "variance_itself", variance_itself,
            "Some values are NaN: you take the logarithm of `logvar`, which is a logarithm already and may be "
            "negative. The variance is `exp(logvar)`; its logarithm is `logvar`.",
            behaves=lambda trials: in_any(trials, lambda t: bool(t.seen["kl"].isnan().any())),
        ),
        Mistake(
            "deviation_itself", deviation_itself,
            "You treat `logvar` as the standard deviation. It is the logarithm of the variance: the variance is "
            "`exp(logvar)`, its logarithm `logvar` itself.",
        ),
        Mistake(
            "log_deviation", log_deviation,
            "You treat `logvar` as the logarithm of the standard deviation. It is that of the VARIANCE, so no factor "
            "of two belongs to it.",
        ),
        Mistake(
            "deviation_for_variance", deviation_for_variance,
            "The standard deviation stands where the formula has the variance: `exp(logvar)`, not `exp(logvar / 2)`.",
        ),
        Mistake(
            "half_forgotten", half_forgotten,
            "Your KL is twice too large: the factor of one half is missing.",
            behaves=lambda trials: _kl_reduced(trials, lambda kl: 2 * kl),
        ),
        Mistake(
            "one_forgotten", one_forgotten,
            "Where the code is the prior itself, mean 0 and variance 1, the KL must be 0; yours is {value}. Look for "
            "the `- 1` of the formula.",
            behaves=_offset,
        ),
        Mistake(
            "mean_not_squared", mean_not_squared,
            "The mean must be squared: left and right cost the same, and twice as far costs four times as much.",
            behaves=lambda trials: in_all(trials, lambda t: close(t.seen["kl"], _plain_mean(t))),
        ),
        Mistake(
            "mean_left_out", mean_left_out,
            "`mu` does not matter in your KL, so codes may run away to any distance for free. Its square is missing.",
            behaves=lambda trials: in_all(
                trials, lambda t: not t.seen["mu_gradient"].any() and bool(t.expected["logvar_gradient"].any())
            ),
        ),
        Mistake(
            "logvar_added", logvar_added,
            "The sign of `logvar` is wrong: the smaller the variance, the more a code says, and the more it must cost.",
        ),
        Mistake(
            "logarithm_forgotten", logarithm_forgotten,
            "The logarithm of the variance is missing. Without it the cheapest variance is 0, and a code of endless "
            "precision would cost nothing.",
        ),
        Mistake(
            "arguments_swapped", arguments_swapped,
            "This is the KL the other way round, of the prior from the posterior. It is not symmetric: the average "
            "runs over the posterior, $q(z|x)$.",
        ),
        Mistake(
            "held_above_a_floor", held_above_a_floor,
            "Your KL never falls below a certain value, so a latent that says nothing is charged all the same. Leave "
            "out the `clamp` or `max`.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: close(t.seen["kl"], t.expected["kl"].clamp(min=float(t.seen["kl"].min()))),
            )
            and in_any(trials, lambda t: t.case.name == "prior" and bool((t.seen["kl"] > 1e-4).all())),
        ),
        Mistake(
            "one_sample_estimate", one_sample_estimate,
            "You estimate the KL from a random draw, so it is noisy and can even be negative. For two normal "
            "distributions there is the formula above, without any chance.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: t.case.name != "prior"
                and t.seen["kl"].shape == t.expected["kl"].shape
                and bool((t.seen["kl"] < 0).any())
                and bool((t.seen["kl"] > t.expected["kl"]).any())
                and abs(float((t.seen["kl"] - t.expected["kl"]).mean())) < 1
                and t.case.name == "narrow",
            ),
        ),
    ),
    alternatives=(by_the_textbook, by_the_deviation),
)  # fmt: skip


# --- 2.3 negative_elbo ----------------------------------------------------------------------------------------------


def _reference_elbo(logits, images, kl, *, beta=1.0):
    pixels = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    log_likelihood = pixels.log_prob(images).flatten(1).sum(dim=1)
    return -(log_likelihood - beta * kl.sum(dim=1)).mean()


def sums_over_the_batch_size(logits, images, kl, *, beta=1.0):
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    return (reconstruction + beta * kl.sum()) / len(images)


def by_softplus(logits, images, kl, *, beta=1.0):
    per_pixel = F.softplus(logits) - images * logits
    per_image = torch.einsum("nchw->n", per_pixel) + beta * torch.einsum("nd->n", kl)
    return per_image.mean()


def mean_over_pixels(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images) + beta * kl.sum(dim=1).mean()


def mean_of_everything(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images) + beta * kl.mean()


def mean_over_latents(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.mean(dim=1)).mean()


def kl_divided_by_pixels(logits, images, kl, *, beta=1.0):
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return reconstruction + beta * kl.sum() / images.numel()


def everything_by_pixel(logits, images, kl, *, beta=1.0):
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    return (reconstruction + beta * kl.sum()) / images.numel()


def summed_over_batch(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images, reduction="sum") + beta * kl.sum()


def only_kl_summed_over_batch(logits, images, kl, *, beta=1.0):
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return reconstruction + beta * kl.sum()


def only_pixels_summed_over_batch(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images, reduction="sum") + beta * kl.sum(dim=1).mean()


def beta_on_the_reconstruction(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (beta * per_pixel.flatten(1).sum(dim=1) + kl.sum(dim=1)).mean()


def beta_on_both(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return beta * (per_pixel.flatten(1).sum(dim=1) + kl.sum(dim=1)).mean()


def beta_ignored(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + kl.sum(dim=1)).mean()


def divided_by_beta(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + kl.sum(dim=1) / beta).mean()


def one_minus_beta(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return ((1 - beta) * per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def channels_averaged(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.mean(dim=1).sum(dim=(1, 2)) + beta * kl.sum(dim=1)).mean()


def kl_subtracted(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) - beta * kl.sum(dim=1)).mean()


def elbo_itself(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return -(per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def reconstruction_subtracted(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (beta * kl.sum(dim=1) - per_pixel.flatten(1).sum(dim=1)).mean()


def kl_forgotten(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(dim=1).mean()


def reconstruction_forgotten(logits, images, kl, *, beta=1.0):
    return beta * kl.sum(dim=1).mean()


def squashed_twice(logits, images, kl, *, beta=1.0):
    squashed = logits.sigmoid()
    per_pixel = F.binary_cross_entropy_with_logits(squashed, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def not_squashed(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def squashed_first(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy(logits.sigmoid(), images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def logarithm_of_zero(logits, images, kl, *, beta=1.0):
    p = logits.sigmoid()
    per_pixel = -(images * torch.log(p) + (1 - images) * torch.log(1 - p))
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def bright_pixels_only(logits, images, kl, *, beta=1.0):
    per_pixel = -images * F.logsigmoid(logits)
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def squared_error(logits, images, kl, *, beta=1.0):
    per_pixel = (logits.sigmoid() - images) ** 2
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def squared_error_of_logits(logits, images, kl, *, beta=1.0):
    per_pixel = (logits - images) ** 2
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean()


def one_number_an_image(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)


def plain_number(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.sum(dim=1)).mean().item()


def pair_of_terms(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return per_pixel.flatten(1).sum(dim=1).mean(), beta * kl.sum(dim=1).mean()


def cut_from_the_graph(logits, images, kl, *, beta=1.0):
    per_pixel = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (per_pixel.flatten(1).sum(dim=1) + beta * kl.detach().sum(dim=1)).mean()


def _loss_of(t: Trial) -> Tensor:
    """The loss as a tensor, whatever it came as."""
    loss = t.seen["loss"]
    return loss.double() if isinstance(loss, Tensor) else torch.tensor(float(loss), dtype=torch.float64)


def _weights(trials: Sequence[Trial], pixels: Callable[[Case], float], latents: Callable[[Case], float]) -> bool:
    """Whether the loss is everywhere the right cross-entropy times one factor, plus the right KL times another."""

    def fits(t: Trial) -> bool:
        beta, cost = t.case.inputs["beta"], t.case.inputs["kl"].double().sum(dim=1).mean()
        reconstruction = t.expected["loss"].double() - beta * cost
        return close(_loss_of(t), pixels(t.case) * reconstruction + latents(t.case) * beta * cost)

    return in_all(trials, fits)


def _pixels(case: Case) -> int:
    return case.inputs["images"][0].numel()


def _count(case: Case) -> int:
    return len(case.inputs["images"])


def _latents(case: Case) -> int:
    return case.inputs["kl"].shape[1]


def _beta(case: Case) -> float:
    return case.inputs["beta"]


def _right_elsewhere(trials: Sequence[Trial]) -> bool:
    return all(close(t.seen["loss"], t.expected["loss"]) for t in ran(trials) if t.case.name != "confident")


negative_elbo = Judge(
    reference=_reference_elbo,
    criteria=(
        Criterion(
            "reconstruction", 1, "cross-entropy, summed over the pixels of each image, averaged over the images",
            lambda c, s, e: close(s["loss"], e["loss"]), ("collapsed",),
        ),
        Criterion(
            "kl", 1, "the KL is summed over latents, averaged over images, and added",
            lambda c, s, e: close(s["loss"], e["loss"]), ("perfect", "plain", "twice_the_batch", "one", "gray"),
        ),
        Criterion(
            "beta", 1, "`beta` multiplies the KL, and nothing else",
            lambda c, s, e: close(s["loss"], e["loss"]), ("beta_small", "beta_large", "as_many_latents_as_images"),
        ),
        Criterion(
            "stable", 1, "very large logits give the right number too",
            lambda c, s, e: close(s["loss"], e["loss"]), ("confident",),
        ),
        Criterion(
            "gradient", 1, "gradients reach `logits` and `kl`",
            lambda c, s, e: close(s["logits_gradient"], e["logits_gradient"])
            and close(s["kl_gradient"], e["kl_gradient"]),
            ("plain", "twice_the_batch", "one", "color", "transposed", "float64"),
        ),
    ),
    mistakes=(
        Mistake(
            "not_squashed", not_squashed,
            "`F.binary_cross_entropy` wants probabilities, and got logits, which may be any number. Its sister with "
            "`_with_logits` takes them as they are.",
            behaves=lambda trials: failed_with(trials, "between 0 and 1") or failed_with(trials, "element of input"),
        ),
        Mistake(
            "pair_of_terms", pair_of_terms,
            "You give back the terms one by one. Training needs a single number: add them up.",
            behaves=lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], (list, dict))),
        ),
        Mistake(
            "plain_number", plain_number,
            "You give back a plain Python number, and with `.item()` the gradient is gone. Return the tensor.",
            behaves=lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        ),
        Mistake(
            "one_number_an_image", one_number_an_image,
            "You give back one number an image. Training needs a single number: take the mean over the batch.",
            behaves=lambda trials: in_any(
                trials,
                lambda t: isinstance(t.seen["loss"], Tensor) and t.seen["loss"].shape == (_count(t.case),) != (1,),
            ),
        ),
        Mistake(
            "logarithm_of_zero", logarithm_of_zero,
            "With large logits your loss is infinite or NaN: the squashed value is rounded to exactly 0 or 1, and "
            "the logarithm of 0 follows. Work with the logits: `F.binary_cross_entropy_with_logits`.",
            behaves=lambda trials: _right_elsewhere([t for t in trials if t.case.name != "perfect"])
            and in_any(trials, lambda t: not _finite(_loss_of(t))),
        ),
        Mistake(
            "squashed_first", squashed_first,
            "Right for small logits. Large ones are squashed to exactly 0 or 1, and what they lose by that no "
            "logarithm brings back: give the logits themselves to `F.binary_cross_entropy_with_logits`.",
            behaves=lambda trials: _right_elsewhere(trials)
            and in_any(trials, lambda t: t.case.name == "confident" and not close(t.seen["loss"], t.expected["loss"])),
        ),
        Mistake(
            "cut_from_the_graph", cut_from_the_graph,
            "The value is right, but a gradient is missing: `detach`, `no_grad` or `.data` cuts off `logits` or `kl`, "
            "and that part of the network would never learn.",
            behaves=lambda trials: in_all(trials, lambda t: close(t.seen["loss"], t.expected["loss"])),
        ),
        Mistake(
            "mean_over_pixels", mean_over_pixels,
            "You average the cross-entropy over pixels and sum the KL: the KL then weighs several hundred times too "
            "much, as if `beta` were that large, and the code collapses. Sum over pixels.",
            behaves=lambda trials: _weights(trials, lambda c: 1 / _pixels(c), lambda c: 1),
        ),
        Mistake(
            "mean_of_everything", mean_of_everything,
            "You average over everything: pixels, latents, images. Then the number of pixels and of latents decides "
            "which term wins. Sum within an image, average over images.",
            behaves=lambda trials: _weights(trials, lambda c: 1 / _pixels(c), lambda c: 1 / _latents(c)),
        ),
        Mistake(
            "mean_over_latents", mean_over_latents,
            "You average the KL over the latents, so a longer code costs no more than a short one. Sum over the "
            "latents.",
            behaves=lambda trials: _weights(trials, lambda c: 1, lambda c: 1 / _latents(c)),
        ),
        Mistake(
            "kl_divided_by_pixels", kl_divided_by_pixels,
            "You divide the KL by the number of pixels as well as of images, but not the cross-entropy: the code "
            "becomes nearly free, and samples from the prior will be no pictures. Divide both by the batch size only.",
            behaves=lambda trials: _weights(trials, lambda c: 1, lambda c: 1 / _pixels(c)),
        ),
        Mistake(
            "everything_by_pixel", everything_by_pixel,
            "You divide both terms by the number of pixels. Their balance is right, but the loss is no longer nats an "
            "image. Divide by the batch size only.",
            behaves=lambda trials: _weights(trials, lambda c: 1 / _pixels(c), lambda c: 1 / _pixels(c)),
        ),
        Mistake(
            "summed_over_batch", summed_over_batch,
            "You sum over images too, so a batch twice as large has twice the loss, and twice the step. Take the mean "
            "over the batch.",
            behaves=lambda trials: _weights(trials, _count, _count),
        ),
        Mistake(
            "only_kl_summed_over_batch", only_kl_summed_over_batch,
            "You sum the KL over the batch, but average the cross-entropy: the larger the batch, the dearer the code. "
            "Average both over images.",
            behaves=lambda trials: _weights(trials, lambda c: 1, _count),
        ),
        Mistake(
            "only_pixels_summed_over_batch", only_pixels_summed_over_batch,
            "You sum the cross-entropy over the batch, but average the KL: the larger the batch, the cheaper the code. "
            "Average both over images.",
            behaves=lambda trials: _weights(trials, _count, lambda c: 1),
        ),
        Mistake(
            "beta_on_the_reconstruction", beta_on_the_reconstruction,
            "`beta` stands at the wrong term: it weighs the cross-entropy. It belongs to the KL.",
            behaves=lambda trials: _weights(trials, _beta, lambda c: 1 / _beta(c)),
        ),
        Mistake(
            "beta_on_both", beta_on_both,
            "`beta` multiplies the whole loss, so the balance of its terms never changes. It belongs to the KL alone.",
            behaves=lambda trials: _weights(trials, _beta, lambda c: 1),
        ),
        Mistake(
            "beta_ignored", beta_ignored,
            "`beta` has no effect. It multiplies the KL.",
            behaves=lambda trials: _weights(trials, lambda c: 1, lambda c: 1 / _beta(c)),
        ),
        Mistake(
            "divided_by_beta", divided_by_beta,
            "You divide the KL by `beta`. Multiply: a large `beta` makes the code dear.",
            behaves=lambda trials: _weights(trials, lambda c: 1, lambda c: _beta(c) ** -2),
        ),
        Mistake(
            "one_minus_beta", one_minus_beta,
            "You weigh the cross-entropy by `1 - beta`; at `beta=1` the picture no longer counts at all. Its weight is "
            "always 1.",
            behaves=lambda trials: _weights(trials, lambda c: 1 - _beta(c), lambda c: 1),
        ),
        Mistake(
            "channels_averaged", channels_averaged,
            "You average over channels. Each channel's pixels belong to the image: flatten everything after the batch "
            "dimension, then sum.",
            behaves=lambda trials: _weights(trials, lambda c: 1 / c.inputs["images"].shape[1], lambda c: 1),
        ),
        Mistake(
            "kl_subtracted", kl_subtracted,
            "You subtract the KL, so the network is paid for every nat in the code. In the NEGATIVE bound it is added.",
            behaves=lambda trials: _weights(trials, lambda c: 1, lambda c: -1),
        ),
        Mistake(
            "elbo_itself", elbo_itself,
            "This is the bound itself, and training minimizes: the pictures would become as bad as they can. Turn the "
            "sign of the whole round.",
            behaves=lambda trials: _weights(trials, lambda c: -1, lambda c: -1),
        ),
        Mistake(
            "reconstruction_subtracted", reconstruction_subtracted,
            "You subtract the cross-entropy, so the network is paid for bad pictures. The cross-entropy is MINUS a log "
            "likelihood already: in the negative bound it is added.",
            behaves=lambda trials: _weights(trials, lambda c: -1, lambda c: 1),
        ),
        Mistake(
            "kl_forgotten", kl_forgotten,
            "The KL does not matter in your loss: this is an ordinary autoencoder with noise in its code.",
            behaves=lambda trials: _weights(trials, lambda c: 1, lambda c: 0),
        ),
        Mistake(
            "reconstruction_forgotten", reconstruction_forgotten,
            "The pictures do not matter in your loss: the network would learn to say nothing at all. Add the "
            "cross-entropy.",
            behaves=lambda trials: _weights(trials, lambda c: 0, lambda c: 1),
        ),
        Mistake(
            "squashed_twice", squashed_twice,
            "The logits are squashed twice: once by you, and again inside `..._with_logits`. A pixel can then never be "
            "called surely black. Give it the logits themselves.",
        ),
        Mistake(
            "bright_pixels_only", bright_pixels_only,
            "Only bright pixels count in your cross-entropy, so drawing everything white is free. The dark ones need "
            "the second half of the formula, or `F.binary_cross_entropy_with_logits`.",
        ),
        Mistake(
            "squared_error", squared_error,
            "This is a squared error. Here a pixel is black or white by chance, and its cost is a cross-entropy: only "
            "so are both terms nats.",
        ),
        Mistake(
            "squared_error_of_logits", squared_error_of_logits,
            "You compare logits with pixels by a squared error. Logits are not brightness; their cost is the "
            "cross-entropy, `F.binary_cross_entropy_with_logits`.",
        ),
    ),
    alternatives=(sums_over_the_batch_size, by_softplus),
)  # fmt: skip


# --- 2.4 kl_warmup --------------------------------------------------------------------------------------------------


def _reference_warmup(step, warmup_steps, *, beta=1.0):
    return beta * (min(step / warmup_steps, 1.0) if warmup_steps else 1.0)


def by_cases(step, warmup_steps, *, beta=1.0):
    if step >= warmup_steps:
        return beta
    return beta * step / warmup_steps


def by_the_larger_one(step, warmup_steps, *, beta=1.0):
    return beta * min(step + (warmup_steps == 0), max(warmup_steps, 1)) / max(warmup_steps, 1)


def divides_by_zero(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, step / warmup_steps)


def zero_without_warmup(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, step / max(warmup_steps, 1))


def off_without_warmup(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, step / warmup_steps) if warmup_steps > 0 else 0.0


def never_stops(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return beta * step / warmup_steps


def never_reaches_beta(step, warmup_steps, *, beta=1.0):
    return beta * min(step, warmup_steps) / (warmup_steps + 1)


def one_step_early(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, (step + 1) / max(warmup_steps, 1))


def whole_numbers_only(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return beta * min(1, step // warmup_steps)


def beta_ignored_in_warmup(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return 1.0
    return min(1.0, step / warmup_steps)


def stops_at_one(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return min(1.0, beta)
    return min(1.0, beta * step / warmup_steps)


def same_slope_to_beta(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return min(beta, step / warmup_steps)


def cools_down(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return beta * max(0.0, 1 - step / warmup_steps)


def begins_again(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return beta * (step % warmup_steps) / warmup_steps


def larger_of_the_two(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return beta * max(1.0, step / warmup_steps)


def constant_weight(step, warmup_steps, *, beta=1.0):
    return beta


def bent_line(step, warmup_steps, *, beta=1.0):
    if step >= warmup_steps:
        return beta
    return beta * 0.5 * (1 - math.cos(math.pi * step / warmup_steps))


def grows_from_one(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return 1 + (beta - 1) * min(1.0, step / warmup_steps)


def _numbers(values: Sequence) -> Tensor:
    """The weights as numbers, whether they came as floats or as tensors."""
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def _warmed(case: Case, seen: Values, expected: Values, *, after: bool) -> bool:
    steps = torch.tensor(case.inputs["steps"])
    which = steps >= case.inputs["warmup_steps"] if after else steps < case.inputs["warmup_steps"]
    return close(_numbers(seen["weights"])[which], _numbers(expected["weights"])[which])


_WARM = ("plain", "beta_large", "beta_small", "long", "one_step")


def _on_warm(trials: Sequence[Trial], predicate: Callable[[Trial, Tensor, Tensor, float], bool]) -> bool:
    """Whether it holds for (trial, weights, steps as a share of the warm-up, beta) wherever there is a warm-up."""
    found = [t for t in ran(trials) if t.case.name in _WARM]
    return bool(found) and all(
        predicate(
            t,
            _numbers(t.seen["weights"]),
            torch.tensor(t.case.inputs["steps"], dtype=torch.float64) / t.case.inputs["warmup_steps"],
            t.case.inputs["beta"],
        )
        for t in found
    )


def _right_with_a_warmup(trials: Sequence[Trial]) -> bool:
    return _on_warm(trials, lambda t, w, s, b: close(w, _numbers(t.expected["weights"])))


def _rises_in_a_curve(trials: Sequence[Trial]) -> bool:
    """Whether the weight climbs from nearly 0 to nearly beta, with a step in the middle that is off the line."""

    def climbs(t: Trial, w: Tensor, s: Tensor, b: float) -> bool:
        ends = abs(float(w[0])) < 0.05 * b and abs(float(w[-1]) - b) < 0.05 * b
        return t.case.name == "one_step" or (ends and bool((w.diff() >= 0).all()))

    def bent(t: Trial) -> bool:
        w, steps = _numbers(t.seen["weights"]), torch.tensor(t.case.inputs["steps"], dtype=torch.float64)
        share = steps[1] / t.case.inputs["warmup_steps"]
        return abs(float(w[1]) - t.case.inputs["beta"] * float(share)) > 0.3 * t.case.inputs["beta"] * float(share)

    found = [t for t in ran(trials) if t.case.name == "long"]
    return bool(found) and all(map(bent, found)) and _on_warm(trials, climbs)


def _no_warmup_values(trials: Sequence[Trial]) -> list[Tensor]:
    return [_numbers(t.seen["weights"]) for t in ran(trials) if t.case.inputs["warmup_steps"] == 0]


kl_warmup = Judge(
    reference=_reference_warmup,
    criteria=(
        Criterion(
            "rises", 1, "during the warm-up the weight rises from 0 in a straight line",
            lambda c, s, e: _warmed(c, s, e, after=False), _WARM,
        ),
        Criterion(
            "holds", 1, "from step `warmup_steps` on it is `beta`, and stays there",
            lambda c, s, e: _warmed(c, s, e, after=True), _WARM,
        ),
        Criterion(
            "no_warmup", 1, "with `warmup_steps=0` it is `beta` from the first step",
            lambda c, s, e: close(_numbers(s["weights"]), _numbers(e["weights"])), ("no_warmup", "no_warmup_beta"),
        ),
    ),
    mistakes=(
        Mistake(
            "divides_by_zero", divides_by_zero,
            "With `warmup_steps=0` you divide by zero. No warm-up means that the weight is `beta` from the first step "
            "on.",
            behaves=lambda trials: failed_with(trials, "division by zero")
            or failed_with(trials, "float division")
            or failed_with(trials, "modulo by zero")
            or any(not _finite(values) for values in _no_warmup_values(trials)),
        ),
        Mistake(
            "off_without_warmup", off_without_warmup,
            "With `warmup_steps=0` your weight is always 0, so the KL never counts. No warm-up means `beta` from the "
            "first step on.",
            behaves=lambda trials: _right_with_a_warmup(trials)
            and all(not values.any() for values in _no_warmup_values(trials)),
        ),
        Mistake(
            "zero_without_warmup", zero_without_warmup,
            "With `warmup_steps=0` the very first step still gets weight 0. No warm-up means `beta` from the first "
            "step on.",
            behaves=lambda trials: _right_with_a_warmup(trials)
            and all(values[0] == 0 for values in _no_warmup_values(trials)),
        ),
        Mistake(
            "constant_weight", constant_weight,
            "The weight is `beta` from the start, so there is no warm-up at all.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, torch.full_like(w, b))),
        ),
        Mistake(
            "never_stops", never_stops,
            "The weight rises for ever: after the warm-up it goes beyond `beta`. Hold it there.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, b * s)),
        ),
        Mistake(
            "whole_numbers_only", whole_numbers_only,
            "The weight jumps from 0 to `beta` without anything between: `//`, `int` or a comparison cuts the fraction "
            "off. Divide with `/`.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: not w[s < 1].any() and bool(w[s >= 1].all())),
        ),
        Mistake(
            "never_reaches_beta", never_reaches_beta,
            "At step `warmup_steps` the weight must be `beta`; yours stays below it. Look at what you divide by.",
            behaves=lambda trials: _on_warm(
                trials, lambda t, w, s, b: bool((w >= 0).all())
                and bool((w < b * (1 - 1e-6)).all())
                and (t.case.inputs["warmup_steps"] < 2 or float(w[-1]) > 0.5 * b),
            )
            and not _rises_in_a_curve(trials),
        ),
        Mistake(
            "one_step_early", one_step_early,
            "You are a step early: at step 0 the weight must be 0. Steps count from 0, so nothing is added to `step`.",
            behaves=lambda trials: _on_warm(
                trials,
                lambda t, w, s, b: any(
                    close(w, b * ((s * n + 1) / (n + more)).clamp(max=1))
                    for n in (t.case.inputs["warmup_steps"],)
                    for more in (0, 1)
                ),
            ),
        ),
        Mistake(
            "beta_ignored_in_warmup", beta_ignored_in_warmup,
            "The weight ends at 1 whatever `beta` says. Multiply by `beta`.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, s.clamp(max=1))),
        ),
        Mistake(
            "stops_at_one", stops_at_one,
            "A `beta` above 1 is cut off at 1. Limit the share of the warm-up that is over, then multiply by `beta`.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, (b * s).clamp(max=1))),
        ),
        Mistake(
            "same_slope_to_beta", same_slope_to_beta,
            "The line rises by the same amount whatever `beta` is, so `beta` is reached too early or too late. At step "
            "`warmup_steps` it must just be there.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, s.clamp(max=b))),
        ),
        Mistake(
            "cools_down", cools_down,
            "The weight falls instead of rising: it begins at `beta` and ends at 0.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, b * (1 - s).clamp(min=0))),
        ),
        Mistake(
            "begins_again", begins_again,
            "After the warm-up the weight falls back to 0 and rises anew: `%` does that. Here it rises once and stays.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, b * (s % 1))),
        ),
        Mistake(
            "larger_of_the_two", larger_of_the_two,
            "`max` takes the larger of the two, so the weight starts at `beta` and grows. It is the smaller one that "
            "is wanted.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, b * s.clamp(min=1))),
        ),
        Mistake(
            "grows_from_one", grows_from_one,
            "The weight begins at 1 instead of 0.",
            behaves=lambda trials: _on_warm(trials, lambda t, w, s, b: close(w, 1 + (b - 1) * s.clamp(max=1))),
        ),
        Mistake(
            "bent_line", bent_line,
            "The weight rises from about 0 to about `beta`, but not in a straight line.",
            behaves=_rises_in_a_curve,
        ),
    ),
    alternatives=(by_cases, by_the_larger_one),
)  # fmt: skip


# --- 2.5 latent_traversal -------------------------------------------------------------------------------------------


def _reference_traversal(code, dim, values):
    rows = [torch.cat([code[:dim], value.reshape(1).to(code), code[dim + 1 :]]) for value in values]
    return torch.stack(rows)


def repeated_then_set(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[:, dim] = values
    return codes


def by_a_mask(code, dim, values):
    mask = F.one_hot(torch.tensor(dim, device=code.device), len(code)).to(code)
    return code * (1 - mask) + values[:, None].to(code) * mask


def values_added(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[:, dim] += values
    return codes


def values_multiplied(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[:, dim] *= values
    return codes


def all_latents_set(code, dim, values):
    return values[:, None].expand(len(values), len(code)).clone()


def all_latents_moved(code, dim, values):
    return code[None] + values[:, None]


def others_at_zero(code, dim, values):
    codes = torch.zeros(len(values), len(code), dtype=code.dtype, device=code.device)
    codes[:, dim] = values
    return codes


def one_latent_off(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[:, dim - 1] = values
    return codes


def always_the_first(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[:, 0] = values
    return codes


def rows_and_columns_swapped(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[:, dim] = values
    return codes.t()


def row_instead_of_column(code, dim, values):
    codes = code.repeat(len(values), 1)
    codes[dim] = values
    return codes


def same_row_again(code, dim, values):
    rows = []
    moved = code.clone()
    for value in values:
        moved[dim] = value
        rows.append(moved)
    return torch.stack(rows)


def code_changed(code, dim, values):
    rows = []
    for value in values:
        code[dim] = value
        rows.append(code.clone())
    return torch.stack(rows)


def shared_memory(code, dim, values):
    codes = code.expand(len(values), -1)
    codes[:, dim] = values
    return codes


def list_of_codes(code, dim, values):
    rows = []
    for value in values:
        moved = code.clone()
        moved[dim] = value
        rows.append(moved)
    return rows


def values_alone(code, dim, values):
    return values[:, None].clone()


def _others(t: Trial) -> Tensor:
    """A mask of the latents that must not move."""
    return torch.arange(len(t.case.inputs["code"])) != t.case.inputs["dim"]


def _table(case: Case, seen: Values) -> Tensor:
    codes = seen["codes"]
    return codes if codes.shape == (len(case.inputs["values"]), len(case.inputs["code"])) else codes.new_zeros(0)


def _moves(case: Case, seen: Values, expected: Values) -> bool:
    return close(_table(case, seen)[:, case.inputs["dim"]], expected["codes"][:, case.inputs["dim"]])


def _rest_stays(case: Case, seen: Values, expected: Values) -> bool:
    others = torch.arange(len(case.inputs["code"])) != case.inputs["dim"]
    codes = _table(case, seen)
    return codes.dtype == expected["codes"].dtype and close(codes[:, others], expected["codes"][:, others])


latent_traversal = Judge(
    reference=_reference_traversal,
    criteria=(
        Criterion("moves", 1, "row k has `values[k]` at latent `dim`", _moves),
        Criterion("rest", 1, "all other latents are those of `code`, in every row", _rest_stays),
        Criterion(
            "input_kept", 1, "`code` and `values` are not changed",
            lambda c, s, e: torch.equal(s["code_after"], c.inputs["code"])
            and torch.equal(s["values_after"], c.inputs["values"])
            and _table(c, s).shape == e["codes"].shape,
        ),
    ),
    mistakes=(
        Mistake(
            "list_of_codes", list_of_codes,
            "You give back a list. The decoder wants one table, `(K, code_dim)`: `torch.stack` makes it.",
            behaves=lambda trials: in_any(trials, lambda t: isinstance(t.seen["codes"], list)),
        ),
        Mistake(
            "shared_memory", shared_memory,
            "`expand` makes rows that share their memory, so they cannot be set one by one. Make real copies: "
            "`.clone()` after it, or `repeat`.",
            behaves=lambda trials: failed_with(trials, "single memory location")
            or failed_with(trials, "more than one element"),
        ),
        Mistake(
            "code_changed", code_changed,
            "You write into `code` itself, and whoever gave it to you finds it changed. Copy first, then write.",
            behaves=lambda trials: in_any(
                trials, lambda t: not torch.equal(t.seen["code_after"], t.case.inputs["code"])
            ),
        ),
        Mistake(
            "values_alone", values_alone,
            "Only the values come back. The decoder wants whole codes: all other latents as in `code`.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["codes"].numel() == len(t.case.inputs["values"]) * 1
            ),
        ),
        Mistake(
            "rows_and_columns_swapped", rows_and_columns_swapped,
            "Rows and columns are swapped: a row is a whole code, so the table is `(K, code_dim)`.",
            behaves=lambda trials: in_all(trials, lambda t: close(t.seen["codes"], t.expected["codes"].t())),
        ),
        Mistake(
            "row_instead_of_column", row_instead_of_column,
            "You write into ROW `dim` of the table, which is a whole code. Latent `dim` is a column: `[:, dim]`.",
            behaves=lambda trials: (
                failed_with(trials, "expanded size of the tensor")
                or failed_with(trials, "out of bounds for dimension 0")
            ) and in_any(
                trials,
                lambda t: t.case.name == "as_many_values_as_latents"
                and close(t.seen["codes"][t.case.inputs["dim"]], t.case.inputs["values"]),
            ),
        ),
        Mistake(
            "same_row_again", same_row_again,
            "All rows are the same: the same memory stands in each of them, so they all show the last value. Copy the "
            "code anew for each row.",
            behaves=lambda trials: in_all(
                trials, lambda t: t.seen["codes"].ndim == 2 and bool((t.seen["codes"] == t.seen["codes"][:1]).all())
            ),
        ),
        Mistake(
            "values_added", values_added,
            "You add the values to the latent. It is SET to them: then the same values mean the same codes, wherever "
            "you start.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: close(
                    _table(t.case, t.seen)[:, t.case.inputs["dim"]],
                    t.case.inputs["code"][t.case.inputs["dim"]] + t.case.inputs["values"],
                )
                and _rest_stays(t.case, t.seen, t.expected),
            ),
        ),
        Mistake(
            "values_multiplied", values_multiplied,
            "You multiply the latent by the values. It is SET to them.",
        ),
        Mistake(
            "others_at_zero", others_at_zero,
            "All other latents are zero, so you leave the place in code space where you started. Keep them as they are "
            "in `code`.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: _moves(t.case, t.seen, t.expected) and not _table(t.case, t.seen)[:, _others(t)].any(),
            ),
        ),
        Mistake(
            "all_latents_set", all_latents_set,
            "Every latent is set to the value. Only latent `dim` moves: index the column, `[:, dim]`.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: close(
                    _table(t.case, t.seen), t.case.inputs["values"][:, None].expand(t.expected["codes"].shape)
                ),
            ),
        ),
        Mistake(
            "all_latents_moved", all_latents_moved,
            "Every latent moves. Only latent `dim` may: index the column, `[:, dim]`.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: len(t.case.inputs["values"]) < 2
                or bool((_table(t.case, t.seen) != _table(t.case, t.seen)[:1]).any(dim=0).all()),
            ),
        ),
        Mistake(
            "always_the_first", always_the_first,
            "It is always the first latent that moves. `dim` says which.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(_table(t.case, t.seen)[:, 0], t.case.inputs["values"].to(t.seen["codes"]))
            ),
        ),
        Mistake(
            "one_latent_off", one_latent_off,
            "It is a neighbor of latent `dim` that moves. Latents are counted from 0, as Python does.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: any(
                    close(
                        _table(t.case, t.seen)[:, (t.case.inputs["dim"] + by) % len(t.case.inputs["code"])],
                        t.case.inputs["values"].to(t.seen["codes"]),
                    )
                    for by in (-1, 1)
                ),
            ),
        ),
    ),
    alternatives=(repeated_then_set, by_a_mask),
)  # fmt: skip


# --- 2.6 importance_weighted_bound ----------------------------------------------------------------------------------


def _reference_bound(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def largest_weight_first(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    largest = log_w.max(dim=0, keepdim=True).values.detach()
    return (log_w - largest).exp().mean(dim=0).log() + largest[0]


def pair_after_pair(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + (log_pz - log_qz)
    total = log_w[0]
    for other in log_w[1:]:
        total = torch.logaddexp(total, other)
    return total - torch.log(torch.tensor(float(log_w.shape[0])))


def mean_of_logs(log_px_given_z, log_pz, log_qz):
    return (log_px_given_z + log_pz - log_qz).mean(dim=0)


def sum_of_logs(log_px_given_z, log_pz, log_qz):
    return (log_px_given_z + log_pz - log_qz).sum(dim=0)


def out_of_the_logarithm(log_px_given_z, log_pz, log_qz):
    return torch.log(torch.exp(log_px_given_z + log_pz - log_qz).mean(dim=0))


def count_forgotten(log_px_given_z, log_pz, log_qz):
    return torch.logsumexp(log_px_given_z + log_pz - log_qz, dim=0)


def count_added(log_px_given_z, log_pz, log_qz):
    return torch.logsumexp(log_px_given_z + log_pz - log_qz, dim=0) + math.log(len(log_pz))


def divided_by_the_count(log_px_given_z, log_pz, log_qz):
    return torch.logsumexp(log_px_given_z + log_pz - log_qz, dim=0) / len(log_pz)


def count_not_logged(log_px_given_z, log_pz, log_qz):
    return torch.logsumexp(log_px_given_z + log_pz - log_qz, dim=0) - len(log_pz)


def over_the_images(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return torch.logsumexp(log_w, dim=1) - math.log(log_w.shape[1])


def count_of_images(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return torch.logsumexp(log_w, dim=0) - math.log(log_w.shape[1])


def posterior_added(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz + log_qz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def prior_and_posterior_swapped(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_qz - log_pz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def prior_forgotten(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z - log_qz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def posterior_forgotten(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def likelihood_alone(log_px_given_z, log_pz, log_qz):
    return torch.logsumexp(log_px_given_z, dim=0) - math.log(len(log_pz))


def best_sample_only(log_px_given_z, log_pz, log_qz):
    return (log_px_given_z + log_pz - log_qz).max(dim=0).values


def turned_into_a_loss(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return -(torch.logsumexp(log_w, dim=0) - math.log(len(log_w)))


def one_number_for_the_batch_of_images(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return (torch.logsumexp(log_w, dim=0) - math.log(len(log_w))).mean()


def all_samples_in_one(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return torch.logsumexp(log_w.flatten(), dim=0) - math.log(log_w.numel())


def weights_upside_down(log_px_given_z, log_pz, log_qz):
    log_w = log_qz - log_pz - log_px_given_z
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def largest_not_added_back(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return (log_w - log_w.max(dim=0).values).exp().mean(dim=0).log()


def weights_themselves(log_px_given_z, log_pz, log_qz):
    return torch.exp(log_px_given_z + log_pz - log_qz).mean(dim=0)


def bound_without_gradient(log_px_given_z, log_pz, log_qz):
    log_w = (log_px_given_z + log_pz - log_qz).detach()
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


_ORDINARY = ("plain", "one_sample", "as_many_samples_as_images", "one_image", "transposed", "float64")


def _log_w(case: Case, *signs: float) -> Tensor:
    terms = (case.inputs[key].double() for key in ("log_px_given_z", "log_pz", "log_qz"))
    return sum((sign * term for sign, term in zip(signs or (1, 1, -1), terms, strict=True)), torch.zeros(()))


def _bound_is(trials: Sequence[Trial], formula: Callable[[Case], Tensor]) -> bool:
    """Whether the answer is that formula on all ordinary cases (elsewhere it may over- or underflow)."""
    found = [t for t in ran(trials) if t.case.name in _ORDINARY]
    return bool(found) and all(close(t.seen["bound"], formula(t.case)) for t in found)


def _log_mean(log_w: Tensor, dim: int = 0) -> Tensor:
    return torch.logsumexp(log_w, dim=dim) - math.log(log_w.shape[dim])


importance_weighted_bound = Judge(
    reference=_reference_bound,
    criteria=(
        Criterion(
            "weights", 1, "with one sample it is $\\log p(x|z) + \\log p(z) - \\log q(z|x)$, one number an image",
            lambda c, s, e: close(s["bound"], e["bound"]), ("one_sample",),
        ),
        Criterion(
            "bound", 1, "it is the logarithm of the mean weight of an image's samples",
            lambda c, s, e: close(s["bound"], e["bound"]), _ORDINARY,
        ),
        Criterion(
            "stable", 1, "it is right for weights that are too small or too large for a number",
            lambda c, s, e: close(s["bound"], e["bound"]), ("unlikely", "dense"),
        ),
        Criterion(
            "gradient", 1, "gradients reach all three terms",
            lambda c, s, e: close(s["gradients"], e["gradients"]), _ORDINARY,
        ),
    ),
    mistakes=(
        Mistake(
            "bound_without_gradient", bound_without_gradient,
            "The values are right, but no gradient goes through: leave out `detach`, `no_grad` and `.item()`, so that "
            "the bound can be trained on.",
            behaves=lambda trials: in_all(trials, lambda t: close(t.seen["bound"], t.expected["bound"])),
        ),
        Mistake(
            "mean_of_logs", mean_of_logs,
            "This is the mean of the logarithms: the ELBO, merely with more samples. The bound becomes tighter only if "
            "the mean is taken of the weights, INSIDE the logarithm.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_w(c).mean(dim=0)),
        ),
        Mistake(
            "sum_of_logs", sum_of_logs,
            "You add up the logarithms, which multiplies the weights with each other. The mean of the weights is "
            "wanted, inside the logarithm.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_w(c).sum(dim=0)),
        ),
        Mistake(
            "out_of_the_logarithm", out_of_the_logarithm,
            "Right for ordinary numbers. Weights such as `exp(-900)` are 0 for a computer, and large ones infinite: "
            "never leave the logarithms. `torch.logsumexp` sums without doing so.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c)))
            and in_any(trials, lambda t: not close(t.seen["bound"], t.expected["bound"])),
        ),
        Mistake(
            "weights_themselves", weights_themselves,
            "The logarithm at the end is missing: this is the mean weight itself.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_w(c).exp().mean(dim=0)),
        ),
        Mistake(
            "count_forgotten", count_forgotten,
            "You take the logarithm of the SUM of the weights, so the bound grows with every sample, even useless "
            "ones. Subtract the logarithm of their number.",
            behaves=lambda trials: _bound_is(trials, lambda c: torch.logsumexp(_log_w(c), dim=0)),
        ),
        Mistake(
            "count_added", count_added,
            "You add the logarithm of the number of samples. Dividing by it means to subtract.",
            behaves=lambda trials: _bound_is(
                trials, lambda c: torch.logsumexp(_log_w(c), dim=0) + math.log(len(_log_w(c)))
            ),
        ),
        Mistake(
            "divided_by_the_count", divided_by_the_count,
            "You divide the logarithm by the number of samples. The weights are what is divided: inside a logarithm "
            "that is a difference, `- math.log(K)`.",
            behaves=lambda trials: _bound_is(trials, lambda c: torch.logsumexp(_log_w(c), dim=0) / len(_log_w(c))),
        ),
        Mistake(
            "count_not_logged", count_not_logged,
            "You subtract the number of samples itself. Its LOGARITHM is what dividing the weights by it comes to.",
            behaves=lambda trials: _bound_is(trials, lambda c: torch.logsumexp(_log_w(c), dim=0) - len(_log_w(c))),
        ),
        Mistake(
            "over_the_images", over_the_images,
            "You sum over the images instead of the samples. Samples are in rows, `(K, N)`: sum over `dim=0`, so that "
            "a number for each image is left.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c), dim=1)),
        ),
        Mistake(
            "count_of_images", count_of_images,
            "You divide by the number of images. It is the samples that are averaged: their number is the length of "
            "the first dimension.",
            behaves=lambda trials: _bound_is(
                trials, lambda c: torch.logsumexp(_log_w(c), dim=0) - math.log(_log_w(c).shape[1])
            ),
        ),
        Mistake(
            "posterior_added", posterior_added,
            "You add `log_qz`. The samples came from $q$, so a weight is DIVIDED by it: subtract.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 1, 1))),
        ),
        Mistake(
            "prior_and_posterior_swapped", prior_and_posterior_swapped,
            "Prior and posterior are swapped: the prior $p(z)$ is multiplied in, the posterior $q(z|x)$ divided by.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, -1, 1))),
        ),
        Mistake(
            "prior_forgotten", prior_forgotten,
            "The prior is missing: codes far out, which the model itself would never draw, cost nothing.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 0, -1))),
        ),
        Mistake(
            "posterior_forgotten", posterior_forgotten,
            "You do not divide by $q(z|x)$: the samples were drawn where $q$ is large, and that must be paid back.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 1, 0))),
        ),
        Mistake(
            "likelihood_alone", likelihood_alone,
            "Only the likelihood of the picture counts here, and the code is free. A weight has three parts.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c, 1, 0, 0))),
        ),
        Mistake(
            "best_sample_only", best_sample_only,
            "You take the best sample and forget the others. That is no bound any more: take the logarithm of the mean "
            "weight.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_w(c).max(dim=0).values),
        ),
        Mistake(
            "turned_into_a_loss", turned_into_a_loss,
            "The sign is turned round. The bound itself is asked for: the higher, the better.",
            behaves=lambda trials: _bound_is(trials, lambda c: -_log_mean(_log_w(c))),
        ),
        Mistake(
            "weights_upside_down", weights_upside_down,
            "All three signs are turned round inside the sum: you average one over the weight. Likelihood and prior "
            "are added, the posterior is subtracted.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(-_log_w(c))),
        ),
        Mistake(
            "largest_not_added_back", largest_not_added_back,
            "You take the largest weight away before the exponential, which is right, and never give it back: add it "
            "again at the end. `torch.logsumexp` does both.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c)) - _log_w(c).max(dim=0).values),
        ),
        Mistake(
            "one_number_for_the_batch_of_images", one_number_for_the_batch_of_images,
            "You average over the images. Give back a number for each of them, `(N,)`; each has a bound of its own.",
            behaves=lambda trials: _bound_is(trials, lambda c: _log_mean(_log_w(c)).mean())
            or _bound_is(trials, lambda c: _log_mean(_log_w(c)).sum()),
        ),
        Mistake(
            "all_samples_in_one", all_samples_in_one,
            "You put the samples of all images into one mean. Each image has its own samples: sum over `dim=0` only.",
            behaves=lambda trials: in_all(
                trials,
                lambda t: t.seen["bound"].numel() == 1 and close(t.seen["bound"], _log_mean(_log_w(t.case).flatten())),
            ),
        ),
    ),
    alternatives=(largest_weight_first, pair_after_pair),
)  # fmt: skip

JUDGES = {
    "reparameterize": reparameterize,
    "kl_divergence": kl_divergence,
    "negative_elbo": negative_elbo,
    "kl_warmup": kl_warmup,
    "latent_traversal": latent_traversal,
    "importance_weighted_bound": importance_weighted_bound,
}
