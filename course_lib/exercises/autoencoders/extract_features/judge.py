"""`extract_features`: reference, criteria, and the mistake that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import all_of, as_expected, reordered, somewhere
from course_lib.exercises.autoencoders.judge import mode_restored
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def in_small_batches(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["features"], expected["features"]) and max(seen["batch_sizes"]) <= case.inputs["batch_size"]


def in_eval_mode(case: Case, seen: Values, expected: Values) -> bool:
    return set(seen["modes"]) == {"eval"} and close(seen["running_mean_after"], expected["running_mean_after"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("values", 1, "one row per image, all of them, in order", in_small_batches),
        Criterion(
            "eval_mode",
            1,
            "the encoder works in eval mode: no dropout, and batch normalization learns nothing",
            in_eval_mode,
        ),
        Criterion(
            "no_gradient",
            1,
            "no gradients are recorded, and the weights can still be trained afterwards",
            all_of(
                as_expected("features_require_grad", "gradients_during", "grad_mode_after"),
                as_expected("weights_require_grad_after", "gradients_after"),
            ),
            form=True,
        ),
        Criterion("mode_restored", 1, "afterwards the encoder is in the mode that it was in", mode_restored, form=True),
    ),
    predicates={
        "in_another_order": somewhere(lambda t: reordered(t, "features")),
        "weights_frozen_for_good": somewhere(lambda t: 0 in t.seen["weights_require_grad_after"]),
    },
)
