"""`linear_probe`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

from course_lib import evaluation
from course_lib.exercises.asking import as_number, everywhere, ran, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Predicate, Trial, Values, close
from course_lib.exercises.pretext_tasks.exercise import BETWEEN, LATE, TEST_COUNTS


def reference(encoder, images, labels, test_images, test_labels):
    train_x, test_x = (evaluation.extract_features(encoder, x) for x in (images, test_images))
    return evaluation.probe_accuracy(train_x, labels, test_x, test_labels)


_TOLERANCE = 0.04  # some of the test images: a linear layer that was fitted differs by at most 0.014, however it was
_ORDINARY = ("plain", "already_in_eval_mode")
_SCALED = ("far_from_zero", "tiny", "large")
_COMPOSED = ("one_class_in_the_test_set", "outliers_in_the_test_set")


def _accuracy(case: Case, seen: Values, expected: Values) -> bool:
    return isinstance(seen["accuracy"], float) and abs(seen["accuracy"] - expected["accuracy"]) < _TOLERANCE


def _frozen(case: Case, seen: Values, expected: Values) -> bool:
    unchanged = ("weights_before", "running_mean_after", "weights_require_grad_after", "grad_mode_after", "mode_after")
    in_eval_mode = seen["modes"] == ["eval"] and all(close(seen[key], expected[key]) for key in unchanged)
    return in_eval_mode and close(seen["weights_after"], seen["weights_before"])


def _weights_moved(t: Trial) -> bool:
    return not close(t.seen["weights_after"], t.seen["weights_before"], rtol=1e-6, atol=1e-7)


def _off(trials: Sequence[Trial]) -> list[str]:
    """The cases in which the accuracy is another."""
    return [t.case.name for t in ran(trials) if not abs(_surplus(t)) < _TOLERANCE]


def _surplus(t: Trial) -> float:
    return as_number(t.seen["accuracy"]) - t.expected["accuracy"]


def _right_on(pattern: int) -> Predicate:
    """Whether the images of a pattern on which no fitted linear layer is right are right too."""
    return everywhere(lambda t: abs(_surplus(t) - TEST_COUNTS[pattern] / sum(TEST_COUNTS)) < _TOLERANCE, *_ORDINARY)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "accuracy",
            1,
            "a linear layer on the training features, and its accuracy on the test images, from 0 to 1",
            _accuracy,
            _ORDINARY,
        ),
        Criterion("standardized", 1, "the accuracy is right whatever the scale of the features is", _accuracy, _SCALED),
        Criterion(
            "training_statistics", 2, "the accuracy is right however the test set is composed", _accuracy, _COMPOSED
        ),
        Criterion("eval_mode", 1, "the encoder works in eval mode, and afterwards it is as it was", _frozen),
    ),
    predicates={
        "encoder_trained_too": somewhere(_weights_moved),
        "features_in_train_mode": somewhere(lambda t: "train" in t.seen["modes"]),
        "frozen_for_good": somewhere(lambda t: 0 in t.seen["weights_require_grad_after"]),
        "not_linear": _right_on(BETWEEN),
        "first_steps": _right_on(LATE),
        "test_by_its_own_statistics": lambda trials: set(_off(trials)) == {*_COMPOSED},
        "statistics_of_both": lambda trials: set(_off(trials)) == {"outliers_in_the_test_set"},
        "not_standardized": lambda trials: (
            set() < {*_off(trials)} <= {*_SCALED}
            or next(t.case.name for t in ran(trials) if _surplus(t) < -_TOLERANCE) in _SCALED
        ),
    },
    exact=False,
)
