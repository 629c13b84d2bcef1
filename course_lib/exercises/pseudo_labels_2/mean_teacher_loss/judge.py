"""`mean_teacher_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.judging import in_all, in_any


def reference(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


def _teacher_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "squared distance of the probabilities, summed over classes, averaged over images",
            _teacher_fine,
            ("plain", "alive", "color", "float64"),
        ),
        Criterion(
            "same_view",
            1,
            "two networks that differ disagree, even when both see the same view",
            _teacher_fine,
            ("same_view",),
        ),
        Criterion(
            "student_learns",
            1,
            "the gradient reaches the student, and nothing of it the teacher",
            lambda c, s, e: (
                s["went_backward"] == "yes"
                and s["gradient_teacher"] == 0
                and close(s["gradient_student"], e["gradient_student"], atol=1e-6)
            ),
        ),
        Criterion(
            "left_alone",
            1,
            "each network is asked once and keeps its mode, its weights and what it lets be trained",
            lambda c, s, e: (
                s["calls"] == [1, 1]
                and s["mode_after"] == e["mode_after"]
                and s["requires_grad_after"] == e["requires_grad_after"]
                and close(s["weights_after"], s["weights_before"])
                and close(s["teacher_mean_after"], e["teacher_mean_after"])
                and close(s["student_mean_after"], e["student_mean_after"])
            ),
        ),
    ),
    predicates={
        "student_on_both_views": lambda trials: in_all(trials, lambda t: t.seen["calls"][1] == 0),
        "teacher_put_to_eval": lambda trials: in_any(
            trials, lambda t: t.case.inputs["teacher_mode"] == "train" and t.seen["mode_after"][1] == "eval"
        ),
    },
)
