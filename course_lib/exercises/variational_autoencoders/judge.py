"""What the judge of a whole model of unit 02 builds on: the smallest VAE, and the nats that it must get below."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
