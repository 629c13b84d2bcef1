"""`accuracy`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.contract import Criterion, Judge, close
from course_lib.exercises.first_steps.judge import in_all_of, is_float, value_of


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
        "percent": lambda trials: in_all_of(
            trials,
            lambda t: close(value_of(t.seen["accuracy"]), 100 * t.expected["accuracy"], rtol=0.01, atol=0.6),
        ),
    },
)
