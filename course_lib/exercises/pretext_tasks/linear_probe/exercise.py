"""`linear_probe`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, drawing


class _Encoder(nn.Module):
    """Images to features, through batch normalization and dropout; it notes the mode of each call."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        _, uniform, normal = drawing(case.inputs["seed"])
        pixels = case.inputs["images"][0].numel()
        self.linear, self.norm, self.dropout = nn.Linear(pixels, 48), nn.BatchNorm1d(48), nn.Dropout(0.4)
        self.scale, self.offset = case.inputs["feature_scale"], case.inputs["feature_offset"]
        self.modes: list[str] = Diary()
        self.linear.weight = nn.Parameter(normal(48, pixels) / pixels**0.5)
        self.linear.bias = nn.Parameter(normal(48))
        # running statistics far from those of any batch, so that the mode is seen in the features
        self.norm.running_mean, self.norm.running_var = normal(48), 0.1 + uniform(48)

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.norm.training else "eval")
        return self.scale * self.dropout(self.norm(self.linear(x.flatten(1)))) + self.offset


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)

    def part(patterns: Tensor, per_class: int, only_class: int | None = None) -> tuple[Tensor, Tensor]:
        """Images that any linear layer tells apart, and their classes."""
        classes = torch.arange(len(patterns)).repeat(per_class)
        classes = classes[torch.randperm(len(classes), generator=generator)]
        if only_class is not None:
            classes = torch.full_like(classes, only_class)
        return patterns[classes] + 0.04 * normal(len(classes), *patterns.shape[1:]), classes

    def case(name: str, shape: tuple[int, ...], *, only_class: int | None = None, **changes: Any) -> Case:
        patterns = uniform(*shape)
        images, labels = part(patterns, 12)
        test_images, classes = part(patterns, 20, only_class)
        wrong = torch.arange(len(classes)) % 4 == 0  # no probe that was not told the test labels is right there
        test_labels = torch.where(wrong, (classes + 1) % len(patterns), classes)
        inputs: Values = {"images": images, "labels": labels, "test_images": test_images, "test_labels": test_labels}
        inputs |= {"mode_before": "train", "seed": seed + len(name), "feature_scale": 1.0, "feature_offset": 0.0}
        return Case(name, inputs | changes)

    return [
        case("plain", (3, 1, 6, 5)),
        case("already_in_eval_mode", (4, 1, 5, 6), mode_before="eval"),
        case("far_from_zero", (3, 3, 4, 4), feature_scale=0.001, feature_offset=30.0),
        case("one_class_in_the_test_set", (3, 1, 6, 6), only_class=1),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    encoder = _Encoder(case).to(images.device)
    encoder.train(case.inputs["mode_before"] == "train")
    before = encoder.linear.weight.detach().clone()
    with torch.enable_grad():  # an answer that switches gradients off for good harms nobody else
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
            "The encoder is measured, not trained: its features are computed once, at rest. What is trained is one "
            "linear layer, on the features of the training images, standardized by their own mean and deviation. The "
            "same two numbers a feature standardize the test features."
        ),
        api=(
            "`evaluation.extract_features(encoder, images)` (at rest, mode restored, on the CPU), `Tensor.mean(dim=0)`,"
            " `nn.Linear`, `torch.optim.Adam`, `F.cross_entropy`; or scikit-learn's `LogisticRegression`"
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
    library=("course_lib.evaluation.linear_probe",),
    words={
        "accuracy": "the accuracy that you return",
        "weights_before": "the encoder's weight before the call",
        "weights_after": "the encoder's weight after the call",
    },
    inputs_shown=("mode_before",),
)
