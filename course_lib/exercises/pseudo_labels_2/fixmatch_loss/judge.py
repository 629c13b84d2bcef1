"""`fixmatch_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(weak_logits, strong_logits, *, threshold):
    with torch.no_grad():
        confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
        mask = (confidence >= threshold).to(strong_logits.dtype)
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


def _fixmatch_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["loss"], Tensor) and close(seen["loss"], expected["loss"])


def _teaches_strong(case: Case, seen: Values, expected: Values) -> bool:
    return seen["went_backward"] == "yes" and close(seen["gradient_strong"], expected["gradient_strong"], atol=1e-6)


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
)
