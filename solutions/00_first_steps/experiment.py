"""The recorded grid of unit 00: a plain classifier with few labels, and three ways to measure it wrongly."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib import protocol, settings
from course_lib.data import Batches, ImageData, as_float, augment, load, split_labels
from course_lib.evaluation import accuracy, extract_features, knn_accuracy, loss_and_accuracy, predict, probe_accuracy
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit

BUDGETS = (1, 2, 5, 10, 20, 50)
# Method -> experiment:key prefix, for the course's table of results.
TABLE_ROWS = {
    "From scratch, weak views": "protocol:scratch_weak",
    "From scratch, strong views": "protocol:scratch_strong",
    "Random encoder, frozen": "protocol:random_frozen",
    "Nearest neighbor on pixels": "protocol:pixels_knn",
}


def _sizes(profile: str) -> dict[str, Any]:
    return {
        "smoke": {"train": 1_000, "test": 200, "steps": 3, "steps_all": 3},
        "laptop": {"train": 8_000, "test": 2_000, "steps": 300, "steps_all": 600},
        "full": {"train": None, "test": None, "steps": 2_000, "steps_all": 5_000},
    }[profile]


def _data(dataset: str, seed: int, sizes: dict[str, Any]) -> tuple[ImageData, ImageData]:
    return load(dataset, n=sizes["train"], seed=seed), load(dataset, split="test", n=sizes["test"], seed=seed)


def _classifier(data: ImageData, generator: torch.Generator) -> Classifier:
    encoder = ConvEncoder(in_channels=data.images.shape[1], generator=generator)
    return Classifier(encoder, len(data.class_names), generator=generator)


def _trained(data: ImageData, *, steps: int, seed: int, label: str, loss_fn: Any = None) -> tuple[Classifier, Any]:
    """A classifier trained on all of `data`, with small shifts, which cost no label; and its history."""
    generator = torch.Generator().manual_seed(1_000 + seed)
    model = _classifier(data, generator)
    batches = Batches(
        data.images, data.labels, batch_size=min(64, len(data)), shuffle=True, generator=generator,
        augment=augment.random_shift, drop_last=True,
    )  # fmt: skip
    history = fit(model, batches, loss_fn, steps=steps, lr=3e-3, progress=False, label=label)
    return model, history


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Test accuracy by labels per class: trained from scratch, and two controls that train no encoder."""
    sizes = _sizes(profile)
    data, test = _data(dataset, seed, sizes)
    random_encoder = _classifier(data, torch.Generator().manual_seed(2_000 + seed)).encoder.to(settings.device())
    test_pixels, test_features = as_float(test.images).flatten(1), extract_features(random_encoder, test.images)
    figures: dict[str, float] = {}
    for budget in BUDGETS:
        split = split_labels(data.labels, per_class=budget, generator=torch.Generator().manual_seed(seed))
        few = data.subset(split.labeled)
        model, _ = _trained(few, steps=sizes["steps"], seed=seed, label=f"{budget} a class")
        figures[f"scratch@{budget}"] = accuracy(predict(model, test.images), test.labels)
        features = extract_features(random_encoder, few.images)
        figures[f"random_probe@{budget}"] = probe_accuracy(features, few.labels, test_features, test.labels)
        pixels = as_float(few.images).flatten(1)
        figures[f"pixels_knn@{budget}"] = knn_accuracy(
            pixels, few.labels, test_pixels, test.labels, neighbors=1, metric="euclidean"
        )
    model, _ = _trained(data, steps=sizes["steps_all"], seed=seed, label="all labels")
    figures["full_labels"] = accuracy(predict(model, test.images), test.labels)
    figures["untrained"] = accuracy(
        predict(_classifier(data, torch.Generator().manual_seed(seed)).to(settings.device()), test.images), test.labels
    )
    return figures


def _cross_entropy_of_probabilities(model: Classifier, batch: tuple[Tensor, Tensor]) -> Tensor:
    images, labels = batch
    return F.cross_entropy(model(images).softmax(dim=1), labels)


def _measured_in_train_mode(model: Classifier, images: Tensor, labels: Tensor) -> float:
    """The mistake, on a copy: batch normalization then uses each batch of 100 as it comes."""
    model = copy.deepcopy(model).train()
    with torch.no_grad():
        logits = torch.cat([model(part).cpu() for part in as_float(images).to(settings.device()).split(100)])
    return accuracy(logits, labels)


def failures(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Softmax before the cross-entropy, metrics in train mode, and the mean of batch means, on one network each."""
    sizes = _sizes(profile)
    data, test = _data(dataset, seed, sizes)
    model, history = _trained(data, steps=sizes["steps"], seed=seed, label="logits")
    twice, history_twice = _trained(
        data, steps=sizes["steps_all"], seed=seed, label="softmax twice", loss_fn=_cross_entropy_of_probabilities
    )
    tail = min(50, sizes["steps"])
    by_class = test.labels.argsort()
    figures = {
        "softmax_floor": -math.log(math.e / (math.e + len(data.class_names) - 1)),
        "logits_loss": history.mean_loss(-tail),
        "softmax_loss": history_twice.mean_loss(-tail),
        "logits_accuracy": accuracy(predict(model, test.images), test.labels),
        "softmax_accuracy": accuracy(predict(twice, test.images), test.labels),
        "train_mode_accuracy": _measured_in_train_mode(model, test.images, test.labels),
        "train_mode_sorted_accuracy": _measured_in_train_mode(model, test.images[by_class], test.labels[by_class]),
    }
    # 128 images that are easy for the network, then the hardest one in a batch of its own.
    losses = F.cross_entropy(predict(model, test.images), test.labels, reduction="none")
    order = losses.argsort()
    chosen = torch.cat([order[:128], order[-1:]])
    figures["loss_of_all_images"] = loss_and_accuracy(model, test.images[chosen], test.labels[chosen])["loss"]
    figures["loss_by_batch_means"] = sum(float(part.mean()) for part in losses[chosen].split(64)) / 3
    return figures


def controls(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """The controls of the course's table: no pretraining, by either kind of views, and no training of the encoder."""
    data = protocol.setting(dataset, seed)
    test_pixels = as_float(data.test.images).flatten(1)
    figures: dict[str, float] = {}
    for k in protocol.budgets(data):
        few = data.few(k)
        pixels = as_float(few.images).flatten(1)
        figures[f"pixels_knn@{k}"] = knn_accuracy(
            pixels, few.labels, test_pixels, data.test.labels, neighbors=1, metric="euclidean"
        )
        figures |= {f"scratch_{views}@{k}": protocol.fine_tuned(data, None, k, views) for views in protocol.Views}
    frozen = protocol.frozen(data, data.first_weights(), protocol.budgets(data))
    return figures | {f"random_frozen@{k}": value for k, value in frozen.items()}


EXPERIMENTS = {"label_curve": label_curve, "failures": failures, "protocol": controls}
