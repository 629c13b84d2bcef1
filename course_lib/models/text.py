"""Networks for text: a small transformer encoder and its layers, one vector per text, predictions for many texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.weights import eval_mode, seeded

_SPECIAL = 3  # the entries of a vocabulary that are not words


class TransformerLayers(nn.Module):
    """The layers of a transformer encoder, without what is computed with them: an encoder has them as `layers`.

    Args:
        vocab_size: how many entries the vocabulary has.
        dim: the length of a word's features.
        heads: attention heads; `dim` is a multiple of it.
        layers: how many blocks.
        max_length: the longest text, in words.
        embeddings: (vocab_size, dim), what `embedding` begins with; its first three entries, which are not words, are
            random all the same. None draws all of them.
        generator: where the first weights are drawn from.

    Attributes:
        heads: as given.
        feature_dim: as `dim`.
        embedding: an `nn.Embedding`, one vector (dim,) per word, of length 1 on average.
        position: an `nn.Parameter` (max_length, dim), one vector per place.
        blocks: an `nn.ModuleDict` per block: `norm1`, `qkv` (dim -> 3 dim), `out` (dim -> dim), `norm2`, and `mlp`, a
            small network (dim -> 2 dim -> dim).
        norm: the last normalization.
        guess, bias: a linear layer (dim -> dim) and a number per word, for `words`.

    Raises:
        ValueError: `dim` is not a multiple of `heads`, or `embeddings` has another shape.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        dim: int = 64,
        heads: int = 4,
        layers: int = 2,
        max_length: int = 32,
        embeddings: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim is {dim}, which is not a multiple of heads={heads}.")
        if embeddings is not None and embeddings.shape != (vocab_size, dim):
            raise ValueError(f"embeddings have shape {tuple(embeddings.shape)}; ({vocab_size}, {dim}) is expected.")
        self.heads, self.feature_dim = heads, dim
        with seeded(generator):
            self.embedding = nn.Embedding(vocab_size, dim)
            nn.init.normal_(self.embedding.weight, std=dim**-0.5)
            self.position = nn.Parameter(0.02 * torch.randn(max_length, dim))
            self.blocks = nn.ModuleList(_block(dim) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)
            self.guess, self.bias = nn.Linear(dim, dim), nn.Parameter(torch.zeros(vocab_size))
        if embeddings is not None:
            self.embedding.weight.data[_SPECIAL:] = embeddings[_SPECIAL:]

    def words(self, features: Tensor) -> Tensor:
        """A score for each word of the vocabulary at each place: `(N, T, dim)` -> `(N, T, vocab_size)`.

        `guess` of the features is compared with all embeddings, so these are used for input and output.
        """
        return F.linear(self.guess(features), self.embedding.weight, self.bias)


def _block(dim: int) -> nn.ModuleDict:
    parts = {"norm1": nn.LayerNorm(dim), "qkv": nn.Linear(dim, 3 * dim), "out": nn.Linear(dim, dim)}
    mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
    return nn.ModuleDict(parts | {"norm2": nn.LayerNorm(dim), "mlp": mlp})


class TextEncoder(nn.Module):
    """A transformer encoder: word numbers `(N, T)` -> features `(N, T, dim)`; 0 is padding, which no word attends to.

    Source: Vaswani et al., "Attention Is All You Need", 2017, with the normalization before each part.

    Args:
        layers: a `TransformerLayers`. It is kept, not copied.
    """

    def __init__(self, layers: TransformerLayers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, ids: Tensor) -> Tensor:
        layers: Any = self.layers
        visible = (ids != 0)[:, None, None, :]
        x = layers.embedding(ids) + layers.position[: ids.shape[1]]
        for block in layers.blocks:
            parts = block["qkv"](block["norm1"](x)).unflatten(-1, (3, layers.heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=visible)
            x = x + block["out"](mixed.transpose(1, 2).flatten(2))
            x = x + block["mlp"](block["norm2"](x))
        return layers.norm(x)


class TextFeatures(nn.Module):
    """One vector per text: word numbers `(N, T)` -> features `(N, d)`.

    Args:
        encoder: an encoder with `layers`, word numbers -> features `(N, T, d)`. It is kept, not copied.
        pool: `pool(features, ids)` -> `(N, d)`, such as the mean over the words.

    Attributes:
        feature_dim: d.
    """

    def __init__(self, encoder: nn.Module, pool: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        layers: Any = encoder.layers
        self.encoder, self.pool, self.feature_dim = encoder, pool, int(layers.feature_dim)

    def forward(self, ids: Tensor) -> Tensor:
        return self.pool(self.encoder(ids), ids)


def predict_texts(model: nn.Module, ids: Tensor, *, batch_size: int = 500) -> Tensor:
    """The model's output for all texts, computed in batches: word numbers `(N, T)` -> `(N, ...)` on the CPU.

    As `evaluation.predict` for images: in eval mode and without gradients.

    >>> predict_texts(nn.Embedding(9, 2), torch.zeros(3, 4, dtype=torch.int64)).shape
    torch.Size([3, 4, 2])
    """
    return _of_texts(model, model, ids, batch_size)


def predict_words(encoder: nn.Module, ids: Tensor, *, batch_size: int = 250) -> Tensor:
    """A score for each word of the vocabulary at each place: word numbers `(N, T)` -> `(N, T, V)` on the CPU.

    Args:
        encoder: an encoder with `layers`, of which `words` gives the scores, see `TransformerLayers`.
    """
    layers: Any = encoder.layers
    return _of_texts(encoder, lambda part: layers.words(encoder(part)), ids, batch_size)


def _of_texts(model: nn.Module, function: Callable[[Tensor], Tensor], ids: Tensor, batch_size: int) -> Tensor:
    device = next(model.parameters()).device
    with eval_mode(model), torch.no_grad():
        return torch.cat([function(part.to(device)).cpu() for part in ids.split(batch_size)])
