"""`nt_xent_loss`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import (
    as_expected,
    everywhere,
    loss_as_a_number,
    loss_negated,
    loss_right_but,
    loss_with_a_shape,
    off_the_graph,
)
from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.contrastive.judge import nt_xent_of_each_view, reference_nt_xent_loss

_COLD = ("cold",)
_USUAL = ("plain", "square", "warm", "float64", "strided")
_right_loss = as_expected("loss")


def _half_of_the_rows(t: Trial) -> bool:
    rows = nt_xent_of_each_view(**t.case.inputs).chunk(2)
    return any(close(t.seen["loss"], half.mean()) for half in rows)


judge = Judge(
    reference=reference_nt_xent_loss,
    criteria=(
        Criterion("value", 2, "the cross-entropy of finding the other view among all other views", _right_loss, _USUAL),
        Criterion("one", 1, "with a single image nothing can be confused, and the loss is 0", _right_loss, ("one",)),
        Criterion("cold", 1, "the loss is exact for a very small temperature too", _right_loss, _COLD),
        Criterion("gradient", 1, "the gradient reaches both views", as_expected("z1_gradient", "z2_gradient"), _USUAL),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_of_each_view": loss_with_a_shape,
        "loss_off_the_graph": off_the_graph("z1_gradient", "z2_gradient"),
        "negated": loss_negated,
        "one_direction": everywhere(_half_of_the_rows),
        "by_exponentials": loss_right_but(_USUAL, not_on=_COLD),
    },
)
