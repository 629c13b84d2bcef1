"""`pseudo_label`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import all_of, as_expected, failed_with, in_any, other_dtype, reordered, values_of
from course_lib.exercises.contract import Criterion, Judge, close
from course_lib.exercises.self_training.judge import reference_pseudo_label

_labels = as_expected("labels", "labels_dtype")
_at_rest = as_expected("modes", "running_mean_after", "weights_require_grad_after")
_no_gradients = as_expected("gradients", "confidences_graph", "grad_mode_after")
_modes = all_of(as_expected("mode_after", "modes_of_parts"), lambda c, s, e: bool(s["modes"]))

judge = Judge(
    reference=reference_pseudo_label,
    criteria=(
        Criterion("labels", 1, "image i gets the class that the network predicts in eval mode, int64", _labels),
        Criterion("confidences", 1, "its confidence is the probability of that class", as_expected("confidences")),
        Criterion("at_rest", 1, "the network is asked in eval mode, and none of its numbers moves", _at_rest),
        Criterion(
            "no_gradients",
            1,
            "memory is spared: no gradients are kept meanwhile (afterwards they are on again), and "
            "many images are asked in batches",
            all_of(_no_gradients, lambda c, s, e: s.get("most_at_once", 0) < 2_000),
            form=True,
        ),
        Criterion(
            "mode_restored",
            1,
            "afterwards the network, and each part of it, is in the mode that it was in",
            _modes,
            form=True,
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
