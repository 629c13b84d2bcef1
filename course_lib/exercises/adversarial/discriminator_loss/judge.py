"""`discriminator_loss`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.adversarial.judge import reference_discriminator_loss
from course_lib.exercises.asking import (
    as_expected,
    loss_as_a_number,
    loss_negated,
    loss_right_but,
    loss_with_a_shape,
    off_the_graph,
)
from course_lib.exercises.contract import Criterion, Judge

_EQUAL = ("plain", "one", "float64", "strided")
_UNEQUAL = ("more_fakes", "more_real")
_LARGE = ("large_logits",)
_right_loss = as_expected("loss")

judge = Judge(
    reference=reference_discriminator_loss,
    criteria=(
        Criterion("value", 1, "the cross-entropy, with target 1 for real and 0 for generated", _right_loss, _EQUAL),
        Criterion("sizes", 1, "each batch has a mean of its own, whatever the other's size", _right_loss, _UNEQUAL),
        Criterion("large", 1, "the loss is exact for large logits too", _right_loss, _LARGE),
        Criterion(
            "gradient",
            1,
            "the gradient reaches both batches of logits",
            as_expected("real_gradient", "fake_gradient"),
            (*_EQUAL, *_UNEQUAL),
        ),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_of_each_image": loss_with_a_shape,
        "loss_off_the_graph": off_the_graph("real_gradient", "fake_gradient"),
        "log_of_sigmoid": loss_right_but((*_EQUAL, *_UNEQUAL), not_on=_LARGE),
        "negated": loss_negated,
    },
)
