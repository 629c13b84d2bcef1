"""`generator_loss`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.adversarial.judge import reference_generator_loss
from course_lib.exercises.asking import (
    all_of,
    as_expected,
    loss_as_a_number,
    loss_right_but,
    loss_with_a_shape,
    off_the_graph,
)
from course_lib.exercises.contract import Criterion, Judge

_USUAL, _SATURATING = ("plain", "one", "float64", "strided"), ("saturating", "saturating_wins")
_LARGE = ("large_logits", "large_saturating")
_right_loss = as_expected("loss")

judge = Judge(
    reference=reference_generator_loss,
    criteria=(
        Criterion("usual", 1, "without the flag: the cross-entropy with target 1", _right_loss, _USUAL),
        Criterion("saturating", 1, "with it: minus the cross-entropy with target 0", _right_loss, _SATURATING),
        Criterion("large", 1, "both are exact for large logits too", _right_loss, _LARGE),
        Criterion(
            "gradient",
            1,
            "the gradient of each loss reaches the logits",
            all_of(_right_loss, as_expected("gradient", atol=1e-7)),
            (*_USUAL, *_SATURATING),
        ),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "loss_of_each_image": loss_with_a_shape,
        "loss_off_the_graph": off_the_graph("gradient"),
        "log_of_sigmoid": loss_right_but((*_USUAL, *_SATURATING), not_on=_LARGE),
    },
)
