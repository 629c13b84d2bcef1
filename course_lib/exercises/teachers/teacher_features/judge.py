"""`teacher_features`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import as_expected, everywhere, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.models import eval_mode


def reference(teacher, images, *, kind="logits"):
    with eval_mode(teacher), torch.no_grad():
        logits = teacher(images)
    if kind == "one_hot":
        return torch.eye(logits.shape[1])[logits.argmax(dim=1).cpu()].to(logits)
    return logits if kind == "logits" else (logits - logits.logsumexp(dim=1, keepdim=True)).exp()


_LOGITS = ("logits", "logits_part_in_eval_mode", "logits_of_one_image")
_PROBABILITIES = ("probabilities", "probabilities_square", "probabilities_of_many")
_ONE_HOT = ("one_hot", "one_hot_of_many_classes", "one_hot_of_one_image")
_right = as_expected("features", "dtype")


def _manner(case: Case, seen: Values, expected: Values) -> bool:
    kept = seen["modes_after"] == seen["modes_before"] and seen["grad_mode_after"] == "on"
    kept = kept and close(seen["running_mean_after"], expected["running_mean_after"])
    return kept and seen["modes_during"] == "eval" and seen["recording"] == "off" and seen["graph"] == "none"


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("logits", 1, "the logits are returned as they are", _right, _LOGITS),
        Criterion("probabilities", 1, "the probabilities of each image sum to 1", _right, _PROBABILITIES),
        Criterion("one_hot", 1, "the predicted class is 1, the others are 0, as floats", _right, _ONE_HOT),
        Criterion(
            "manner",
            1,
            "the teacher is used in eval mode and without gradients, and afterwards it is as it was",
            _manner,
            form=True,
        ),
    ),
    predicates={
        "train_mode": somewhere(lambda t: "train" in t.seen["modes_during"]),
        "gradients_recorded": somewhere(lambda t: "on" in t.seen["recording"]),
        "left_in_eval_mode": somewhere(lambda t: sum(t.seen["modes_after"]) < sum(t.seen["modes_before"])),
        "put_into_train_mode": somewhere(lambda t: sum(t.seen["modes_after"]) > sum(t.seen["modes_before"])),
        "one_hot_as_integers": everywhere(
            lambda t: close(t.seen["features"], t.expected["features"]) and t.seen["dtype"] == "torch.int64", *_ONE_HOT
        ),
        "predicted_numbers": everywhere(
            lambda t: close(t.seen["features"].long(), t.expected["features"].argmax(dim=1)), *_ONE_HOT
        ),
    },
)
