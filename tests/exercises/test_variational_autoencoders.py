"""Unit 02's checks against answers that are not written down in mistakes.md: variants of the mistakes, and right
ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import UNNAMED, variants_tested

# --- 2.1 reparameterize


def rsample(mu, logvar, *, generator):
    return Normal(mu, (0.5 * logvar).exp()).rsample()


def torch_normal(mu, logvar, *, generator):
    return torch.normal(mu, torch.exp(0.5 * logvar), generator=generator)


def drawn_under_no_grad(mu, logvar, *, generator):
    with torch.no_grad():
        return mu + logvar.mul(0.5).exp() * torch.randn(mu.size(), generator=generator).to(mu)


def variance_in_full(mu, logvar, *, generator):
    var = logvar.exp()
    return mu + var * torch.randn(mu.shape, generator=generator).type_as(mu)


def log_deviation(mu, logvar, *, generator):
    std = logvar.abs().sqrt()
    return mu + std * torch.randn(mu.shape, generator=generator).to(mu)


def one_row_of_noise(mu, logvar, *, generator):
    noise = torch.randn(1, mu.shape[1], generator=generator).to(mu)
    return mu + torch.exp(logvar / 2) * noise.expand_as(mu)


def mean_cut_off(mu, logvar, *, generator):
    return mu.detach() + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=generator).to(mu)


def own_seed(mu, logvar, *, generator):
    g = torch.Generator().manual_seed(1234)
    return mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=g).to(mu)


def deviation_added(mu, logvar, *, generator):
    return mu + torch.exp(logvar / 2) + torch.randn(mu.shape, generator=generator).to(mu)


def moved_uniform(mu, logvar, *, generator):
    return mu + torch.exp(logvar / 2) * (2 * torch.rand(mu.shape, generator=generator).to(mu) - 1)


def half_normal(mu, logvar, *, generator):
    return mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=generator).to(mu).abs()


def by_numpy(mu, logvar, *, generator):
    noise = np.random.default_rng(generator.initial_seed()).standard_normal(tuple(mu.shape))
    return mu + torch.exp(logvar / 2) * torch.from_numpy(noise).to(mu)


def by_power(mu, logvar, *, generator):
    std = math.e ** (logvar / 2)
    eps = torch.randn(*mu.size(), generator=generator, dtype=mu.dtype)
    return eps.to(mu.device).mul(std).add(mu)


def by_flat_noise(mu, logvar, *, generator):
    eps = torch.randn(mu.numel(), generator=generator).reshape(mu.shape).to(mu)
    return logvar.exp().pow(0.5) * eps + mu


# --- 2.2 kl_divergence


def sign_slipped(mu, logvar):
    return 0.5 * (1 + logvar - mu.square() - logvar.exp())


def pytorch_example(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


def mean_over_all(mu, logvar):
    return torch.mean(-0.5 * (1 + logvar - mu.pow(2) - logvar.exp()))


def of_the_prior(mu, logvar):
    q, p = Normal(mu, torch.exp(0.5 * logvar)), Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return kl.kl_divergence(p, q)


def variance_as_scale(mu, logvar):
    return kl.kl_divergence(Normal(mu, logvar.exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))


def sigma_is_logvar(mu, logvar):
    return 0.5 * (mu**2 + logvar**2 - 1) - torch.log(logvar.abs())


def detached_variance(mu, logvar):
    return 0.5 * (mu**2 + (logvar.exp() - 1 - logvar).detach())


def summed_with_keepdim(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1, keepdim=True)


def absolute_mean(mu, logvar):
    return 0.5 * (mu.abs() + logvar.exp() - 1 - logvar)


def plus_one(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() + 1 - logvar)


def clamped_kl(mu, logvar):
    return (-0.5 * (1 + logvar - mu**2 - logvar.exp())).clamp(min=0.5)


def by_distributions(mu, logvar):
    return kl.kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(torch.zeros_like(mu), 1.0))


def by_expm1(mu, logvar):
    return torch.expm1(logvar).sub(logvar).add(mu * mu).div(2)


# --- 2.3 negative_elbo


def default_reductions(logits, images, kl, *, beta=1.0):
    return nn.BCEWithLogitsLoss()(logits, images) + beta * kl.sum(1).mean()


def everything_averaged(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images) + beta * torch.mean(kl)


def everything_summed(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images, reduction="sum") + beta * kl.sum()


def kl_by_batch_and_784(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / images.shape[0]
    return bce + beta * kl.sum() / (images.shape[0] * images[0].numel())


def beta_before_the_pixels(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return beta * bce + kl.sum() / len(images)


def one_minus_beta(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return (1 - beta) * bce + beta * kl.sum() / len(images)


def sign_of_the_kl(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum((1, 2, 3))
    return torch.mean(bce - beta * kl.sum(1))


def sigmoid_then_logits(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(torch.sigmoid(logits), images, reduction="sum") / len(images)
    return bce + beta * kl.sum(1).mean()


def clamped_probabilities(logits, images, kl, *, beta=1.0):
    p = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
    bce = -(images * p.log() + (1 - images) * (1 - p).log()).flatten(1).sum(1)
    return (bce + beta * kl.sum(1)).mean()


def logarithms_by_hand(logits, images, kl, *, beta=1.0):
    p = torch.sigmoid(logits)
    return -(images * p.log() + (1 - images) * (1 - p).log()).sum() / len(images) + beta * kl.sum() / len(images)


def channels_averaged(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, images, reduction="none").mean(1).sum((1, 2))
    return (bce + beta * kl.sum(1)).mean()


def no_mean_at_the_end(logits, images, kl, *, beta=1.0):
    return F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum((1, 2, 3)) + beta * kl.sum(1)


def free_bits(logits, images, kl, *, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return bce + beta * kl.clamp(min=1.0).sum(1).mean()


def bernoulli(logits, images, kl, *, beta=1.0):
    log_p = Bernoulli(logits=logits, validate_args=False).log_prob(images)
    return beta * kl.sum(-1).mean() - log_p.sum(dim=(1, 2, 3)).mean()


def image_by_image(logits, images, kl, *, beta=1.0):
    total = 0.0
    for ours, theirs, cost in zip(logits, images, kl):
        total = total + F.binary_cross_entropy_with_logits(ours, theirs, reduction="sum") + beta * cost.sum()
    return total / len(images)


# --- 2.4 kl_warmup


def forgot_the_cap(step, warmup_steps, *, beta=1.0):
    return beta if not warmup_steps else step / warmup_steps * beta


def without_a_guard(step, warmup_steps, *, beta=1.0):
    return min(beta, beta * step / warmup_steps)


def floor_division(step, warmup_steps, *, beta=1.0):
    return beta * min(1, step // max(warmup_steps, 1)) if warmup_steps else beta


def from_step_one(step, warmup_steps, *, beta=1.0):
    return beta * min(1, (step + 1) / (warmup_steps + 1))


def up_to_one(step, warmup_steps, *, beta=1.0):
    return min(1.0, step / warmup_steps) if warmup_steps else 1.0


def small_epsilon(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, step / (warmup_steps + 1e-8))


def stays_below(step, warmup_steps, *, beta=1.0):
    return beta * min(step, warmup_steps - 1) / warmup_steps if warmup_steps else beta


def sigmoid_shape(step, warmup_steps, *, beta=1.0):
    if warmup_steps == 0:
        return beta
    return beta / (1 + math.exp(-10 * (step / warmup_steps - 0.5)))


def squared_rise(step, warmup_steps, *, beta=1.0):
    return beta * min(1.0, step / warmup_steps) ** 2 if warmup_steps else beta


def by_tensor(step, warmup_steps, *, beta=1.0):
    return beta * torch.clamp(torch.tensor(step / warmup_steps), max=1.0) if warmup_steps else torch.tensor(beta)


def by_interpolation(step, warmup_steps, *, beta=1.0):
    return beta if step >= warmup_steps else float(np.interp(step, [0, warmup_steps], [0.0, beta]))


# --- 2.6 importance_weighted_bound


def average_of_elbos(log_px_given_z, log_pz, log_qz):
    return torch.mean(log_px_given_z + log_pz - log_qz, 0)


def naive(log_px_given_z, log_pz, log_qz):
    return (log_px_given_z.exp() * log_pz.exp() / log_qz.exp()).mean(0).log()


def only_the_sum(log_px_given_z, log_pz, log_qz):
    return torch.logsumexp(log_px_given_z + log_pz - log_qz, 0)


def last_dimension(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return log_w.logsumexp(-1) - math.log(log_w.shape[-1])


def plus_log_q(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz + log_qz
    return log_w.logsumexp(0) - math.log(log_w.shape[0])


def negative(log_px_given_z, log_pz, log_qz):
    log_w = log_qz - log_pz - log_px_given_z
    return log_w.logsumexp(0) - math.log(len(log_w))


def averaged_over_images(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return (log_w.logsumexp(0) - math.log(len(log_w))).mean()


def weighted_elbo(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return (log_w.softmax(0) * log_w).sum(0)


def shifted_without_return(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return (log_w - log_w.amax(0)).exp().mean(0).log()


def log_of_k_kept_as_tensor(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return log_w.logsumexp(dim=0) - torch.tensor(log_w.shape[0], dtype=log_w.dtype, device=log_w.device).log()


def softmax_identity(log_px_given_z, log_pz, log_qz):
    log_w = log_px_given_z + log_pz - log_qz
    return log_w[0] - F.log_softmax(log_w, dim=0)[0] - math.log(len(log_w))


CASES = [
    ("reparameterize", rsample, "generator_ignored"),
    ("reparameterize", torch_normal, "sampled_without_gradient"),
    ("reparameterize", drawn_under_no_grad, "sampled_without_gradient"),
    ("reparameterize", variance_in_full, "variance_as_deviation"),
    ("reparameterize", log_deviation, "root_of_logvar"),
    ("reparameterize", one_row_of_noise, "same_noise_for_all"),
    ("reparameterize", mean_cut_off, "deviation_cut_off"),
    ("reparameterize", own_seed, "seeded_inside"),
    ("reparameterize", deviation_added, "deviation_and_noise_added"),
    ("reparameterize", moved_uniform, "uniform_noise"),
    ("reparameterize", half_normal, "never_below_the_mean"),
    ("reparameterize", by_numpy, "seeded_inside"),
    ("reparameterize", by_power, None),
    ("reparameterize", by_flat_noise, None),
    ("kl_divergence", sign_slipped, "wrong_sign"),
    ("kl_divergence", pytorch_example, "one_number_for_the_batch"),
    ("kl_divergence", mean_over_all, "one_number_for_the_batch"),
    ("kl_divergence", of_the_prior, "arguments_swapped"),
    ("kl_divergence", variance_as_scale, "log_deviation"),
    ("kl_divergence", sigma_is_logvar, "deviation_itself"),
    ("kl_divergence", detached_variance, "without_gradient"),
    ("kl_divergence", summed_with_keepdim, "summed_over_latents"),
    ("kl_divergence", absolute_mean, "mean_not_squared"),
    ("kl_divergence", plus_one, "one_forgotten"),
    ("kl_divergence", clamped_kl, "held_above_a_floor"),
    ("kl_divergence", by_distributions, None),
    ("kl_divergence", by_expm1, None),
    ("negative_elbo", default_reductions, "mean_over_pixels"),
    ("negative_elbo", everything_averaged, "mean_of_everything"),
    ("negative_elbo", everything_summed, "summed_over_batch"),
    ("negative_elbo", kl_by_batch_and_784, "kl_divided_by_pixels"),
    ("negative_elbo", beta_before_the_pixels, "beta_on_the_reconstruction"),
    ("negative_elbo", one_minus_beta, "one_minus_beta"),
    ("negative_elbo", sign_of_the_kl, "kl_subtracted"),
    ("negative_elbo", sigmoid_then_logits, "squashed_twice"),
    ("negative_elbo", clamped_probabilities, "squashed_first"),
    ("negative_elbo", logarithms_by_hand, "logarithm_of_zero"),
    ("negative_elbo", channels_averaged, "channels_averaged"),
    ("negative_elbo", no_mean_at_the_end, "one_number_an_image"),
    ("negative_elbo", free_bits, UNNAMED),
    ("negative_elbo", bernoulli, None),
    ("negative_elbo", image_by_image, None),
    ("kl_warmup", forgot_the_cap, "never_stops"),
    ("kl_warmup", without_a_guard, "divides_by_zero"),
    ("kl_warmup", floor_division, "whole_numbers_only"),
    ("kl_warmup", from_step_one, "one_step_early"),
    ("kl_warmup", up_to_one, "beta_ignored_in_warmup"),
    ("kl_warmup", small_epsilon, "zero_without_warmup"),
    ("kl_warmup", stays_below, "never_reaches_beta"),
    ("kl_warmup", sigmoid_shape, "bent_line"),
    ("kl_warmup", squared_rise, "bent_line"),
    ("kl_warmup", by_tensor, "weight_as_a_tensor"),
    ("kl_warmup", by_interpolation, None),
    ("importance_weighted_bound", average_of_elbos, "mean_of_logs"),
    ("importance_weighted_bound", naive, "out_of_the_logarithm"),
    ("importance_weighted_bound", only_the_sum, "count_forgotten"),
    ("importance_weighted_bound", last_dimension, "over_the_images"),
    ("importance_weighted_bound", plus_log_q, "posterior_added"),
    ("importance_weighted_bound", negative, "weights_upside_down"),
    ("importance_weighted_bound", averaged_over_images, "one_number_for_the_batch_of_images"),
    ("importance_weighted_bound", weighted_elbo, UNNAMED),
    ("importance_weighted_bound", shifted_without_return, "largest_not_added_back"),
    ("importance_weighted_bound", log_of_k_kept_as_tensor, None),
    ("importance_weighted_bound", softmax_identity, None),
]


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(CASES)


def test_half_right_gets_its_share():
    right_but_one_point = {
        "kl_divergence": sigma_is_logvar,
        "negative_elbo": logarithms_by_hand,
        "kl_warmup": without_a_guard,
        "reparameterize": rsample,
        "importance_weighted_bound": naive,
    }
    lost = {
        name: {c.name for c in check(exercise_named(name), answer).criteria if not c.score}
        for name, answer in right_but_one_point.items()
    }
    assert lost == {
        "kl_divergence": {"shape", "value", "zero_at_the_prior", "gradient"},
        "negative_elbo": {"stable"},
        "kl_warmup": {"no_warmup"},
        "reparameterize": {"generator"},
        "importance_weighted_bound": {"stable"},
    }
