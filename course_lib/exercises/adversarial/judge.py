"""References of unit 03."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def reference_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """By the logarithms of the probabilities, without a loss of torch's."""
    real, fake = F.logsigmoid(real_logits), F.logsigmoid(-fake_logits)
    return -real.sum() / len(real) - fake.sum() / len(fake)


def reference_generator_loss(fake_logits: Tensor, *, saturating: bool = False) -> Tensor:
    """By the logarithms of the probabilities, without a loss of torch's."""
    log_real, log_fake = (F.logsigmoid(sign * fake_logits) for sign in (1, -1))
    return (log_fake if saturating else -log_real).sum() / len(fake_logits)


def reference_gan(
    discriminator_loss: Callable[..., Any] = reference_discriminator_loss,
    generator_loss: Callable[..., Any] = reference_generator_loss,
) -> type:
    class GAN:
        """Fully connected, with gradients by `autograd.grad` instead of `backward`."""

        def __init__(self, image_shape, code_dim):
            d, shaped = math.prod(image_shape), nn.Unflatten(1, image_shape)
            self.generator = nn.Sequential(nn.Linear(code_dim, d), nn.Sigmoid(), shaped)
            self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(d, 1), nn.Flatten(0))

        def step(self, images, codes, *, generator_optimizer, discriminator_optimizer):
            fake = self.generator.train()(codes)
            real_logits, fake_logits = (self.discriminator.train()(x) for x in (images, fake.detach()))
            d_loss = discriminator_loss(real_logits, fake_logits)
            _move(self.discriminator, d_loss, discriminator_optimizer)
            g_loss = generator_loss(self.discriminator(fake))
            _move(self.generator, g_loss, generator_optimizer)
            return d_loss.item(), g_loss.item()

    return GAN


def _move(network: nn.Module, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    parameters = list(network.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
