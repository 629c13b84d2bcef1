"""`pseudo_label`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, close
from course_lib.exercises.judging import in_all, in_any, ran
from course_lib.exercises.pseudo_labels_1.judge import reference_pseudo_label


def _vectors(*values: object) -> bool:
    """Whether all are tensors with one entry an image."""
    return all(isinstance(v, Tensor) and v.ndim == 1 for v in values)


def _resting_logits(case: Case) -> Tensor:
    """The logits of the case's network at rest; the judge builds the network again."""
    from course_lib.exercises.pseudo_labels_1.pseudo_label.exercise import Watched

    model = Watched(case.inputs["images"][0].numel(), case.inputs["num_classes"], case.inputs["seed"]).eval()
    with torch.no_grad():
        return model(case.inputs["images"])


def _confidences_are(trials: Sequence[Trial], of_logits: Callable[[Tensor], Tensor]) -> bool:
    found = ran(trials)
    return bool(found) and all(
        isinstance(t.seen["confidences"], Tensor) and close(t.seen["confidences"], of_logits(_resting_logits(t.case)))
        for t in found
    )


def _same_but_elsewhere(seen: object, expected: Tensor) -> bool:
    """The right numbers in another order."""
    return (
        isinstance(seen, Tensor) and seen.shape == expected.shape and not close(seen, expected)
        and close(seen.double().sort().values, expected.double().sort().values)
    )  # fmt: skip


judge = Judge(
    reference=reference_pseudo_label,
    criteria=(
        Criterion(
            "labels",
            1,
            "image i gets the class that the network at rest finds most probable, int64",
            lambda c, s, e: close(s["labels"], e["labels"]) and s["labels_dtype"] == "torch.int64",
        ),
        Criterion(
            "confidences",
            1,
            "its confidence is the probability of that class",
            lambda c, s, e: close(s["confidences"], e["confidences"]),
        ),
        Criterion(
            "at_rest",
            1,
            "the network is asked in eval mode, and none of its numbers moves",
            lambda c, s, e: (
                s["modes"] == ["eval"]
                and close(s["running_mean_after"], e["running_mean_after"])
                and s["weights_require_grad_after"] == e["weights_require_grad_after"]
            ),
        ),
        Criterion(
            "no_gradients",
            1,
            "memory is spared: no gradients are kept meanwhile (afterwards they are on again), and "
            "many images are asked in batches",
            lambda c, s, e: (
                s["gradients"] == ["off"]
                and s["confidences_graph"] == "none"
                and s["grad_mode_after"] == "on"
                and s.get("most_at_once", 0) < 2_000
            ),
        ),
        Criterion(
            "mode_restored",
            1,
            "afterwards the network, and each part of it, is in the mode that it was in",
            lambda c, s, e: (
                bool(s["modes"])
                and s["mode_after"] == c.inputs["mode_before"]
                and s["modes_of_parts"] == e["modes_of_parts"]
            ),
        ),
    ),
    predicates={
        "asked_in_train_mode": lambda trials: (
            in_any(trials, lambda t: "train" in t.seen["modes"])
            or any(t.error and "more than 1 value per channel" in t.error.text for t in trials)
        ),
        "gradients_off_for_good": lambda trials: in_any(trials, lambda t: t.seen["grad_mode_after"] == "off"),
        "gradients_on": lambda trials: in_any(trials, lambda t: t.seen["confidences_graph"] == "kept"),
        "woken_up": lambda trials: in_any(
            trials, lambda t: t.case.inputs["mode_before"] == "eval" and t.seen["mode_after"] == "train"
        ),
        "confidences_first": lambda trials: in_all(
            trials,
            lambda t: (
                close(t.seen["labels"], t.expected["confidences"])
                and close(t.seen["confidences"], t.expected["labels"])
            ),
        ),
        "labels_as_floats": lambda trials: (
            in_all(
                trials,
                lambda t: close(t.seen["labels"], t.expected["labels"]) and t.seen["labels_dtype"] != "torch.int64",
            )
            and {"dtype": ran(trials)[0].seen["labels_dtype"].removeprefix("torch.")}
        ),
        "softmax_over_images": lambda trials: in_any(
            trials, lambda t: t.case.name == "one" and close(t.seen["confidences"], torch.ones(1))
        ),
        "largest_logit": lambda trials: _confidences_are(trials, lambda z: z.max(dim=1).values),
        "in_shuffled_order": lambda trials: (
            in_any(trials, lambda t: _same_but_elsewhere(t.seen["confidences"], t.expected["confidences"]))
            and in_any(trials, lambda t: not close(t.seen["labels"], t.expected["labels"]))
        ),
        "last_batch_dropped": lambda trials: in_any(
            trials, lambda t: _vectors(t.seen["labels"]) and 0 < len(t.seen["labels"]) < len(t.expected["labels"])
        ),
        "parts_woken_up": lambda trials: in_any(
            trials,
            lambda t: (
                t.seen["mode_after"] == t.case.inputs["mode_before"]
                and t.seen["modes_of_parts"] != t.expected["modes_of_parts"]
            ),
        ),
    },
)
