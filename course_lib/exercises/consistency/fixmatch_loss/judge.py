"""`fixmatch_loss`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_lib.exercises.asking import as_expected
from course_lib.exercises.contract import Criterion, Judge


def reference(weak_logits, strong_logits, *, threshold):
    with torch.no_grad():
        confidence, guess = weak_logits.softmax(dim=1).max(dim=1)
        mask = (confidence >= threshold).to(strong_logits.dtype)
    return (F.cross_entropy(strong_logits, guess, reduction="none") * mask).mean()


_ALL_SURE, _NONE_SURE = ("all_sure", "one_sure", "certain_of_something_else"), ("none_sure", "one_unsure")
_SOME_SURE = ("some_sure", "as_many_images_as_classes", "transposed", "float64")
_AT_THE_THRESHOLD = ("low_threshold", "large_logits", "exactly_at_the_threshold")
_loss = as_expected("loss")
_both = as_expected("loss", "went_backward", "gradient_strong", atol=1e-6)
_weak = as_expected("went_backward", "gradient_weak", atol=1e-6)

judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "sure_ones",
            1,
            "images with a confident prediction on the weak view pay the cross-entropy of the strong view",
            _both,
            _ALL_SURE,
        ),
        Criterion("whole_batch", 1, "the mean is over the whole batch, above the threshold or not", _both, _SOME_SURE),
        Criterion(
            "empty_mask",
            1,
            "when no image is confident, the loss is a tensor 0 that can go backward",
            _both,
            _NONE_SURE,
            form=True,
        ),
        Criterion(
            "threshold",
            1,
            "the best probability is compared with the threshold, and as much is enough",
            _loss,
            _AT_THE_THRESHOLD,
        ),
        Criterion(
            "no_gradient_to_weak", 1, "no gradient reaches the weak view", _weak, ("some_sure", "all_sure"), form=True
        ),
    ),
)
