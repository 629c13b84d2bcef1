"""`optimism`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Criterion, Judge, close


def reference(right: Tensor, drawn: Tensor) -> float:
    rows, gaps = right.tolist(), []
    for positions in drawn.tolist():
        here = [sum(row[k] for k in positions) for row in rows]
        best = rows[here.index(max(here))]
        left = sum(best) - max(here)
        gaps.append(max(here) / len(positions) - left / (len(best) - len(positions)))
    return sum(gaps) / len(gaps)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("optimism", 3, "the result is the mean over the draws of the best accuracy minus what the best one "
                  "has on the images that were not drawn", as_expected("optimism")),
        Criterion("one_draw", 1, "the result is right for a single draw and for a single configuration",
                  as_expected("optimism"), ("one_draw", "one_configuration")),
        Criterion("number", 1, "a Python float is returned", lambda case, seen, expected: seen["kind"] == "float",
                  form=True),
    ),
    predicates={
        "tensor_returned": everywhere(
            lambda t: t.seen["kind"] == "Tensor" and close(t.seen["optimism"], t.expected["optimism"])
        ),
    },
)  # fmt: skip
