"""Batches of texts as word numbers, and dropping words from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from course_lib import settings
from course_lib.data.text.vocabulary import MASK, PAD


class TextBatches:
    """Iterates over `(ids, labels)` in batches, or over `ids` when there are no labels; again and again.

    The order is drawn on the CPU, so CPU and GPU see the same batches.

    Args:
        ids: int64 (N, T), word numbers.
        labels: (N,) or None.
        batch_size: texts per batch; the last batch may be smaller.
        shuffle: draw a new order at each pass.
        generator: CPU generator for order and augmentation; None starts one from seed 0.
        augment: `augment(ids, generator=generator)`, such as `drop_words`; it is given a batch on the CPU.

    Raises:
        ValueError: shapes do not fit together, or there is nothing to iterate over.
    """

    def __init__(
        self,
        ids: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        augment: Callable[..., Tensor] | None = None,
    ) -> None:
        if ids.dtype != torch.int64 or ids.ndim != 2:
            raise ValueError(f"ids must be int64 of shape (N, T); got {ids.dtype} of {tuple(ids.shape)}.")
        if labels is not None and len(labels) != len(ids):
            raise ValueError(f"there are {len(ids)} texts but {len(labels)} labels; give one label per text.")
        if batch_size < 1 or len(ids) == 0:
            raise ValueError(f"{len(ids)} texts make no batch of {batch_size}; give at least one of each.")
        self.ids, self.labels, self.batch_size, self.shuffle = ids.cpu(), labels, batch_size, shuffle
        self.generator = generator if generator is not None else torch.Generator().manual_seed(0)
        self.augment = augment

    def __len__(self) -> int:
        return -(-len(self.ids) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        count, device = len(self.ids), settings.device()
        order = torch.randperm(count, generator=self.generator) if self.shuffle else torch.arange(count)
        for chosen in order.split(self.batch_size):
            ids = self.ids[chosen]
            if self.augment is not None:
                ids = self.augment(ids, generator=self.generator)
            ids = ids.to(device)
            yield ids if self.labels is None else (ids, self.labels[chosen].to(device))


def drop_words(ids: Tensor, *, generator: torch.Generator, share: float = 0.1) -> Tensor:
    """A copy of ids (N, T) in which each word is <mask> with probability `share`: augmentation for text."""
    dropped = torch.rand(ids.shape, generator=generator) < share
    return ids.masked_fill(dropped & (ids != PAD), MASK)
