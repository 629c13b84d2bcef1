"""`classes_covered`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections import Counter

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Criterion, Judge


def reference(logits, *, min_share=0.02):
    """Counted in Python."""
    found = Counter(int(row.argmax()) for row in logits)
    return sum(count >= min_share * len(logits) - 1e-9 for count in found.values())


_EDGE = ("on_the_edge", "a_quarter")
_PLAIN = ("plain", "one_class", "square", "transposed", "many_classes")
_right = as_expected("covered")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("count", 1, "the classes with a large enough share of the predictions are counted", _right, _PLAIN),
        Criterion("edge", 1, "a class with exactly `min_share` counts", _right, _EDGE),
        Criterion("number", 1, "the result is a Python int", lambda c, s, e: _right(c, s, e) and s["kind"] == "int"),
    ),
    predicates={
        "as_a_tensor": everywhere(lambda t: _right(*t[:3]) and t.seen["kind"] != "int"),
    },
)
