"""`accuracy`: reference, criteria, and the mistake that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import as_number, everywhere
from course_lib.exercises.contract import Criterion, Judge, close


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
            lambda case, seen, expected: close(as_number(seen["accuracy"]), expected["accuracy"]),
        ),
        Criterion(
            "plain_number",
            1,
            "a Python float between 0 and 1",
            lambda case, seen, expected: type(seen["accuracy"]) is float and 0 <= seen["accuracy"] <= 1,
            form=True,
        ),
    ),
    predicates={
        "percent": everywhere(lambda t: close(as_number(t.seen["accuracy"]) / 100, t.expected["accuracy"], atol=0.01)),
    },
)
