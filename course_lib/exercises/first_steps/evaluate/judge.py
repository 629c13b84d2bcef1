"""`evaluate`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from course_lib.exercises.asking import as_expected, as_number, everywhere, in_all, named, ran, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close

RAGGED, EQUAL = ("ragged_last_batch", "last_batch_of_one"), ("equal_batches", "one_batch")


def reference(model, batches):
    """All images at once, by scikit-learn's metrics."""
    from sklearn.metrics import accuracy_score, log_loss

    was_training, batches = model.training, list(batches)
    model.eval()
    with torch.no_grad():
        probabilities = torch.cat([model(images) for images, _ in batches]).double().softmax(dim=1).cpu().numpy()
    model.train(was_training)
    labels = torch.cat([labels for _, labels in batches]).cpu().numpy()
    loss = log_loss(labels, probabilities, labels=list(range(probabilities.shape[1])))
    return {"loss": float(loss), "accuracy": float(accuracy_score(labels, probabilities.argmax(axis=1)))}


def right_float(key: str, seen: Values, expected: Values) -> bool:
    return type(seen["result"][key]) is float and close(seen["result"][key], expected["result"][key])


def mode_restored(case: Case, seen: Values, expected: Values) -> bool:
    # a model that was never switched has the right mode afterwards by accident
    return "eval" in seen["mode_during"] and seen["mode_after"] == expected["mode_after"]


def is_right(t: Trial) -> bool:
    return all(close(as_number(t.seen["result"][key]), value) for key, value in t.expected["result"].items())


def other_keys(trials: Sequence[Trial]) -> bool | Values:
    keys = ran(trials)[0].seen["result"].keys()
    return not {"loss", "accuracy"} <= keys and {"keys": ", ".join(f'"{key}"' for key in keys) or "none"}


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "loss",
            1,
            '"loss" is the mean cross-entropy over images, a float: every image counts once',
            lambda c, s, e: right_float("loss", s, e),
            (*RAGGED, *EQUAL, "one_shot"),
        ),
        Criterion(
            "accuracy",
            1,
            '"accuracy" is the share of all images that are right, a float',
            lambda c, s, e: right_float("accuracy", s, e),
            (*RAGGED, *EQUAL, "one_shot"),
        ),
        Criterion(
            "eval_mode",
            1,
            "the model is in eval mode while it is measured, and nothing in it changes",
            as_expected("mode_during", "running_mean_after"),
        ),
        Criterion("no_gradients", 1, "no gradients are recorded", as_expected("gradients_during"), form=True),
        Criterion("mode_restored", 1, "afterwards the model has the mode that it had before", mode_restored, form=True),
    ),
    predicates={
        "train_mode": somewhere(lambda t: "train" in t.seen["mode_during"]),
        "mean_of_batch_means": lambda trials: (
            in_all(named(trials, *EQUAL), is_right) and in_all(named(trials, *RAGGED), lambda t: not is_right(t))
        ),
        "percent": everywhere(
            lambda t: close(as_number(t.seen["result"]["accuracy"]) / 100, t.expected["result"]["accuracy"], atol=0.01)
        ),
        "other_keys": other_keys,
        "gone_through_twice": lambda trials: (
            [t.case.name for t in ran(trials) if not is_right(t)] == ["one_shot"] and len(ran(trials)) == len(trials)
        ),
    },
)
