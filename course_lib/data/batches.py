"""Batches without worker processes: the whole set is one tensor on the device, and a batch is an index into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from course_lib import settings
from course_lib.data.images import as_float

T = TypeVar("T")


class Batches:
    """Iterates over `(x, y)` in batches, or over `x` when there are no labels; can be iterated again and again.

    The images are copied to the device once, as they are (uint8 needs a quarter of the memory of float32), and turned
    into float32 in [0, 1] batch by batch. The order is drawn on the CPU, so CPU and GPU see the same batches.

    Args:
        images: (N, C, H, W), uint8 or float.
        labels: (N, ...) or None.
        batch_size: images per batch; the last batch may be smaller unless `drop_last`.
        shuffle: draw a new order at each pass.
        generator: CPU generator for order and augmentation; None starts one from seed 0.
        augment: `augment(x, generator=generator)` on a float batch, for example one of `course_lib.data.augment`.
        drop_last: leave out a last batch that is not full.
        device: None is the course's device (`settings.device()`).

    Raises:
        ValueError: shapes do not fit together, there is nothing to iterate over, or the batch size is not positive.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        augment: Callable[..., Tensor] | None = None,
        drop_last: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        if images.ndim != 4 or not (images.dtype == torch.uint8 or images.is_floating_point()):
            raise ValueError(
                f"images must be uint8 or float of shape (N, C, H, W); got {images.dtype} of {tuple(images.shape)}."
            )
        if labels is not None and len(labels) != len(images):
            raise ValueError(f"there are {len(images)} images but {len(labels)} labels; give one label per image.")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}.")
        if len(images) == 0 or (drop_last and len(images) < batch_size):
            raise ValueError(
                f"{len(images)} images make no batch of {batch_size}"
                + (
                    "; give more images, a smaller batch_size or drop_last=False."
                    if drop_last
                    else "; give some images."
                )
            )
        self.device = torch.device(device) if device is not None else settings.device()
        self.images = images.to(self.device)
        self.labels = labels.to(self.device) if labels is not None else None
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator if generator is not None else torch.Generator().manual_seed(0)
        self.augment = augment
        self.drop_last = drop_last

    def __len__(self) -> int:
        full, rest = divmod(len(self.images), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        count = len(self.images)
        order = torch.randperm(count, generator=self.generator).to(self.device) if self.shuffle else None
        for batch in range(len(self)):
            span = slice(batch * self.batch_size, min((batch + 1) * self.batch_size, count))
            chosen = order[span] if order is not None else span
            x = as_float(self.images[chosen])
            if self.augment is not None:
                x = self.augment(x, generator=self.generator)
            yield x if self.labels is None else (x, self.labels[chosen])


class SequenceBatches:
    """Iterates over `(x, y)` in batches of sequences, or over `x` when there are no labels; again and again.

    The sequences are copied to the device once: texts as word numbers, or recordings as amplitudes. The order is drawn
    on the CPU, so CPU and GPU see the same batches.

    Args:
        sequences: (N, T), int64 or float.
        labels: (N,) or None.
        batch_size: sequences per batch; the last batch may be smaller.
        shuffle: draw a new order at each pass.
        generator: CPU generator for order and augmentation; None starts one from seed 0.
        augment: `augment(x, generator=generator)`, such as `drop_words` for texts or `shift_in_time` for recordings.

    Raises:
        ValueError: shapes do not fit together, or there is nothing to iterate over.
    """

    def __init__(
        self,
        sequences: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        augment: Callable[..., Tensor] | None = None,
    ) -> None:
        if sequences.ndim != 2 or not (sequences.dtype == torch.int64 or sequences.is_floating_point()):
            raise ValueError(
                f"sequences must be int64 or float of shape (N, T); got {sequences.dtype} of {tuple(sequences.shape)}."
            )
        if labels is not None and len(labels) != len(sequences):
            raise ValueError(f"there are {len(sequences)} sequences but {len(labels)} labels; give one per sequence.")
        if batch_size < 1 or len(sequences) == 0:
            raise ValueError(f"{len(sequences)} sequences make no batch of {batch_size}; give at least one of each.")
        device = settings.device()
        self.sequences, self.labels = sequences.to(device), None if labels is None else labels.to(device)
        self.batch_size, self.shuffle, self.augment = batch_size, shuffle, augment
        self.generator = generator if generator is not None else torch.Generator().manual_seed(0)

    def __len__(self) -> int:
        return -(-len(self.sequences) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        count = len(self.sequences)
        order = torch.randperm(count, generator=self.generator) if self.shuffle else torch.arange(count)
        for chosen in order.to(self.sequences.device).split(self.batch_size):
            x = self.sequences[chosen]
            if self.augment is not None:
                x = self.augment(x, generator=self.generator)
            yield x if self.labels is None else (x, self.labels[chosen])


def endless(batches: Iterable[T]) -> Iterator[T]:
    """The batches, pass after pass: with `shuffle`, `Batches` has a new order in each.

    Raises:
        ValueError: a pass has no batch.
    """
    while True:
        batch = None
        for batch in batches:
            yield batch
        if batch is None:
            raise ValueError("there is no batch to repeat; give a list or Batches, which can be gone through again.")
