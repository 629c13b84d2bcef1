"""`linear_probe`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.pretext_tasks.exercise import TEST_COUNTS, Probed, probing_sets


def cases(seed: int) -> list[Case]:
    draw = drawing(seed)

    def case(name: str, shape: tuple[int, ...], counts: Sequence[int] = TEST_COUNTS, **changes: Any) -> Case:
        inputs = probing_sets(draw, shape, counts)
        if name == "outliers_in_the_test_set":
            inputs["test_images"][:3] *= 1e5
        inputs |= {"mode_before": "train", "seed": seed + len(name), "feature_scale": 1.0, "feature_offset": 0.0}
        return Case(name, inputs | changes)

    return [
        case("plain", (1, 3, 4)),
        case("already_in_eval_mode", (3, 2, 2), mode_before="eval"),
        case("far_from_zero", (1, 2, 6), feature_scale=0.001, feature_offset=30.0),
        case("tiny", (1, 4, 3), feature_scale=1e-4),
        case("large", (3, 2, 2), feature_scale=300.0, feature_offset=-5000.0),
        case("one_class_in_the_test_set", (1, 3, 4), (0, 160, 0, 0, 0, 0)),
        case("outliers_in_the_test_set", (1, 4, 3)),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    encoder = Probed(case).to(images.device)
    encoder.train(case.inputs["mode_before"] == "train")
    before = encoder.linear.weight.detach().clone()
    with torch.enable_grad():  # an answer that switches gradients off for good does no harm outside
        accuracy = fn(encoder, images, case.inputs["labels"], case.inputs["test_images"], case.inputs["test_labels"])
        grad_mode_after = int(torch.is_grad_enabled())
    return {
        "accuracy": float(accuracy) if isinstance(accuracy, np.floating) else accuracy,  # scikit-learn's scores
        "modes": sorted(set(encoder.modes)),
        "mode_after": "train" if encoder.training else "eval",
        "weights_before": before,
        "weights_after": encoder.linear.weight,
        "running_mean_after": encoder.norm.get_buffer("running_mean"),
        "weights_require_grad_after": [int(p.requires_grad) for p in encoder.parameters()],
        "grad_mode_after": grad_mode_after,
    }


exercise = Exercise(
    name="linear_probe",
    title="What can a linear layer read from frozen features?",
    signature="linear_probe(encoder, images, labels, test_images, test_labels)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "The encoder is measured, not trained: compute its features once, in eval mode. Train one linear layer, "
            "on the features of the training images, standardized by their own mean and standard deviation. The same "
            "two numbers per feature standardize the test features."
        ),
        api=(
            "`evaluation.extract_features(encoder, images)` (in eval mode, mode restored, on the CPU) or "
            "`with eval_mode(encoder), torch.no_grad():`, `Tensor.mean(dim=0)`, `nn.Linear`, `torch.optim.Adam`, "
            "`F.cross_entropy`; or scikit-learn's `LogisticRegression`"
        ),
        skeleton=(
            "train_x, test_x = (evaluation.extract_features(encoder, x) for x in (images, test_images))\n"
            "mean, std = train_x.mean(dim=0), ...\n"
            "head = nn.Linear(train_x.shape[1], int(labels.max()) + 1)\n"
            "# some two hundred steps on the cross-entropy of head((train_x - mean) / std)\n"
            "predicted = head((... - mean) / std).argmax(dim=...)\n"
            "return (predicted == ...)...item()"
        ),
    ),
    takeaway=(
        "A probe measures the encoder only as long as nothing but the linear layer learns, and nothing but the "
        "training images teaches it."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.probe_accuracy",),
    words={
        "accuracy": "the accuracy that you return",
        "weights_before": "the encoder's weight before the call",
        "weights_after": "the encoder's weight after the call",
    },
    inputs_shown=("mode_before",),
)
