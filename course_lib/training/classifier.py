"""A classifier from an encoder and few labels, as the notebooks make it that teach something else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.data import Batches, ImageData, augment
from course_lib.data.text import TextBatches, drop_words
from course_lib.models import Classifier, TextFeatures
from course_lib.training.loop import fit


def fit_classifier(
    encoder: nn.Module,
    labeled: ImageData,
    *,
    steps: int,
    lr: float = 3e-3,
    batch_size: int = 32,
    seed: int = 0,
    label: str = "",
) -> Classifier:
    """A classifier of a copy of the encoder and a new linear head, all of it trained on labeled images.

    The images are shifted at random (weak views), and the loss is the cross-entropy. The encoder itself stays as it is.

    Args:
        encoder: any module with `feature_dim`, (N, C, H, W) -> (N, feature_dim); random weights train from scratch.
        labeled: the labeled images.
        steps, lr: as for `fit`.
        batch_size: images per step; where there are fewer, all of them.
        seed: of the head's first weights, the order of the images and their shifts.
        label: what the progress bar says.
    """
    generator = torch.Generator().manual_seed(seed)
    classifier = Classifier(copy.deepcopy(encoder), len(labeled.class_names), generator=generator)
    batches = Batches(
        labeled.images, labeled.labels, batch_size=batch_size, shuffle=True, generator=generator,
        augment=augment.random_shift,
    )  # fmt: skip
    fit(classifier, batches, steps=steps, lr=lr, label=label)
    return classifier


def fit_text_classifier(
    encoder: nn.Module,
    pool: Callable[[Tensor, Tensor], Tensor],
    ids: Tensor,
    labels: Tensor,
    *,
    steps: int,
    lr: float = 1e-3,
    seed: int = 0,
    **options: Any,
) -> Classifier:
    """A classifier of a copy of a text encoder and a new linear head, all of it trained on labeled texts, 32 per step.

    Words are replaced by <mask> at random (`data.text.drop_words`), and the loss is the cross-entropy. The encoder
    itself stays as it is.

    Args:
        encoder, pool: as for `TextFeatures`.
        ids: int64 (N, T), the labeled texts as word numbers.
        labels: int64 (N,); each class occurs.
        steps, lr: as for `fit`.
        seed: of the head's first weights, the order of the texts and the words that are replaced.
        **options: single options of `fit`, such as label.
    """
    generator = torch.Generator().manual_seed(seed)
    features = TextFeatures(copy.deepcopy(encoder), pool)
    classifier = Classifier(features, int(labels.max()) + 1, generator=generator)
    batches = TextBatches(ids, labels, batch_size=32, shuffle=True, generator=generator, augment=drop_words)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    fit(classifier, batches, loss, steps=steps, lr=lr, weight_decay=0.01, warmup=min(20, steps - 1), **options)
    return classifier
