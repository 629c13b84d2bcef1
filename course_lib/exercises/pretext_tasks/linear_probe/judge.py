"""`linear_probe`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib import evaluation
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import as_number, in_any, named


def reference(encoder, images, labels, test_images, test_labels):
    train_x, test_x = (evaluation.extract_features(encoder, x) for x in (images, test_images))
    return evaluation.linear_probe(train_x, labels, test_x, test_labels)


_TOLERANCE = 0.06  # two or three of the test images: any linear classifier that was fitted is nearer than this
_ORDINARY = ("plain", "already_in_eval_mode")


def _off(trial: Trial) -> float:
    """How far the accuracy is above what it should be."""
    return as_number(trial.seen["accuracy"]) - float(trial.expected["accuracy"])


def _accuracy_fine(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["accuracy"], float) and abs(seen["accuracy"] - expected["accuracy"]) < _TOLERANCE


def _encoder_at_rest(case: Case, seen: Values, expected: Values) -> bool:
    return (
        seen["modes"] == ["eval"]
        and close(seen["weights_after"], seen["weights_before"])
        and close(seen["running_mean_after"], expected["running_mean_after"])
        and seen["weights_require_grad_after"] == expected["weights_require_grad_after"]
        and seen["grad_mode_after"] == 1
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "accuracy",
            1,
            "a linear layer on the training features, and its accuracy on the test images, from 0 to 1",
            _accuracy_fine,
            _ORDINARY,
        ),
        Criterion(
            "standardized",
            1,
            "features are standardized, so that their scale does not matter",
            _accuracy_fine,
            ("far_from_zero",),
        ),
        Criterion(
            "training_statistics",
            1,
            "mean and deviation are the training features', for the test features too",
            _accuracy_fine,
            ("one_class_in_the_test_set",),
        ),
        Criterion("at_rest", 1, "the encoder works in eval mode, and none of its numbers moves", _encoder_at_rest),
        Criterion(
            "mode_restored",
            1,
            "afterwards the encoder is in the mode that it was in",
            lambda c, s, e: s["mode_after"] == c.inputs["mode_before"] and bool(s["modes"]),
        ),
    ),
    predicates={
        "encoder_trained_too": lambda trials: in_any(
            trials, lambda t: not close(t.seen["weights_after"], t.seen["weights_before"], rtol=1e-6, atol=1e-7)
        ),
        "features_in_train_mode": lambda trials: in_any(trials, lambda t: "train" in t.seen["modes"]),
        "test_by_its_own_statistics": lambda trials: (
            _off(named(trials, "one_class_in_the_test_set")[0]) < -_TOLERANCE
            and all(abs(_off(t)) < _TOLERANCE for t in named(trials, *_ORDINARY, "far_from_zero"))
        ),
        "not_standardized": lambda trials: (
            _off(named(trials, "far_from_zero")[0]) < -_TOLERANCE
            and all(abs(_off(t)) < _TOLERANCE for t in named(trials, *_ORDINARY))
        ),
    },
    exact=False,
)
