"""`distillation_loss`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import everywhere, loss_as_a_number, loss_with_a_shape, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.teachers.judge import reference_distillation_loss

_PLAIN = ("plain", "square", "one_image", "more_classes_than_images", "float64", "transposed", "agreeing")
_ONE, _OTHER, _LARGE = ("temperature_one",), ("cold", "hot"), ("large_logits",)


def _right(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["loss"], expected["loss"], rtol=1e-3, atol=1e-4)


def _gradients(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["student_gradient"], expected["student_gradient"], atol=1e-4) and _no_gradient(seen)


def _no_gradient(seen: Values) -> bool:
    return not seen["teacher_gradient"].any()


def _rest_right(trials, *, but: tuple[str, ...]) -> bool:
    others = [name for name in (*_PLAIN, *_ONE, *_OTHER) if name not in but]
    return all(_right(*t[:3]) for t in named(trials, *others))


judge = Judge(
    reference=reference_distillation_loss,
    criteria=(
        Criterion("divergence", 1, "at temperature 1 it is the KL divergence from the teacher", _right, _ONE),
        Criterion(
            "temperature", 2, "both sides are softened, and the factor T squared is there", _right, (*_PLAIN, *_OTHER)
        ),
        Criterion("large", 1, "the loss is exact for large logits too", _right, _LARGE),
        Criterion(
            "gradient", 1, "the student's logits get the right gradient, and the teacher's get none", _gradients,
            (*_PLAIN, *_OTHER, *_ONE),
        ),
    ),
    predicates={
        "as_a_number": loss_as_a_number,
        "loss_of_each_image": loss_with_a_shape,
        "student_off_the_graph": everywhere(lambda t: _right(*t[:3]) and not t.seen["student_gradient"].any()),
        "teacher_learns_too": everywhere(lambda t: _right(*t[:3]) and not _no_gradient(t.seen), *_PLAIN[:4]),
        "log_of_softmax": lambda trials: (
            _rest_right(trials, but=("cold",)) and somewhere(lambda t: not _right(*t[:3]), *_LARGE)(trials)
        ),
        "negated": everywhere(lambda t: close(t.seen["loss"], -t.expected["loss"]), *_PLAIN),
    },
)  # fmt: skip
