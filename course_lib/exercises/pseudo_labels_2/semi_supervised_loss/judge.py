"""`semi_supervised_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.judging import in_all
from course_lib.exercises.pseudo_labels_2.judge import all_named


def reference(logits, labels, unlabeled_logits, x_hat, images, *, term, weight):
    if term == "pseudo_label":
        unsupervised = F.cross_entropy(unlabeled_logits, unlabeled_logits.argmax(dim=1))
    elif term == "reconstruction":
        unsupervised = F.mse_loss(x_hat, images)
    else:
        p, log_p = unlabeled_logits.softmax(dim=1), unlabeled_logits.log_softmax(dim=1)
        unsupervised = -(p * log_p).sum(dim=1).mean() - torch.special.entr(p.mean(dim=0)).sum()
    return F.cross_entropy(logits, labels) + weight * unsupervised


def _semi_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


_GRADIENTS = ("gradient_logits", "gradient_unlabeled_logits", "gradient_x_hat")


def _semi_gradients_fine(case: Case, seen: Values, expected: Values) -> bool:
    return seen["went_backward"] == "yes" and all(close(seen[key], expected[key], atol=1e-6) for key in _GRADIENTS)


_PSEUDO, _RECONSTRUCTION = ("pseudo_label", "as_many_of_both"), ("reconstruction", "reconstruction_color")


_CLUSTERING = ("clustering", "clustering_float64")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "labeled_part",
            1,
            "the labeled images count by their cross-entropy, whatever the weight",
            lambda c, s, e: (
                close(s["gradient_logits"], e["gradient_logits"], atol=1e-6) and s["went_backward"] == "yes"
            ),
        ),
        Criterion(
            "pseudo_label",
            1,
            "pseudo_label: cross-entropy with the network's own best class, times the weight",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e),
            ("pseudo_label", "pseudo_label_weight_0", "one_of_each", "as_many_of_both"),
        ),
        Criterion(
            "reconstruction",
            1,
            "reconstruction: mean squared error over all pixels, times the weight",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e),
            _RECONSTRUCTION,
        ),
        Criterion(
            "clustering",
            1,
            "clustering: mean entropy of an image, minus the entropy of the mean",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e),
            ("clustering", "clustering_float64", "one_class_everywhere"),
        ),
        Criterion(
            "certain",
            1,
            "clustering with probabilities of exactly 0 and 1 is a finite number, its gradient too",
            lambda c, s, e: _semi_fine(c, s, e) and _semi_gradients_fine(c, s, e),
            ("certain", "a_class_of_nobody"),
        ),
    ),
    predicates={
        "log_of_zero": lambda trials: (
            all_named(
                trials,
                lambda t: (
                    isinstance(t.seen["loss"], Tensor)
                    and not (t.seen["loss"].isfinite().all() and t.seen["gradient_unlabeled_logits"].isfinite().all())
                ),
                "certain",
            )
            and all_named(trials, lambda t: _semi_fine(t.case, t.seen, t.expected), *_CLUSTERING)
        ),
        "labels_forgotten": lambda trials: in_all(trials, lambda t: float(t.seen["gradient_logits"].abs().sum()) == 0),
        "reconstruction_summed": lambda trials: all_named(
            trials,
            lambda t: (
                isinstance(t.seen["loss"], Tensor)
                and float(t.seen["loss"]) > float(t.expected["loss"]) + 1e-3
                and any(
                    close(
                        t.seen["loss"],
                        F.cross_entropy(t.case.inputs["logits"], t.case.inputs["labels"])
                        + t.case.inputs["weight"] * F.mse_loss(t.case.inputs["x_hat"], t.case.inputs["images"]) * count,
                    )
                    for count in (t.case.inputs["images"].numel(), t.case.inputs["images"][0].numel())
                )
            ),
            *_RECONSTRUCTION,
        ),
    },
)
