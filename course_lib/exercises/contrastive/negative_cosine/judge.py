"""`negative_cosine`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.asking import as_expected, everywhere, loss_as_a_number, loss_negated, loss_with_a_shape
from course_lib.exercises.contract import Criterion, Judge


def reference(p: Tensor, z: Tensor) -> Tensor:
    target = z.data / z.data.norm(dim=1, keepdim=True)
    return -(p * target).sum(dim=1).div(p.norm(dim=1)).mean()


_value = as_expected("loss")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 1, "minus the cosine of each row, averaged over the rows", _value),
        Criterion("gradient", 2, "the gradient reaches `p` and stops at `z`", as_expected("p_gradient", "z_gradient")),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_of_each_row": loss_with_a_shape,
        "sign_forgotten": loss_negated,
        "stop_gradient_forgotten": everywhere(
            lambda t: _value(*t[:3]) and bool(t.seen["z_gradient"].any() and t.seen["p_gradient"].any())
        ),
        "prediction_stopped": everywhere(
            lambda t: _value(*t[:3]) and bool(t.seen["z_gradient"].any() and not t.seen["p_gradient"].any())
        ),
        "both_stopped": everywhere(
            lambda t: (
                isinstance(t.seen["loss"], Tensor)
                and _value(*t[:3])
                and not t.seen["z_gradient"].any()
                and not t.seen["p_gradient"].any()
            ),
            "plain",
            "square",
            "wide",
        ),
    },
)
