"""`accuracy`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.answers import known_answers
from course_lib.exercises.contract import Criterion, Judge, close
from course_lib.exercises.first_steps.judge import in_all_of, is_float, trials_named, value_of

answer = known_answers(__file__, "accuracy")


def reference(logits, labels):
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels.cpu().numpy(), logits.topk(1, dim=1).indices.squeeze(1).cpu().numpy()))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "share",
            1,
            "the share of images whose highest logit is that of their label, for every shape",
            passes=lambda case, seen, expected: close(value_of(seen["accuracy"]), expected["accuracy"]),
        ),
        Criterion(
            "plain_number",
            1,
            "a Python float between 0 and 1",
            passes=lambda case, seen, expected: is_float(seen["accuracy"]) and 0 <= seen["accuracy"] <= 1,
        ),
    ),
    predicates={
        "tensor": lambda trials: in_all_of(
            trials,
            lambda t: (
                isinstance(t.seen["accuracy"], Tensor) and close(value_of(t.seen["accuracy"]), t.expected["accuracy"])
            ),
        ),
        "percent": lambda trials: in_all_of(
            trials,
            lambda t: close(value_of(t.seen["accuracy"]), 100 * t.expected["accuracy"], rtol=0.01, atol=0.6),
        ),
        "error_rate": lambda trials: in_all_of(
            trials, lambda t: close(value_of(t.seen["accuracy"]), 1 - t.expected["accuracy"], atol=1e-3)
        ),
        "count": lambda trials: in_all_of(
            trials,
            lambda t: close(
                value_of(t.seen["accuracy"]), len(t.case.inputs["labels"]) * t.expected["accuracy"], rtol=1e-3
            ),
        ),
        "rounded": lambda trials: in_all_of(
            trials,
            lambda t: (
                type(t.seen["accuracy"]) is float
                and any(t.seen["accuracy"] == round(t.expected["accuracy"], digits) for digits in (1, 2, 3))
            ),
        ),
        "over_dim_0": lambda trials: in_all_of(
            trials_named(trials, "as_many_images_as_classes"),
            lambda t: close(
                value_of(t.seen["accuracy"]), answer("over_dim_0")(t.case.inputs["logits"], t.case.inputs["labels"])
            ),
        ),
        "whole_numbers": lambda trials: in_all_of(
            trials, lambda t: value_of(t.seen["accuracy"]) == float(t.expected["accuracy"] == 1)
        ),
    },
)
