"""`denoising_loss`: reference, criteria, and the mistake that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(model, images, corrupt, loss_fn):
    return loss_fn(model(corrupt(images)), images)


input_right = as_expected("model_inputs")


def target_right(case: Case, seen: Values, expected: Values) -> bool:
    return len(seen["compared"]) == 1 and close(seen["compared"][0][1], case.inputs["images"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("input", 1, "the model is given the corrupted images", input_right),
        Criterion(
            "target", 1, "its output is compared with the clean images, by `loss_fn(x_hat, target)`", target_right
        ),
        Criterion("gradient", 1, "the loss that comes back trains the model", as_expected("loss", "gradient", "modes")),
    ),
    predicates={  # t[:3] is what a criterion is asked: case, seen, expected
        "without_gradient": everywhere(
            lambda t: input_right(*t[:3]) and target_right(*t[:3]) and not t.seen["gradient"].any()
        ),
    },
)
