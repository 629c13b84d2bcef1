"""`fixmatch_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.answers import known_answers
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any, named, ran
from course_lib.exercises.pseudo_labels_2.judge import all_named

answer = known_answers(__file__, "fixmatch_loss")


def reference(weak_logits, strong_logits, *, threshold):
    with torch.no_grad():
        confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
        mask = (confidence >= threshold).to(strong_logits.dtype)
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def _fixmatch_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


def _teaches_strong(case: Case, seen: Values, expected: Values) -> bool:
    return seen["went_backward"] == "yes" and close(seen["gradient_strong"], expected["gradient_strong"], atol=1e-6)


def _as_fixmatch(fn: Callable[..., Tensor], *names: str) -> Callable[[Sequence[Trial]], bool]:
    """A predicate: on the named cases the loss is that of `fn`, and on one of them it is not the right one."""

    def behaves(trials: Sequence[Trial]) -> bool:
        found = named(trials, *names)
        return (
            bool(found)
            and all(close(t.seen["loss"], fn(**t.case.inputs)) for t in found)
            and any(not _fixmatch_fine(t.case, t.seen, t.expected) for t in found)
        )

    return behaves


def _touches_weak(trial: Trial) -> bool:
    return float(trial.seen["gradient_weak"].abs().sum()) > 0


_SOME = ("some_sure", "as_many_images_as_classes", "transposed", "float64")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "sure_ones",
            1,
            "images that are sure in the weak view pay the cross-entropy of the strong view",
            lambda c, s, e: _fixmatch_fine(c, s, e) and _teaches_strong(c, s, e),
            ("all_sure", "one_sure", "certain_of_something_else"),
        ),
        Criterion(
            "whole_batch",
            1,
            "the mean is over the whole batch, sure or not",
            lambda c, s, e: _fixmatch_fine(c, s, e) and _teaches_strong(c, s, e),
            _SOME,
        ),
        Criterion(
            "empty_mask",
            1,
            "with nobody sure the loss is a tensor 0 that can go backward",
            lambda c, s, e: _fixmatch_fine(c, s, e) and _teaches_strong(c, s, e),
            ("none_sure", "one_unsure"),
        ),
        Criterion(
            "threshold",
            1,
            "the best probability is compared with the threshold, and as much is enough",
            _fixmatch_fine,
            ("low_threshold", "large_logits", "exactly_at_the_threshold"),
        ),
        Criterion(
            "no_gradient_to_weak",
            1,
            "no gradient reaches the weak view",
            lambda c, s, e: float(s["gradient_weak"].abs().sum()) == 0 and s["went_backward"] == "yes",
            ("some_sure", "all_sure"),
        ),
    ),
    predicates={
        "one_loss_an_image": lambda trials: in_any(trials, lambda t: t.seen["loss"].ndim > 0),
        "weak_view_trained": lambda trials: (
            any(map(_touches_weak, ran(trials))) and _as_fixmatch(answer("weak_view_trained"), *_SOME)(trials)
        ),
        "strong_teaches_weak": lambda trials: (
            any(map(_touches_weak, ran(trials)))
            and not in_any(trials, lambda t: float(t.seen["gradient_strong"].abs().sum()) > 0)
        ),
        "strong_view_teaches_itself": _as_fixmatch(answer("strong_view_teaches_itself"), *_SOME),
        "confidence_of_the_strong_view": _as_fixmatch(answer("confidence_of_the_strong_view"), *_SOME),
        "weighted_by_confidence": lambda trials: _as_fixmatch(answer("weighted_by_confidence"), *_SOME)(trials),
        "soft_targets_with_gradient": lambda trials: any(map(_touches_weak, ran(trials))),
        "soft_targets": _as_fixmatch(answer("soft_targets"), *_SOME),
        "python_zero_when_none": lambda trials: (
            all_named(trials, lambda t: t.seen["went_backward"] == "no", "none_sure", "one_unsure")
            and all_named(trials, lambda t: t.seen["went_backward"] == "yes", *_SOME)
        ),
        "both_views_detached": lambda trials: in_all(
            trials,
            lambda t: (
                t.seen["went_backward"] == "no" and isinstance(t.seen["loss"], Tensor) and t.seen["loss"].numel() == 1
            ),
        ),
        "log_of_softmax": lambda trials: (
            all_named(
                trials,
                lambda t: (
                    isinstance(t.seen["loss"], Tensor)
                    and not (t.seen["loss"].isfinite().all() and t.seen["gradient_strong"].isfinite().all())
                ),
                "certain_of_something_else",
            )
            and all_named(trials, lambda t: _fixmatch_fine(t.case, t.seen, t.expected), "all_sure", *_SOME)
        ),
        "mean_of_the_sure": lambda trials: all_named(trials, lambda t: bool(t.seen["loss"].isnan()), "none_sure"),
        "mean_of_the_sure_or_zero": _as_fixmatch(answer("mean_of_the_sure_or_zero"), *_SOME),
        "summed_over_the_batch": _as_fixmatch(answer("summed_over_the_batch"), *_SOME),
        "mean_before_the_mask": _as_fixmatch(answer("mean_before_the_mask"), *_SOME),
        "threshold_left_out": _as_fixmatch(answer("threshold_left_out"), *_SOME, "none_sure"),
        "unsure_ones_kept": _as_fixmatch(answer("unsure_ones_kept"), *_SOME, "none_sure"),
        "threshold_on_logits": _as_fixmatch(answer("threshold_on_logits"), "large_logits", "none_sure"),
        "threshold_on_sigmoids": _as_fixmatch(answer("threshold_on_sigmoids"), "large_logits", *_SOME),
        "probabilities_into_cross_entropy": _as_fixmatch(answer("probabilities_into_cross_entropy"), *_SOME),
        "strictly_above": lambda trials: (
            _as_fixmatch(answer("strictly_above"), "exactly_at_the_threshold")(trials)
            and all_named(trials, lambda t: _fixmatch_fine(t.case, t.seen, t.expected), *_SOME)
        ),
    },
)
