"""`masked_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import as_expected, inputs_kept, loss_as_a_number, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return ((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)


def _gradient(case: Case, seen: Values, expected: Values) -> bool:
    reached, hidden = seen["gradient"] != 0, case.inputs["mask"].expand_as(case.inputs["images"])
    on_hidden_only = not reached[~hidden].any() and (reached.any() or not hidden.any())
    return bool(on_hidden_only) and inputs_kept(case, seen, "images")


def _zero(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["loss"], expected["loss"]) and not seen["gradient"].any()


_GRAY = ("plain", "one", "uneven", "float64")
_COLOR = ("color", "as_many_images_as_channels", "transposed")
_NOTHING = ("nothing_hidden",)
_right_loss = as_expected("loss")

judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 1, "the mean squared error of all hidden pixels", _right_loss, _GRAY),
        Criterion("channels", 1, "with several channels every hidden value counts once", _right_loss, _COLOR),
        Criterion(
            "gradient", 1, "the gradient is zero on visible pixels, and only there", _gradient, (*_GRAY, *_COLOR)
        ),
        Criterion("nothing_hidden", 1, "where nothing is hidden the loss is 0, not NaN", _zero, _NOTHING, form=True),
    ),
    predicates={
        "loss_as_a_number": loss_as_a_number,
        "nan_without_holes": somewhere(lambda t: bool(t.seen["loss"].isnan()), *_NOTHING),
    },
)
