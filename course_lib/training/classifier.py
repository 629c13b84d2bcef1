"""A classifier from an encoder and few labels, as the notebooks make it that teach something else."""

from __future__ import annotations

import copy

import torch
from torch import nn

from course_lib.data import Batches, ImageData, augment
from course_lib.models import Classifier
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
