"""`joint_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch.nn.functional as F

from course_lib.exercises.contract import Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any, named


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


def _no_gradient(seen: Values, part: str) -> bool:
    return bool((seen[f"{part}_gradient"] == 0).all())


def _right_loss(trial: Trial) -> bool:
    return close(trial.seen["loss"], trial.expected["loss"])


def _weighed(trials: Sequence[Trial]) -> list[Trial]:
    return named(trials, *_WITH_WEIGHT)


def _ratio(trial: Trial, part: str) -> float:
    """How many times as large a part's gradient is as it should be; NaN when it points elsewhere."""
    seen, expected = trial.seen[f"{part}_gradient"], trial.expected[f"{part}_gradient"]
    factor = float(seen @ expected) / float(expected @ expected)
    return factor if close(seen, factor * expected) else math.nan


def _ratios(trials: Sequence[Trial], head: Callable[[float], float], old: Callable[[float], float]) -> bool:
    """Whether both heads' gradients are off by these functions of lambda, in every case with both terms."""
    return bool(_weighed(trials)) and all(
        math.isclose(_ratio(t, "head"), head(t.case.inputs["lam"]), rel_tol=1e-3, abs_tol=1e-6)
        and math.isclose(_ratio(t, "old_head"), old(t.case.inputs["lam"]), rel_tol=1e-3, abs_tol=1e-6)
        for t in _weighed(trials)
    )


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
        "both_losses": lambda trials: in_all(trials, lambda t: isinstance(t.seen["loss"], list)),
        "losses_as_numbers": lambda trials: in_all(trials, lambda t: isinstance(t.seen["loss"], float)),
        "pretraining_left_out": lambda trials: (
            _ratios(trials, lambda lam: 1.0, lambda lam: 0.0) and not any(_right_loss(t) for t in _weighed(trials))
        ),
        "pretraining_detached": lambda trials: (
            bool(_weighed(trials))
            and all(
                _right_loss(t) and _no_gradient(t.seen, "old_head") and not _no_gradient(t.seen, "head")
                for t in _weighed(trials)
            )
        ),
        "old_features_detached": lambda trials: (
            bool(_weighed(trials))
            and all(
                _right_loss(t)
                and _same_parts(t.seen, t.expected, "head", "old_head")
                and not _same_parts(t.seen, t.expected, "encoder")
                for t in _weighed(trials)
            )
        ),
        "old_head_frozen": lambda trials: (
            bool(_weighed(trials))
            and all(
                _right_loss(t)
                and _same_parts(t.seen, t.expected, "head", "encoder")
                and _no_gradient(t.seen, "old_head")
                for t in _weighed(trials)
            )
        ),
        "lambda_on_the_task": lambda trials: _ratios(trials, lambda lam: lam, lambda lam: 1 / lam),
        "convex_mix": lambda trials: _ratios(trials, lambda lam: 1 - lam, lambda lam: 1.0),
        "lambda_forgotten": lambda trials: _ratios(trials, lambda lam: 1.0, lambda lam: 1 / lam),
        "lambda_on_both": lambda trials: _ratios(trials, lambda lam: lam, lambda lam: 1.0),
        "heads_exchanged": lambda trials: (
            failed_with(trials, "Target", "out of bounds")
            and all(t.error for t in trials if t.case.name == "other_number_of_classes")
            and not any(_same_parts(t.seen, t.expected, "head") for t in _weighed(trials))
        ),
        "one_head_for_both": lambda trials: (
            bool(named(trials, "plain"))
            and all(
                _no_gradient(t.seen, "old_head")
                and not _no_gradient(t.seen, "head")
                and not _right_loss(t)
                and _ratio(t, "head") != 1.0
                for t in named(trials, "plain", "heavy", "float64")
            )
        ),
        "new_images_twice": lambda trials: any(
            t.error and "batch_size" in t.error.text for t in trials if t.case.name == "unequal_batches"
        ),
    },
)
