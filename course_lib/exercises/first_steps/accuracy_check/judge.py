"""`accuracy_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch

from course_lib.exercises.candidates import judge_for_check, lets_pass, refuses

# Wrong answers that return another type or a number beyond 1 on most inputs, and those that never do.
_OTHER_FORM = ("tensor", "percent", "count", "over_dim_0")
_CHANCE = ("flat_argmax", "highest_values", "divided_by_classes")
_SAME_FORM = ("error_rate", "rounded", "mean_probability", "whole_numbers", "squashed_first")


def reference(candidate):
    """Every number of right images in batches of seven, and logits so high that a sigmoid is 1 everywhere."""
    logits = torch.eye(4)[[0, 1, 2, 3, 0, 1, 2]]  # (7, 4)
    for correct in range(8):
        labels = logits.argmax(dim=1)
        labels[correct:] = (labels[correct:] + 1) % 4
        for scaled in (logits, 40 + 20 * logits):
            value = candidate(scaled, labels)
            assert type(value) is float and abs(7 * value - correct) < 1e-4


judge = judge_for_check(
    points=4,
    reference=reference,
    predicates={
        "compared_exactly": refuses("accuracy_by_max"),
        "only_the_form": lets_pass(*_SAME_FORM, and_maybe=(*_OTHER_FORM, *_CHANCE)),
        "all_images_right": lets_pass(
            "rounded", "whole_numbers", "squashed_first", and_maybe=("tensor", "percent", "count", *_CHANCE)
        ),
        "half_of_the_images_right": lets_pass(
            "error_rate", and_maybe=("rounded", "squashed_first", "tensor", *_CHANCE)
        ),
        "as_many_images_as_classes": lets_pass(
            "divided_by_classes", and_maybe=("flat_argmax", "over_dim_0", "tensor", "squashed_first")
        ),
        "rounding_unseen": lets_pass("rounded", and_maybe=("squashed_first", "mean_probability", "tensor")),
        "type_unseen": lets_pass("tensor"),
        "small_logits_alone": lets_pass("squashed_first", and_maybe=("tensor",)),
        "logits_far_apart": lets_pass("mean_probability", and_maybe=("squashed_first", "tensor")),
    },
)
