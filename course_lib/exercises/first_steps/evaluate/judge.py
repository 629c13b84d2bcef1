"""`evaluate`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.first_steps.judge import in_all_of, is_float, trials_named, value_of
from course_lib.exercises.judging import in_any


def reference(model, batches):
    """All images at once, by scikit-learn's metrics, with the modes put back."""
    from sklearn.metrics import accuracy_score, log_loss

    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(images) for images, _ in batches]).double().cpu()
    model.train(was_training)
    labels = torch.cat([labels for _, labels in batches]).cpu().numpy()
    probabilities = logits.softmax(dim=1).numpy()
    return {
        "loss": float(log_loss(labels, probabilities, labels=list(range(logits.shape[1])))),
        "accuracy": float(accuracy_score(labels, probabilities.argmax(axis=1))),
    }


def _figure(t: Trial, key: str) -> Any:
    result = t.seen.get("result")
    return result.get(key) if isinstance(result, dict) else None


def _agrees(t: Trial, key: str) -> bool:
    return close(value_of(_figure(t, key)), t.expected["result"][key])


def _measures(key: str) -> Callable[[Case, Values, Values], bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        value = seen["result"][key] if isinstance(seen["result"], dict) else None
        return is_float(value) and close(value, expected["result"][key])

    return passes


def _other_keys(trials: Sequence[Trial]) -> bool | Values:
    if not in_all_of(trials, lambda t: isinstance(t.seen["result"], dict)):
        return False
    keys = trials[0].seen["result"].keys()
    if {"loss", "accuracy"} <= keys:
        return False
    return {"keys": ", ".join(f'"{key}"' for key in keys) or "none"}


def _right_only_for_equal_batches(trials: Sequence[Trial]) -> bool:
    ragged = trials_named(trials, "ragged_last_batch", "last_batch_of_one")
    equal = trials_named(trials, "equal_batches", "one_batch")
    right = in_all_of(equal, lambda t: _agrees(t, "loss") and _agrees(t, "accuracy"))
    return right and (
        in_all_of(ragged, lambda t: not _agrees(t, "loss")) or in_all_of(ragged, lambda t: not _agrees(t, "accuracy"))
    )


_PLAIN_CASES = ("ragged_last_batch", "last_batch_of_one", "equal_batches", "one_batch")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "loss",
            1,
            '"loss" is the mean cross-entropy over images, a float: every image counts once',
            passes=_measures("loss"),
            cases=_PLAIN_CASES,
        ),
        Criterion(
            "accuracy",
            1,
            '"accuracy" is the share of all images that are right, a float',
            passes=_measures("accuracy"),
            cases=_PLAIN_CASES,
        ),
        Criterion(
            "eval_mode",
            1,
            "the model is in eval mode while it is measured, and nothing in it changes",
            passes=lambda case, seen, expected: (
                seen["mode_during"] == "eval"
                and close(seen.get("running_mean_after"), expected.get("running_mean_after"))
            ),
        ),
        Criterion(
            "no_gradients",
            1,
            "no gradients are recorded",
            passes=lambda case, seen, expected: seen["gradients_during"] == "off",
        ),
        # A model that was never switched has the right mode afterwards by accident.
        Criterion(
            "mode_restored",
            1,
            "afterwards the model has the mode that it had before",
            passes=lambda case, seen, expected: (
                "eval" in seen["mode_during"] and seen["mode_after"] == expected["mode_after"]
            ),
        ),
    ),
    predicates={
        "train_mode": lambda trials: in_any(trials, lambda t: "train" in t.seen["mode_during"]),
        "mean_of_batch_means": _right_only_for_equal_batches,
        "percent": lambda trials: in_all_of(
            trials_named(trials, *_PLAIN_CASES),
            lambda t: close(
                value_of(_figure(t, "accuracy")), 100 * t.expected["result"]["accuracy"], rtol=0.01, atol=0.6
            ),
        ),
        "other_keys": _other_keys,
    },
)
