"""`extract_features`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_all


def reference(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def _calls_in_train_mode(t: Trial) -> bool:
    return "train" in t.seen["modes"]


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "values",
            1,
            "one row an image, all of them, in order",
            lambda c, s, e: close(s["features"], e["features"]) and max(s["batch_sizes"]) <= c.inputs["batch_size"],
        ),
        Criterion(
            "eval_mode",
            1,
            "the encoder works in eval mode: no dropout, and batch normalization learns nothing",
            lambda c, s, e: (
                bool(s["modes"])
                and set(s["modes"]) == {"eval"}
                and close(s["running_mean_after"], e["running_mean_after"])
            ),
        ),
        Criterion(
            "no_gradient",
            1,
            "no gradients are recorded, and the weights can still be trained afterwards",
            lambda c, s, e: (
                s["features_require_grad"] == 0
                and s["grad_mode_after"] == 1
                and s["weights_require_grad_after"] == e["weights_require_grad_after"]
                and s["gradients_after"] == e["gradients_after"]
            ),
        ),
        Criterion(
            "mode_restored",
            1,
            "afterwards the encoder is in the mode that it was in",
            lambda c, s, e: s["mode_after"] == c.inputs["mode_before"] and bool(s["modes"]),
        ),
    ),
    predicates={
        "in_train_mode": lambda trials: in_all(
            trials, lambda t: t.case.inputs["mode_before"] == "eval" or _calls_in_train_mode(t)
        ),
    },
)
