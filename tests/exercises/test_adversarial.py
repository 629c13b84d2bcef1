"""Unit 03's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from course_lib.models import eval_mode
from tests.exercises.shared import answers_tested

# --- 3.1 and 3.2, the losses


def by_log1p(real_logits, fake_logits):
    return torch.log1p(torch.exp(-real_logits.double())).mean() + F.softplus(fake_logits).mean()


def by_classes(real_logits, fake_logits):
    real = F.cross_entropy(torch.stack([-real_logits, real_logits], 1) / 2, torch.ones_like(real_logits).long())
    fake = F.cross_entropy(torch.stack([-fake_logits, fake_logits], 1) / 2, torch.zeros_like(fake_logits).long())
    return real + fake


def with_epsilon(real_logits, fake_logits):
    real, fake = real_logits.sigmoid(), fake_logits.sigmoid()
    return -((real + 1e-8).log().mean() + (1 - fake + 1e-8).log().mean())


def weighted_by_size(real_logits, fake_logits):
    total = F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()
    return 2 * total / (len(real_logits) + len(fake_logits))


def fakes_as_real(real_logits, fake_logits):
    return F.softplus(-torch.cat([real_logits, fake_logits])).mean() * 2


def generator_with_epsilon(fake_logits, *, saturating=False):
    p = fake_logits.sigmoid()
    return (1 - p + 1e-7).log().mean() if saturating else -(p + 1e-7).log().mean()


def saturating_without_the_mean(fake_logits, *, saturating=False):
    return -F.softplus(fake_logits).sum() if saturating else F.softplus(-fake_logits).mean()


# --- 3.3 GAN


class Plain(nn.Module):
    """A right answer as PyTorch's DCGAN example has it; what is wrong in the others is a line of `step`."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        (c, h, w), f = image_shape, 8
        self.generator = nn.Sequential(
            nn.Linear(code_dim, f * h * w // 16), nn.Unflatten(1, (f, h // 4, w // 4)), nn.BatchNorm2d(f), nn.ReLU(),
            nn.ConvTranspose2d(f, f, 4, 2, 1), nn.BatchNorm2d(f), nn.ReLU(),
            nn.ConvTranspose2d(f, c, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip
        spectral = nn.utils.parametrizations.spectral_norm
        self.discriminator = nn.Sequential(
            spectral(nn.Conv2d(c, f, 4, 2, 1)), nn.LeakyReLU(0.2), nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0)
        )

    def step(self, images, codes, *, generator_optimizer, discriminator_optimizer):
        D, G = self.discriminator.train(), self.generator.train()
        D.zero_grad()
        real = D(images).view(-1)
        label = torch.full_like(real, 1.0)
        real_loss = F.binary_cross_entropy_with_logits(real, label)
        real_loss.backward()
        fake = G(codes)
        out = D(fake.detach()).view(-1)
        fake_loss = F.binary_cross_entropy_with_logits(out, torch.zeros_like(out))
        fake_loss.backward()
        discriminator_optimizer.step()
        G.zero_grad()
        out = D(fake).view(-1)
        g_loss = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
        g_loss.backward()
        generator_optimizer.step()
        return (real_loss + fake_loss).item(), g_loss.item()


class CalledInInit(Plain):
    """A right answer for sides that are multiples of 4, as the statement promises; other sides stop it at once."""

    def __init__(self, image_shape, code_dim):
        super().__init__(image_shape, code_dim)
        c, h, w = image_shape
        halves = [nn.Conv2d(c, 8, 4, 2, 1), nn.Conv2d(8, 8, 4, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)]
        self.discriminator = nn.Sequential(*halves, nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0))
        self.discriminator(torch.zeros(2, c, h, w))


class Given(Plain):
    """The halves of a step as methods, so that a wrong answer can exchange one."""

    def step(self, images, codes, *, generator_optimizer, discriminator_optimizer):
        self.train()
        self.fake = self.generator(codes)
        d_loss = self.first_loss(images)
        discriminator_optimizer.zero_grad()
        d_loss.backward()
        discriminator_optimizer.step()
        g_loss = self.second_loss(codes)
        generator_optimizer.zero_grad()
        g_loss.backward()
        generator_optimizer.step()
        return d_loss.item(), g_loss.item()

    def first_loss(self, images):
        self.logits = self.discriminator(self.fake.detach())
        return F.softplus(-self.discriminator(images)).mean() + F.softplus(self.logits).mean()

    def second_loss(self, codes):
        return F.softplus(-self.discriminator(self.fake)).mean()


class UsesOldLogits(Given):
    def second_loss(self, codes):
        return F.softplus(-self.logits).mean()


class NewCodes(Given):
    def second_loss(self, codes):
        return F.softplus(-self.discriminator(self.generator(torch.randn_like(codes)))).mean()


class DetachedTwice(Given):
    def second_loss(self, codes):
        return F.softplus(-self.discriminator(self.generator(codes).detach())).mean()


class OwnEvalMode(Given):
    def second_loss(self, codes):
        self.discriminator.eval()
        loss = F.softplus(-self.discriminator(self.fake)).mean()
        self.discriminator.train()
        return loss


class TargetsExchanged(Given):
    def first_loss(self, images):
        return (
            F.softplus(self.discriminator(images)).mean() + F.softplus(-self.discriminator(self.fake.detach())).mean()
        )


class Regenerated(Given):
    def first_loss(self, images):
        retained = self.discriminator(self.generator(torch.zeros_like(self.codes) + self.codes))
        return F.softplus(-self.discriminator(images)).mean() + F.softplus(retained).mean()

    def step(self, images, codes, **optimizers):
        self.codes = codes
        return super().step(images, codes, **optimizers)


class OwnOptimizers(Given):
    def __init__(self, image_shape, code_dim):
        super().__init__(image_shape, code_dim)
        self.own = [torch.optim.SGD(self.generator.parameters(), 0.5), torch.optim.SGD([torch.zeros(1)], 0.5)]

    def step(self, images, codes, **_):
        return super().step(images, codes, generator_optimizer=self.own[0], discriminator_optimizer=self.own[1])


class HalfLoss(Given):
    def first_loss(self, images):
        return super().first_loss(images) / 2


# --- 3.4 sample_images


def in_batches(generator, count, code_dim, *, rng):
    out = []
    with torch.inference_mode(), eval_mode(generator):
        for start in range(0, count, 64):
            codes = torch.randn(min(64, count - start), code_dim, generator=rng)
            out.append(generator(codes.to(next(generator.parameters()).device)))
    return torch.cat(out)


def transposed_codes(generator, count, code_dim, *, rng):
    with eval_mode(generator), torch.no_grad():
        return generator(torch.randn(code_dim, count, generator=rng).T.contiguous())


def eval_then_train(generator, count, code_dim, *, rng):
    generator.eval()
    with torch.no_grad():
        images = generator(torch.randn(count, code_dim, generator=rng))
    generator.train()
    return images


def detached_result(generator, count, code_dim, *, rng):
    with eval_mode(generator):
        return generator(torch.randn(count, code_dim, generator=rng)).detach()


def no_grad_only(generator, count, code_dim, *, rng):
    with torch.no_grad():
        return generator(torch.randn(count, code_dim, generator=rng))


def seeded_globally(generator, count, code_dim, *, rng):
    torch.manual_seed(rng.initial_seed())
    with eval_mode(generator), torch.no_grad():
        return generator(torch.randn(count, code_dim))


def centered_uniform(generator, count, code_dim, *, rng):
    with eval_mode(generator), torch.no_grad():
        return generator(torch.rand(count, code_dim, generator=rng) * 2 - 1)


def on_the_sphere(generator, count, code_dim, *, rng):
    codes = torch.randn(count, code_dim, generator=rng)
    with eval_mode(generator), torch.no_grad():
        return generator(codes / codes.norm(dim=1, keepdim=True))


# --- 3.5 classes_covered


def by_numpy(logits, *, min_share=0.02):
    _, counts = np.unique(logits.argmax(1).numpy(), return_counts=True)
    return int((counts >= min_share * len(logits)).sum())


def by_loop(logits, *, min_share=0.02):
    found = 0
    for k in range(logits.shape[1]):
        found += (logits.argmax(dim=1) == k).float().mean().item() >= min_share - 1e-9
    return int(found)


def confident_only(logits, *, min_share=0.02):
    best, predicted = logits.softmax(dim=1).max(dim=1)
    return len(predicted[best > 0.5].unique())


def strictly_more(logits, *, min_share=0.02):
    counts = torch.bincount(logits.argmax(1))
    return sum(int(count) > min_share * len(logits) for count in counts)


# --- 3.6 frechet_distance


def by_singular_values(first, second):
    parts = [(x.double() - x.double().mean(0)) / (len(x) - 1) ** 0.5 for x in (first, second)]
    gap = (first.double().mean(0) - second.double().mean(0)).pow(2).sum()
    roots = torch.linalg.svdvals(parts[0] @ parts[1].T).sum()
    return (gap + parts[0].pow(2).sum() + parts[1].pow(2).sum() - 2 * roots).item()


def in_float32(first, second):
    first, second = first.float(), second.float()
    cov = [torch.cov(x.T) for x in (first, second)]
    roots = torch.linalg.eigvals(cov[0] @ cov[1]).real.clamp(min=0).sqrt().sum()
    return float((first.mean(0) - second.mean(0)).square().sum() + cov[0].trace() + cov[1].trace() - 2 * roots)


def by_magnitudes(first, second):
    a, b = first.double(), second.double()
    cov_a, cov_b = a.T.cov(), b.T.cov()
    roots = torch.linalg.eigvals(cov_a.mm(cov_b)).abs().sqrt().sum().item()
    return (a.mean(0) - b.mean(0)).norm().item() ** 2 + torch.trace(cov_a + cov_b).item() - 2 * roots


def lower_triangle(first, second):
    a, b = first.double(), second.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    roots = torch.linalg.eigvalsh(cov_a @ cov_b).abs().sqrt()
    return float((a.mean(0) - b.mean(0)).square().sum() + (cov_a + cov_b).trace() - 2 * roots.sum())


def by_deviations(first, second):
    a, b = first.double(), second.double()
    return float((a.mean(0) - b.mean(0)).square().sum() + (a.std(0) - b.std(0)).square().sum())


def root_of_the_trace(first, second):
    a, b = first.double(), second.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    return float((a.mean(0) - b.mean(0)).square().sum() + (cov_a + cov_b).trace() - 2 * (cov_a @ cov_b).trace().sqrt())


def covariances_compared(first, second):
    a, b = first.double(), second.double()
    return float((a.mean(0) - b.mean(0)).square().sum() + (torch.cov(a.T) - torch.cov(b.T)).square().sum())


def numpy_biased(first, second):
    a, b = first.double().numpy(), second.double().numpy()
    cov_a, cov_b = np.cov(a.T, bias=True), np.cov(b.T, bias=True)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots)


