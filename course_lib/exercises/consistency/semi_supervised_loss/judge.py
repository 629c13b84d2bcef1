"""`semi_supervised_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_lib.exercises.asking import as_expected, in_all, in_any, named
from course_lib.exercises.contract import Criterion, Judge, Trial, close


def reference(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def _finite(trial: Trial) -> bool:
    return bool(trial.seen["loss"].isfinite() and trial.seen["gradient_unlabeled_logits"].isfinite().all())


def _squared_errors_summed(trial: Trial) -> bool:
    given = trial.case.inputs
    summed = F.mse_loss(given["x_hat"], given["images"], reduction="sum")
    return close(trial.seen["loss"], F.cross_entropy(given["logits"], given["labels"]) + given["weight"] * summed)


_PSEUDO = ("pseudo_label", "pseudo_label_weight_0", "one_of_each", "as_many_of_both")
_PIXELS = ("reconstruction", "reconstruction_color")
_CLUSTERING, _CERTAIN = ("clustering", "clustering_float64", "one_class_everywhere"), ("certain", "a_class_of_nobody")
_GRADIENTS = ("gradient_logits", "gradient_unlabeled_logits", "gradient_x_hat")
_labeled = as_expected("went_backward", "gradient_logits", atol=1e-6)
_all = as_expected("loss", "went_backward", *_GRADIENTS, atol=1e-6)

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("labeled_part", 1, "the labeled images count by their cross-entropy, whatever the weight", _labeled),
        Criterion(
            "pseudo_label",
            1,
            "pseudo_label: cross-entropy with the network's own best class, times the weight",
            _all,
            _PSEUDO,
        ),
        Criterion(
            "reconstruction", 1, "reconstruction: mean squared error over all pixels, times the weight", _all, _PIXELS
        ),
        Criterion(
            "clustering", 1, "clustering: mean entropy of an image, minus the entropy of the mean", _all, _CLUSTERING
        ),
        Criterion(
            "certain",
            1,
            "clustering with probabilities of exactly 0 and 1 is a finite number, its gradient too",
            _all,
            _CERTAIN,
        ),
    ),
    predicates={
        "log_of_zero": lambda trials: in_any(named(trials, "certain"), lambda t: not _finite(t)),
        "labels_forgotten": lambda trials: in_all(trials, lambda t: not t.seen["gradient_logits"].any()),
        "reconstruction_summed": lambda trials: in_any(named(trials, *_PIXELS), _squared_errors_summed),
    },
)
