"""`masked_lm_loss`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.asking import (
    all_of,
    as_expected,
    loss_as_a_number,
    loss_with_a_shape,
    off_the_graph,
    somewhere,
)
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.text.judge import reference_masked_lm_loss

_MANY, _NOTHING = ("plain", "one_text", "square", "uneven", "strided", "float64"), ("nothing_chosen",)
_right_loss = as_expected("loss")


def _zero(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["loss"], expected["loss"]) and not seen["gradient"].any()


judge = Judge(
    reference=reference_masked_lm_loss,
    criteria=(
        Criterion("value", 2, "the mean cross-entropy over all chosen words of the batch", _right_loss, _MANY),
        Criterion(
            "gradient",
            1,
            "the gradient reaches the logits of the chosen words, and no others",
            all_of(_right_loss, as_expected("gradient", atol=1e-6)),
            (*_MANY, "large_logits"),
        ),
        Criterion("nothing", 1, "where no word is chosen the loss is 0, not NaN", _zero, _NOTHING, form=True),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "nan_where_nothing_is_chosen": somewhere(
            lambda t: isinstance(t.seen["loss"], Tensor) and bool(t.seen["loss"].isnan().any()), *_NOTHING
        ),
        "loss_of_each_word": loss_with_a_shape,
        "loss_off_the_graph": off_the_graph("gradient", on=_MANY),
    },
)
