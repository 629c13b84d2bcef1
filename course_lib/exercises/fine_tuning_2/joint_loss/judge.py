"""`joint_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch.nn.functional as F

from course_lib.exercises.contract import Criterion, Judge, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any


def reference(model, batch, old_batch, lam):
    images, labels = batch
    old_images, old_labels = old_batch
    task = F.cross_entropy(model.head(model.encoder(images)), labels)
    pretraining = F.cross_entropy(model.old_head(model.encoder(old_images)), old_labels)
    return task + lam * pretraining


_WITH_WEIGHT = (
    "plain", "unequal_batches", "other_number_of_classes", "heavy", "transposed", "one_image_each", "float64",
)  # fmt: skip


def _same_parts(seen: Values, expected: Values, *parts: str) -> bool:
    return all(close(seen[f"{part}_gradient"], expected[f"{part}_gradient"]) for part in parts)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "the task's cross-entropy, plus lambda times that of the old task",
            lambda c, s, e: close(s["loss"], e["loss"]),
            _WITH_WEIGHT,
        ),
        Criterion(
            "task_counts_in_full",
            1,
            "whatever lambda is, the new task counts in full",
            lambda c, s, e: _same_parts(s, e, "head") and (c.inputs["lam"] or close(s["loss"], e["loss"])),
            (*_WITH_WEIGHT, "nothing_of_the_old", "equal_weights"),
        ),
        Criterion(
            "both_teach_the_encoder",
            1,
            "gradients of both terms reach the encoder",
            lambda c, s, e: _same_parts(s, e, "encoder"),
        ),
        Criterion(
            "own_heads",
            1,
            "each task learns its own head, and nothing happens before backward is called",
            lambda c, s, e: (
                _same_parts(s, e, "old_head")
                and bool((s["gradient_before_backward"] == 0).all())
                and s["weights_require_grad_after"] == e["weights_require_grad_after"]
            ),
        ),
    ),
    predicates={
        "backward_inside": lambda trials: (
            in_any(trials, lambda t: bool((t.seen["gradient_before_backward"] != 0).any()))
            or failed_with(trials, "backward through the graph a second time")
        ),
        "losses_as_numbers": lambda trials: in_all(trials, lambda t: isinstance(t.seen["loss"], float)),
    },
)
