"""The layers of a small transformer encoder for text."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TransformerLayers(nn.Module):
    """The layers of a transformer encoder, without what is computed with them: a subclass writes `forward`.

    Args:
        vocab_size: how many entries the vocabulary has.
        dim: the length of a word's features.
        heads: attention heads; `dim` is a multiple of it.
        layers: how many blocks.
        max_length: the longest text, in words.

    Attributes:
        heads: as given.
        feature_dim: as `dim`.
        embedding: an `nn.Embedding`, one vector (dim,) per word, of length 1 on average.
        position: an `nn.Parameter` (max_length, dim), one vector per place.
        blocks: an `nn.ModuleDict` per block: `norm1`, `qkv` (dim -> 3 dim), `out` (dim -> dim), `norm2`, and `mlp`, a
            small network (dim -> 2 dim -> dim).
        norm: the last normalization.
        guess: a linear layer (dim -> dim), for `words`.

    Raises:
        ValueError: `dim` is not a multiple of `heads`.
    """

    def __init__(
        self, vocab_size: int, *, dim: int = 64, heads: int = 4, layers: int = 2, max_length: int = 32
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim is {dim}, which is not a multiple of heads={heads}.")
        self.heads, self.feature_dim = heads, dim
        self.embedding = nn.Embedding(vocab_size, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.position = nn.Parameter(0.02 * torch.randn(max_length, dim))
        self.blocks = nn.ModuleList(_block(dim) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.guess = nn.Linear(dim, dim)

    def words(self, features: Tensor) -> Tensor:
        """A score for each word of the vocabulary at each place: `(N, T, dim)` -> `(N, T, vocab_size)`.

        `guess` of the features is compared with all embeddings, so these are used for input and output.
        """
        return F.linear(self.guess(features), self.embedding.weight)


def _block(dim: int) -> nn.ModuleDict:
    mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
    linear = {"qkv": nn.Linear(dim, 3 * dim), "out": nn.Linear(dim, dim)}
    return nn.ModuleDict({"norm1": nn.LayerNorm(dim), **linear, "norm2": nn.LayerNorm(dim), "mlp": mlp})