RIGHT = {
    "discriminator_loss": [by_classes, by_log1p],
    "GAN": [Plain, Given, CalledInInit],
    "sample_images": [in_batches, transposed_codes],
    "classes_covered": [by_numpy, by_loop],
    "frechet_distance": [by_singular_values, in_float32, by_magnitudes],
}
# The sentence that a wrong answer is told; None where only the values are shown.
WRONG = {
    "discriminator_loss": {
        with_epsilon: "log_of_sigmoid", weighted_by_size: "joined_and_doubled", fakes_as_real: None,
    },
    "generator_loss": {generator_with_epsilon: "log_of_sigmoid", saturating_without_the_mean: "summed_not_averaged"},
    "GAN": {
        UsesOldLogits: "graph_used_twice", NewCodes: None, DetachedTwice: "generator_never_moves", OwnEvalMode: None,
        TargetsExchanged: None, Regenerated: "detach_forgotten", OwnOptimizers: "generator_never_moves", HalfLoss: None,
    },
    "sample_images": {
        eval_then_train: "left_in_train_mode", detached_result: "gradients_recorded", no_grad_only: "train_mode",
        seeded_globally: "same_every_time", centered_uniform: "wrong_scale", on_the_sphere: "wrong_scale",
    },
    "classes_covered": {confident_only: None, strictly_more: "edge_left_out"},
    "frechet_distance": {
        lower_triangle: None, by_deviations: "only_variances", root_of_the_trace: None, covariances_compared: None,
        numpy_biased: "biased_covariance",
    },
}  # fmt: skip
test_another_right_answer_has_full_points, test_another_wrong_answer_loses_points_and_is_told_why = answers_tested(
    RIGHT, WRONG
)


def test_a_step_that_guesses_has_the_losses_of_guessing():
    """The numbers that the notebook asks to remember."""
    loss = exercise_named("discriminator_loss")
    (case,) = [case for case in loss.cases(0) if case.name == "one"]
    zeros = {key: torch.zeros_like(value) for key, value in case.inputs.items()}
    assert float(by_classes(**zeros)) == pytest.approx(2 * math.log(2))
