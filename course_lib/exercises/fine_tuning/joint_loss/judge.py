"""`joint_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch.nn.functional as F

from course_lib.exercises.asking import as_expected, everywhere, failed_with, in_any
from course_lib.exercises.contract import Case, Criterion, Judge, Values


def reference(model, batch, old_batch, lam):
    images, labels = batch
    old_images, old_labels = old_batch
    task = F.cross_entropy(model.head(model.encoder(images)), labels)
    return task + lam * F.cross_entropy(model.old_head(model.encoder(old_images)), old_labels)


# Not those with a lambda of 0 or 1, where some wrong weights give the right number.
_WEIGHTED = ("plain", "unequal_batches", "other_number_of_classes", "heavy", "transposed", "one_image_each", "float64")


def _task_in_full(case: Case, seen: Values, expected: Values) -> bool:
    keys = ("head_gradient",) if case.inputs["lam"] else ("head_gradient", "loss")
    return as_expected(*keys)(case, seen, expected)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "the task's cross-entropy, plus lambda times that of the old task",
            as_expected("loss"),
            _WEIGHTED,
        ),
        Criterion("task_counts_in_full", 1, "whatever lambda is, the new task counts in full", _task_in_full),
        Criterion(
            "both_teach_the_encoder", 1, "gradients of both terms reach the encoder", as_expected("encoder_gradient")
        ),
        Criterion(
            "own_heads",
            1,
            "each task learns its own head, and nothing happens before backward is called",
            as_expected("old_head_gradient", "gradient_before_backward", "weights_require_grad_after", "modes"),
        ),
    ),
    predicates={
        "backward_inside": lambda trials: (
            in_any(trials, lambda t: bool(t.seen["gradient_before_backward"].any()))
            or failed_with(trials, "backward through the graph a second time")
        ),
        "losses_as_numbers": everywhere(lambda t: isinstance(t.seen["loss"], float)),
    },
)
