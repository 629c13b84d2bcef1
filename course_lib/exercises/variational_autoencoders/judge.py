"""What the judge of a whole model of unit 02 builds on: the smallest VAE, the nats to get below, tests of images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.exercises.contract import close


class SmallVAE(nn.Module):
    """One linear layer each way: the smallest VAE."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), 2 * code_dim))
        self.last = nn.Linear(code_dim, math.prod(image_shape))
        self.decode = nn.Sequential(self.last, nn.Unflatten(1, tuple(image_shape)))

    def encode(self, images):
        return self.encoder(images).tensor_split(2, dim=1)

    def forward(self, images, draw):
        mu, logvar = self.encode(images)
        return self.decode(draw(mu, logvar)), mu, logvar

    @torch.no_grad()
    def sample(self, count, *, generator):
        z = torch.randn(count, self.last.in_features, generator=generator)
        return self.decode(z.to(self.last.weight)).sigmoid()


def nats_by_pixel(images: Tensor) -> float:
    """What an image costs on average where each pixel is drawn by itself, as often white as at its place."""
    often = images.mean(dim=0).clamp(1e-3, 1 - 1e-3).expand(images.shape)
    return float(F.binary_cross_entropy(often, images, reduction="sum")) / len(images)


def one_head(mu: Tensor, logvar: Tensor) -> bool:
    """Whether the log-variance is the mean, or one value of all latents or images; a single one tells nothing."""
    shared = (n > 1 and close(logvar, logvar.narrow(d, 0, 1).expand_as(logvar)) for d, n in enumerate(logvar.shape))
    return close(mu, logvar) or any(shared)


def is_probability(images: Tensor) -> bool:
    return bool(images.min() >= 0 and images.max() <= 1)


def logits_or_bits(images: Tensor) -> bool:
    """Whether a number is not a probability, or all are 0 or 1."""
    return not is_probability(images) or bool(((images == 0) | (images == 1)).all())


def same_moments(sample: Tensor, wanted: Tensor) -> bool:
    """Whether mean and standard deviation of the logits of each pixel are about the same in many images."""
    logits, others = (images.double().logit(1e-6).flatten(1) for images in (sample, wanted))
    centered = (logits.mean(dim=0) - others.mean(dim=0)).abs() < 0.5 * others.std(dim=0)
    return bool((centered & ((logits.std(dim=0) / others.std(dim=0)).log().abs() < 0.35)).all())
