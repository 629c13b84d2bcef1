"""`accuracy`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.first_steps.exercise import number_of


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)

    def whole(low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=generator))

    def case(name: str, count: int, num_classes: int, correct: int, *, dtype: torch.dtype = torch.float32) -> Case:
        """`correct` of the labels are the class with the highest logit, the others are the next class."""
        logits = 3 * normal(count, num_classes).to(dtype)
        if name == "any_size":  # rows near 0, and rows so far from it that a sigmoid is 0 or 1 everywhere
            logits = logits * torch.tensor([1.0, 0.1, 1.0])[torch.arange(count) % 3, None]
            logits += torch.tensor([40.0, 0.0, -80.0])[torch.arange(count) % 3, None]
        is_wrong = torch.randperm(count, generator=generator) >= correct
        labels = (logits.argmax(dim=1) + is_wrong.long()) % num_classes
        if name == "transposed":
            logits = logits.t().contiguous().t()
        return Case(name, {"logits": logits, "labels": labels})

    return [
        case("plain", 8, 5, whole(3, 7)),
        case("as_many_images_as_classes", 6, 6, whole(1, 5)),
        case("transposed", 12, 7, whole(2, 11)),
        case("double", 37, 10, whole(9, 34), dtype=torch.float64),
        case("any_size", 31, 300, whole(14, 28)),
        case("all_right", 5, 3, 5),
        case("one_image", 1, 4, 1),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    return {"accuracy": number_of(fn(case.inputs["logits"], case.inputs["labels"]))}


exercise = Exercise(
    name="accuracy",
    title="The share of images that are classified correctly",
    signature="accuracy(logits, labels)",
    minutes=2,
    difficulty=1,
    points=2,
    hints=Hints(
        concept=(
            "The predicted class of an image is the one with the highest logit in its row. Compare the predictions "
            "with the labels; the accuracy is the share of agreements."
        ),
        api="`Tensor.argmax(dim=...)`, `==`, `Tensor.float()`, `Tensor.mean()`, `Tensor.item()`",
        skeleton="predicted = logits.argmax(dim=...)  # (N, K) -> (N,)\nreturn (... == ...).float().mean().item()",
    ),
    takeaway="Accuracy looks only at which logit is highest: adding 100 to all of them changes nothing.",
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.accuracy",),
    words={
        "accuracy": "the accuracy that you return",
    },
)
