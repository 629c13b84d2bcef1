"""`masked_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from course_lib.exercises.answers import known_answers
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, ran

answer = known_answers(__file__, "masked_loss")


def reference(x_hat, images, mask):
    hidden = mask.expand_as(images)
    return ((x_hat - images) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)


def _loss_is(trials: Sequence[Trial], value: Callable[[Tensor, Tensor, Tensor], Tensor]) -> bool:
    """Whether the loss is this function's on every case with holes, and not the right one everywhere."""
    found = [t for t in ran(trials) if t.case.name != "nothing_hidden"]
    inputs = ("x_hat", "images", "mask")
    return (
        bool(found)
        and all(close(t.seen["loss"], value(*(t.case.inputs[key].clone() for key in inputs)).detach()) for t in found)
        and not all(close(t.seen["loss"], t.expected["loss"]) for t in found)
    )


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
        "index_that_does_not_fit": lambda trials: any(t.error and t.error.type == "IndexError" for t in trials),
        "loss_as_a_number": lambda trials: in_any(trials, lambda t: isinstance(t.seen["loss"], float)),
        "loss_of_each_pixel": lambda trials: in_any(trials, lambda t: t.seen["loss"].numel() > 1),
        "loss_off_the_graph": lambda trials: in_all(
            trials, lambda t: close(t.seen["loss"], t.expected["loss"]) and not t.seen["gradient"].any()
        ),
        "all_pixels": lambda trials: _loss_is(trials, answer("all_pixels")),
        "visible_pixels": lambda trials: _loss_is(trials, answer("visible_pixels")),
        "divided_by_everything": lambda trials: _loss_is(trials, answer("divided_by_everything")),
        "channels_not_counted": lambda trials: _loss_is(trials, answer("channels_not_counted")),
        "summed_not_averaged": lambda trials: _loss_is(trials, answer("summed_not_averaged")),
        "divided_by_images": lambda trials: _loss_is(trials, answer("divided_by_images")),
        "mean_of_image_means": lambda trials: _loss_is(trials, answer("mean_of_image_means")),
        "absolute_errors": lambda trials: _loss_is(trials, answer("absolute_errors")),
        "errors_that_cancel": lambda trials: _loss_is(trials, answer("errors_that_cancel")),
        "root_of_the_mean": lambda trials: _loss_is(trials, answer("root_of_the_mean")),
        "target_blackened": lambda trials: _loss_is(trials, answer("target_blackened")),
        "nan_without_holes": lambda trials: in_any(
            trials, lambda t: t.case.name == "nothing_hidden" and bool(t.seen["loss"].isnan())
        ),
    },
)
