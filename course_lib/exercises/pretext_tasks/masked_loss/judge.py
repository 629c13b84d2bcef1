"""`masked_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.judging import in_any


def reference(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return ((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)


def _gradient_on_hidden_only(case: Case, seen: Values, expected: Values) -> bool:
    hidden = case.inputs["mask"].expand_as(case.inputs["images"])
    gradient = seen["gradient"]
    return bool((gradient[~hidden] == 0).all() and (not hidden.any() or gradient[hidden].any())) and close(
        seen["images_after"], case.inputs["images"]
    )


_GRAY = ("plain", "one", "uneven", "float64")
_COLOR = ("color", "as_many_images_as_channels", "transposed")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "value",
            1,
            "the mean squared error of all hidden pixels",
            lambda c, s, e: close(s["loss"], e["loss"]),
            _GRAY,
        ),
        Criterion(
            "channels",
            1,
            "with several channels every hidden value counts once",
            lambda c, s, e: close(s["loss"], e["loss"]),
            _COLOR,
        ),
        Criterion(
            "gradient",
            1,
            "the gradient is zero on visible pixels, and only there",
            _gradient_on_hidden_only,
            (*_GRAY, *_COLOR),
        ),
        Criterion(
            "nothing_hidden",
            1,
            "where nothing is hidden the loss is 0, not NaN",
            lambda c, s, e: close(s["loss"], e["loss"]) and not s["gradient"].any(),
            ("nothing_hidden",),
        ),
    ),
    predicates={
        "loss_as_a_number": lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        "nan_without_holes": lambda trials: in_any(
            trials, lambda t: t.case.name == "nothing_hidden" and bool(t.seen["loss"].isnan())
        ),
    },
)
