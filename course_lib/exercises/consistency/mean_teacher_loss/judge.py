"""`mean_teacher_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import as_expected, in_all, in_any
from course_lib.exercises.contract import Criterion, Judge


def reference(student, teacher, weak, strong):
    with torch.no_grad():
        target = teacher(weak).softmax(dim=1)
    return (student(strong).softmax(dim=1) - target).pow(2).sum(dim=1).mean()


_VIEWS = ("plain", "alive", "color", "float64")
_loss = as_expected("loss")
_gradients = as_expected("went_backward", "gradient_student", "gradient_teacher", atol=1e-6)
_networks = as_expected(
    "calls", "mode_after", "requires_grad_after", "weights_after", "teacher_mean_after", "student_mean_after"
)

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "squared distance of the probabilities, summed over classes, averaged over images",
            _loss,
            _VIEWS,
        ),
        Criterion(
            "same_view", 1, "two networks that differ disagree, even when both see the same view", _loss, ("same_view",)
        ),
        Criterion("student_learns", 1, "the gradient reaches the student, and nothing of it the teacher", _gradients),
        Criterion(
            "left_alone",
            1,
            "each network is asked once and keeps its mode, its weights and what it lets be trained",
            _networks,
        ),
    ),
    predicates={
        "student_on_both_views": lambda trials: in_all(trials, lambda t: t.seen["calls"][1] == 0),
        "teacher_put_to_eval": lambda trials: in_any(
            trials, lambda t: t.case.inputs["teacher_mode"] == "train" and t.seen["mode_after"][1] == "eval"
        ),
    },
)
