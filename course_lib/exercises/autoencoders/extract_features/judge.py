"""`extract_features`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from course_lib.exercises.autoencoders.judge import calls_in_train_mode, is_same
from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_all, in_any


def reference(encoder, images, batch_size):
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = torch.cat([encoder(batch) for batch in images.split(batch_size)])
    encoder.train(was_training)
    return features


def _rows_in_order(trial: Trial) -> bool:
    return is_same(trial.seen["features"], trial.expected["features"])


def _behaves_reordered(trials: Sequence[Trial]) -> bool:
    def reordered(t: Trial) -> bool:
        seen, expected = t.seen["features"], t.expected["features"]
        if seen.shape != expected.shape or len(seen) == 1:
            return len(seen) == 1
        nearest = torch.cdist(expected.double(), seen.double()).min(dim=1).values
        return bool((nearest < 1e-4).all()) and not _rows_in_order(t)

    return in_all(trials, reordered)


def _behaves_count(trials: Sequence[Trial]) -> bool:
    def in_that_many(t: Trial) -> bool:
        chunks = t.case.inputs["images"].chunk(t.case.inputs["batch_size"])
        return t.seen["batch_sizes"] == [len(chunk) for chunk in chunks]

    return in_all(trials, in_that_many) and in_any(trials, lambda t: t.seen["batch_sizes"] != t.expected["batch_sizes"])


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
        "list_of_batches": lambda trials: in_all(trials, lambda t: isinstance(t.seen["features"], list)),
        "restored_too_early": lambda trials: in_any(
            trials, lambda t: t.seen["modes"][:1] == ["eval"] and calls_in_train_mode(t)
        ),
        "in_train_mode": lambda trials: in_all(
            trials, lambda t: t.case.inputs["mode_before"] == "eval" or calls_in_train_mode(t)
        ),
        "only_the_first_batch": lambda trials: (
            in_all(
                trials, lambda t: len(t.seen["batch_sizes"]) == 1 == t.seen["batch_sizes"][0] // len(t.seen["features"])
            )
            and in_any(trials, lambda t: t.seen["batch_sizes"][0] < len(t.case.inputs["images"]))
        ),
        "joined_side_by_side": lambda trials: in_any(
            trials,
            lambda t: t.seen["features"].ndim == 2 and t.seen["features"].shape[1] > t.case.inputs["feature_dim"],
        ),
        "batch_size_as_a_count": _behaves_count,
        "last_batch_dropped": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "ragged_last_batch"
                and is_same(t.seen["features"], t.expected["features"][: len(t.seen["features"])])
                and len(t.seen["features"]) < len(t.expected["features"])
            ),
        ),
        "only_the_last_batch": lambda trials: in_any(
            trials,
            lambda t: (
                len(t.seen["features"]) < len(t.expected["features"])
                and is_same(t.seen["features"], t.expected["features"][-len(t.seen["features"]) :])
            ),
        ),
        "stacked_batches": lambda trials: (
            in_all(trials, lambda t: len(t.seen["features"]) == len(t.seen["batch_sizes"]))
            and in_any(trials, lambda t: len(t.seen["features"]) < len(t.expected["features"]))
        ),
        "in_another_order": _behaves_reordered,
        "all_at_once": lambda trials: in_any(
            trials, lambda t: max(t.seen["batch_sizes"]) > t.case.inputs["batch_size"]
        ),
        "weights_frozen_for_good": lambda trials: in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"]),
        "gradients_off_everywhere": lambda trials: in_any(trials, lambda t: t.seen["grad_mode_after"] == 0),
        "with_gradients": lambda trials: in_any(trials, lambda t: t.seen["features_require_grad"] == 1),
        "left_in_eval": lambda trials: in_any(
            trials, lambda t: t.case.inputs["mode_before"] == "train" and t.seen["mode_after"] == "eval"
        ),
        "always_back_to_train": lambda trials: in_any(
            trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
        ),
    },
)
