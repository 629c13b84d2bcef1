"""A classifier from a text encoder and few labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.data import SequenceBatches
from course_lib.data.text import drop_words
from course_lib.models import Classifier, TextFeatures
from course_lib.training.loop import fit


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
    batches = SequenceBatches(ids, labels, batch_size=32, shuffle=True, generator=generator, augment=drop_words)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    fit(classifier, batches, loss, steps=steps, lr=lr, weight_decay=0.01, warmup=min(20, steps - 1), **options)
    return classifier
