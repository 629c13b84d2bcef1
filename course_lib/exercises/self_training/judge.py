"""What several judges of unit 07 share: two references, and how to read what a network was trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from course_lib.exercises.asking import rows_among
from course_lib.exercises.contract import Values, close, seeded

Pairs = list[tuple[int, int]]


def reference_pseudo_label(model, images):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        probabilities = torch.cat([model(batch) for batch in images.split(500)]).softmax(dim=1)
    for module, was_training in modes:
        module.training = was_training
    confidences, labels = probabilities.max(dim=1)
    return labels, confidences


def reference_select(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    kept = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for k in labels[positions].unique():
        own = positions[labels[positions] == k]
        kept[own[confidences[own].argsort(descending=True)[:per_class]]] = True
    return kept.nonzero().squeeze(1)


def rows_of(seen: object, given: Values) -> list[int]:
    """For each image seen its number, labeled ones first, then the unlabeled ones; -1 for one that was not given."""
    return rows_among(seen, torch.cat([given["images"], given["unlabeled"]]))


def trained_on(given: Values, training: Values) -> tuple[Pairs, Pairs]:
    """The labeled images of a training and the unlabeled ones, each as its number and the label that it had; sorted."""
    count = len(given["images"])
    pairs = sorted(zip(rows_of(training["images"], given), training["labels"].tolist(), strict=True))
    return [p for p in pairs if p[0] < count], [(row - count, label) for row, label in pairs if row >= count]


@dataclass
class Epoch:
    """An epoch of training.

    Attributes:
        labels: by an image's number its own label, or its latest pseudo-label when the epoch began.
        taught: image and class, in the order of the training.
        total_loss: the sum over all images.
    """

    labels: dict[int, int]
    taught: Pairs = field(default_factory=list)
    batches: int = 0
    total_loss: float = 0.0

    @property
    def order(self) -> list[int]:
        return [row for row, _ in self.taught]


class Training:
    """A training, from what a `Watched` network noted: it was taught the batches that a gradient came back to.

    Attributes:
        asked: what was noted of the other forward passes, which made pseudo-labels.
        taught: what was noted of the batches.
        epochs: in their order.
    """

    def __init__(self, given: Values, seen: Values) -> None:
        self.given, self.seen = given, seen
        self.epochs: list[Epoch] = []
        self.asked = [noted for noted in seen["forwards"] if "gradient" not in noted]
        self.taught = [noted for noted in seen["forwards"] if "gradient" in noted]
        self.num_images = len(given["images"]) + len(given["unlabeled"])
        each, rest = divmod(len(self.taught), given["num_epochs"])
        per_epoch = each if each and not rest else math.ceil(self.num_images / given["batch_size"])
        labels = dict(enumerate(given["labels"].tolist()))
        for noted in seen["forwards"]:
            rows = rows_of(noted["images"], given)
            if "gradient" not in noted:
                pseudo = zip(rows, noted["logits"].argmax(dim=1).tolist())
                labels |= {row: label for row, label in pseudo if row >= len(given["images"])}
                continue
            if not self.epochs or self.epochs[-1].batches == per_epoch:
                self.epochs.append(Epoch(dict(labels)))
            classes = noted["gradient"].argmin(dim=1)  # that of a cross-entropy is negative at the class taught
            epoch = self.epochs[-1]
            epoch.taught += zip(rows, classes.tolist())
            epoch.batches += 1
            epoch.total_loss += F.cross_entropy(noted["logits"], classes, reduction="sum").item()

    @property
    def of_this_case(self) -> bool:
        """Whether the network has seen the images of this case, and no others."""
        rows = [row for noted in self.seen["forwards"] for row in rows_of(noted["images"], self.given)]
        return bool(rows) and min(rows) >= 0

    @property
    def complete(self) -> bool:
        """Whether each epoch taught every image exactly once."""
        every = list(range(self.num_images))
        return [sorted(epoch.order) for epoch in self.epochs] == [every] * self.given["num_epochs"]

    @property
    def aligned(self) -> bool:
        """Whether each image was taught its own label or its latest pseudo-label."""
        return all(epoch.labels.get(row) == label for epoch in self.epochs for row, label in epoch.taught)

    @property
    def exchanged(self) -> bool:
        """Whether images were taught each other's labels: each epoch taught every class as often as it should."""
        same = all(sorted(label for _, label in e.taught) == sorted(e.labels.values()) for e in self.epochs)
        return self.complete and not self.aligned and same

    @property
    def relabeled(self) -> bool:
        """Whether labeled images, and they alone, were taught other labels than their own."""
        wrong = {row for e in self.epochs for row, label in e.taught if e.labels.get(row) != label}
        return self.complete and bool(wrong) and max(wrong) < len(self.given["images"])

    @property
    def shuffled(self) -> bool:
        """Whether each epoch had an order of its own."""
        orders = [epoch.order for epoch in self.epochs]
        return all(order != sorted(order) for order in orders) and len(set(map(tuple, orders))) == len(orders)

    @property
    def used_generator(self) -> bool:
        """Whether something was drawn from the generator: its next number is no longer its first."""
        return self.seen["next_draw"] != float(torch.rand((), generator=seeded(self.given["seed"])))

    @property
    def full_batches_only(self) -> bool:
        """Whether the last images of each epoch are missing, which do not fill a batch."""
        full = self.num_images // self.given["batch_size"] * self.given["batch_size"]
        return {len(epoch.taught) for epoch in self.epochs} == {full} != {self.num_images}

    @property
    def renewed(self) -> bool:
        """Whether all unlabeled images were asked about before each epoch."""
        return sum(len(f["images"]) for f in self.asked) >= self.given["num_epochs"] * len(self.given["unlabeled"])

    @property
    def falling_rates(self) -> bool:
        """Whether the learning rate follows the half cosine, the same in all batches of an epoch."""
        lr, num_epochs, batches = self.given["lr"], self.given["num_epochs"], self.epochs[0].batches
        rates = [lr * 0.5 * (1 + math.cos(math.pi * epoch / num_epochs)) for epoch in range(num_epochs)]
        return close([r for step in self.seen["steps"] for r in step["lr"]], [r for r in rates for _ in range(batches)])

    @property
    def mean_losses(self) -> bool:
        """Whether the mean over its images is returned for each epoch."""
        losses = [float(loss) for loss in self.seen["losses"]]
        means = [epoch.total_loss / len(epoch.taught) for epoch in self.epochs]
        return len(losses) == self.given["num_epochs"] and close(losses, means, rtol=1e-3)
