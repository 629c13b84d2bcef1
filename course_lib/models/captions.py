"""Two towers: an image encoder and a small encoder for captions, whose vectors can be compared."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.models.images import ConvEncoder
from course_lib.models.weights import seeded


class TwoTowers(nn.Module):
    """An image encoder and a caption encoder with vectors of the same length, and a learned scale of their cosines.

    A caption is the mean of its words' embeddings and a small network, so the order of its words does not count.

    Args:
        vocab_size: how many entries the vocabulary of the captions has; entry 0 is padding.
        dim: the length of the vectors.
        in_channels: of the images.
        generator: where the first weights are drawn from.

    Attributes:
        images: (N, C, H, W) -> (N, dim): a `ConvEncoder`, which keeps coarse positions, and a linear layer.
        captions: word numbers (N, T) -> (N, dim).
        log_scale: a number that is learned, the logarithm of 1 / temperature; it begins with a temperature of 0.1.
    """

    def __init__(
        self, vocab_size: int, *, dim: int = 64, in_channels: int = 1, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        encoder = ConvEncoder(in_channels, grid=2, generator=generator)
        with seeded(generator):
            self.images = nn.Sequential(encoder, nn.Linear(encoder.feature_dim, dim))
            self.captions = nn.Sequential(
                nn.EmbeddingBag(vocab_size, dim, mode="mean", padding_idx=0),
                nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim),
            )  # fmt: skip
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    @property
    def encoder(self) -> nn.Module:
        """The image encoder without the linear layer behind it."""
        return self.images[0]

    def forward(self, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        return self.images(images), self.captions(ids)  # (N, dim) each
