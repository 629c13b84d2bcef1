"""`linear_probe`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, drawing, seeded


class _Probed(nn.Module):
    """Images to features, through batch normalization and dropout: a record of modes shows who forgot to freeze."""

    def __init__(self, pixels: int, feature_dim: int, case: Case) -> None:
        super().__init__()
        generator = seeded(case.inputs["seed"])
        self.linear = nn.Linear(pixels, feature_dim)
        self.norm = nn.BatchNorm1d(feature_dim)
        self.dropout = nn.Dropout(0.4)
        self.modes: list[str] = Diary()
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(feature_dim, pixels, generator=generator) / pixels**0.5)
            self.linear.bias.copy_(torch.randn(feature_dim, generator=generator))
            # running statistics far from those of any batch, so that the mode is seen in the features
            self.norm.get_buffer("running_mean").copy_(torch.randn(feature_dim, generator=generator))
            self.norm.get_buffer("running_var").copy_(0.1 + torch.rand(feature_dim, generator=generator))
        self.factor, self.offset = case.inputs["feature_scale"], case.inputs["feature_offset"]

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.norm.training else "eval")
        features = self.dropout(self.norm(self.linear(x.flatten(1))))
        return self.factor * features + self.offset


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)

    def case(
        name: str, num_classes: int, shape: tuple[int, int, int], mode: str = "train", *, scale: float = 1.0,
        offset: float = 0.0, only_class: int | None = None,
    ) -> Case:  # fmt: skip
        """Classes that any linear layer tells apart; but a share of the test labels is another class on purpose."""
        patterns = draw(num_classes, *shape)
        counts = {"train": 12 * num_classes, "test": 20 * num_classes}
        images, labels = {}, {}
        for part, count in counts.items():
            order = torch.randperm(count, generator=generator)
            targets = torch.arange(num_classes).repeat(count // num_classes)[order]
            if part == "test" and only_class is not None:
                targets = torch.full_like(targets, only_class)
            images[part] = patterns[targets] + 0.04 * torch.randn(count, *shape, generator=generator)
            wrong = torch.arange(count) % 4 == 0 if part == "test" else torch.zeros(count, dtype=torch.bool)
            labels[part] = torch.where(wrong, (targets + 1) % num_classes, targets)
        inputs: Values = {"images": images["train"], "labels": labels["train"]}
        inputs |= {"test_images": images["test"], "test_labels": labels["test"], "mode_before": mode}
        return Case(name, {**inputs, "seed": seed + len(name), "feature_scale": scale, "feature_offset": offset})

    return [
        case("plain", 3, (1, 6, 5)),
        case("already_in_eval_mode", 4, (1, 5, 6), "eval"),
        case("far_from_zero", 3, (3, 4, 4), scale=0.001, offset=30.0),
        case("one_class_in_the_test_set", 3, (1, 6, 6), only_class=1),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    encoder = _Probed(images[0].numel(), 48, case).to(images.device)
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
)
