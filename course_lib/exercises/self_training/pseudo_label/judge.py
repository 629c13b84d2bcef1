"""`pseudo_label`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import all_of, as_expected, failed_with, in_any, other_dtype, reordered, values_of
from course_lib.exercises.contract import Criterion, Judge, close
from course_lib.exercises.self_training.judge import reference_pseudo_label

_labels = as_expected("labels", "labels_dtype")
_eval_mode = all_of(
    lambda c, s, e: bool(s["modes"]),
    as_expected("modes", "running_mean_after", "weights_require_grad_after", "mode_after", "modes_of_parts"),
    as_expected("gradients", "confidences_graph", "grad_mode_after"),
)

judge = Judge(
    reference=reference_pseudo_label,
    criteria=(
        Criterion("labels", 1, "image i gets the class that the network predicts in eval mode, int64", _labels),
        Criterion("confidences", 2, "its confidence is the probability of that class", as_expected("confidences")),
        Criterion(
            "batches",
            1,
            "the network gets many images in batches, not all at once",
            lambda c, s, e: s["most_at_once"] < 2_000,
            ("many",),
            form=True,
        ),
        Criterion(
            "eval_mode",
            1,
            "the network works in eval mode and without gradients, and afterwards it and each part of it is as it was",
            _eval_mode,
        ),
    ),
    predicates={
        "asked_in_train_mode": lambda trials: (
            in_any(trials, lambda t: "train" in t.seen["modes"]) or failed_with(trials, "more than 1 value per channel")
        ),
        "gradients_off_for_good": lambda trials: "off" in values_of(trials, "grad_mode_after"),
        "gradients_on": lambda trials: "kept" in values_of(trials, "confidences_graph"),
        "gradients_cut_afterwards": lambda trials: in_any(
            trials, lambda t: "on" in t.seen["gradients"] and t.seen["confidences_graph"] == "none"
        ),
        "woken_up": lambda trials: in_any(
            trials, lambda t: t.expected["mode_after"] != t.seen["mode_after"] == "train"
        ),
        "confidences_first": lambda trials: in_any(
            trials, lambda t: close(t.seen["labels"], t.expected["confidences"])
        ),
        "labels_as_floats": lambda trials: other_dtype(trials, "labels"),
        "softmax_over_images": lambda trials: [1.0] in [p.tolist() for p in values_of(trials, "confidences")],
        "largest_logit": lambda trials: any(p.min() < 0 and p.max() > 1 for p in values_of(trials, "confidences")),
        "in_shuffled_order": lambda trials: in_any(trials, lambda t: reordered(t, "labels", "confidences")),
        "last_batch_dropped": lambda trials: in_any(
            trials, lambda t: t.seen["labels"].ndim == 1 and 0 < len(t.seen["labels"]) < len(t.expected["labels"])
        ),
        "parts_woken_up": lambda trials: in_any(
            trials,
            lambda t: [close(t.seen[k], t.expected[k]) for k in ("mode_after", "modes_of_parts")] == [True, False],
        ),
    },
)
