"""`expected_calibration_error`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, n: int, num_classes: int, num_bins: int, *, spread: float = 2.0, right: float = 0.6) -> Case:
        """Logits whose confidences keep away from the edges of bins; a share `right` of the labels is the argmax."""
        logits = spread * torch.randn(20 * n, num_classes, generator=generator)
        place = logits.softmax(dim=1).max(dim=1).values * num_bins
        logits = logits[(place - place.round()).abs() > 0.02][:n].contiguous()
        other = torch.randint(1, num_classes, (n,), generator=generator)
        wrong = torch.rand(n, generator=generator) >= right
        labels = (logits.argmax(dim=1) + wrong * other) % num_classes
        return Case(name, {"logits": logits, "labels": labels, "num_bins": num_bins})

    crossed = case("modest_when_right", 80, 3, 10, right=1.0)
    sure = crossed.inputs["logits"].softmax(dim=1).max(dim=1).values > 0.66
    crossed.inputs["labels"][sure] = (crossed.inputs["labels"][sure] + 1) % 3
    certain = case("certain", 40, 4, 10)
    certain.inputs["logits"][::3] = 200.0 * nn.functional.one_hot(certain.inputs["labels"][::3], 4).float()
    certain.inputs["labels"][::6] = (certain.inputs["labels"][::6] + 1) % 4  # certain, and half of them wrong
    edges = case("on_the_edges", 60, 4, 4)
    right, wrong = (torch.rand(25, generator=generator) for _ in range(2))
    # of one class the probability p, of the others the rest in equal shares; ten images have twice one half exactly
    p = torch.cat([0.28 + 0.2 * right, 0.52 + 0.2 * wrong])
    edges.inputs["logits"][:50] = (3 * p / (1 - p)).log()[:, None] * nn.functional.one_hot(torch.arange(50) % 4, 4)
    edges.inputs["logits"][50:] = torch.tensor([5.0, -200.0, 5.0, -200.0])
    edges.inputs["labels"] = torch.cat([torch.arange(25) % 4, torch.arange(26, 51) % 4, torch.ones(10).long()])
    double = case("float64", 50, 4, 8)
    double.inputs["logits"] = double.inputs["logits"].double()
    return [
        case("plain", 200, 5, 10, spread=1.2),
        crossed,
        case("fifteen_bins", 120, 12, 15, right=0.5),
        case("more_bins_than_images", 6, 3, 20),
        case("one", 1, 4, 10, right=0.0),
        certain,
        edges,
        double,
        case("one_bin", 60, 3, 1),
        case("many_classes", 80, 300, 10, spread=5.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    error = fn(case.inputs["logits"], case.inputs["labels"], num_bins=case.inputs["num_bins"])
    return {"error": float.__pos__(error) if isinstance(error, float) else error}


exercise = Exercise(
    name="expected_calibration_error",
    title="Does a confidence of 90 percent mean right in nine of ten?",
    signature="expected_calibration_error(logits, labels, *, num_bins=10)",
    minutes=15,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Sort the images into bins by confidence. In each bin compare two averages: the confidence of the "
            "network, and how often it was right. A bin counts by its share of the images, so an empty one counts "
            "nothing."
        ),
        api=(
            "`Tensor.softmax(dim=1)`, `Tensor.max(dim=1)`, `Tensor.ceil` or `torch.bucketize`, a mask for each bin, "
            "`Tensor.abs`, `.item()`"
        ),
        skeleton=(
            "confidences, predicted = logits.softmax(dim=1).max(dim=1)\n"
            "right = (predicted == labels).to(confidences.dtype)\n"
            "error = 0.0\n"
            "for m in range(num_bins):\n"
            "    inside = (confidences > m / num_bins) & (confidences <= ...)\n"
            "    if inside.any():\n"
            "        gap = ...\n"
            "        error += inside.sum().item() / len(labels) * gap\n"
            "return error"
        ),
    ),
    takeaway=(
        "A threshold of 0.9 promises nine right labels of ten only as far as the network is calibrated. Measure it on "
        "validation images before you trust it on images whose labels are unknown."
    ),
    cases=cases,
    observe=observe,
    words={
        "error": "the calibration error that you return",
    },
)
