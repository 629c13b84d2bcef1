"""References of unit 05."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def nt_xent_of_each_view(z1: Tensor, z2: Tensor, temperature: float = 0.2) -> Tensor:
    """(2N,): by the logarithm of a sum of exponentials over all other views, without a cross-entropy."""
    z = torch.cat([z1, z2])
    z = z / z.norm(dim=1, keepdim=True)
    similarity, n = z @ z.T / temperature, len(z1)
    others = ~torch.eye(2 * n, dtype=torch.bool, device=z.device)
    total = similarity[others].reshape(2 * n, 2 * n - 1).logsumexp(dim=1)
    return total - torch.cat([similarity.diagonal(n), similarity.diagonal(-n)])


def reference_nt_xent_loss(z1: Tensor, z2: Tensor, temperature: float = 0.2) -> Tensor:
    return nt_xent_of_each_view(z1, z2, temperature).mean()


def reference_two_views(images, augment, *, generator):
    return tuple(augment(images, generator=generator) for _ in range(2))


def reference_simclr(two_views=reference_two_views, nt_xent_loss=reference_nt_xent_loss):
    class SimCLR(nn.Module):
        """A head without batch normalization, and features whose modes are set back one by one."""

        def __init__(self, encoder, hidden, outputs):
            super().__init__()
            self.encoder = encoder
            first, last = nn.Linear(encoder.feature_dim, hidden), nn.Linear(hidden, outputs)
            self.head = nn.Sequential(first, nn.LeakyReLU(), last)

        def forward(self, images):
            return self.head(self.encoder(images))

        def loss(self, images, augment, temperature, *, generator):
            z = self(torch.cat(list(two_views(images, augment, generator=generator))))
            return nt_xent_loss(z[: len(images)], z[len(images) :], temperature)

        @torch.no_grad()
        def features(self, images):
            modes = {module: module.training for module in self.modules()}
            features = self.eval().encoder(images)
            for module, mode in modes.items():
                module.training = mode
            return features

    return SimCLR
