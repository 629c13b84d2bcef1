"""`classes_covered`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)

    def case(name: str, counts: list[int], num_classes: int, min_share: float) -> Case:
        """Logits whose highest entries fall on as many classes as `counts` has numbers, in random places."""
        classes = torch.randperm(num_classes, generator=generator)[: len(counts)]
        predicted = classes.repeat_interleave(torch.tensor(counts))
        predicted = predicted[torch.randperm(len(predicted), generator=generator)]
        logits = normal(len(predicted), num_classes)
        logits[torch.arange(len(predicted)), predicted] = logits.max(dim=1).values + 0.3
        return Case(name, {"logits": logits, "min_share": min_share})

    more = torch.randint(0, 6, (3,), generator=generator).tolist()  # classes: the answers are drawn too
    wide = case("many_classes", [60, 30, 6, 5, *more[0] * [4], 3, 1, 1], 300, 0.03)
    wide.inputs["logits"] = wide.inputs["logits"].double()
    strided = case("transposed", [9, 8, 5, 2], 6, 0.1)
    strided.inputs["logits"] = strided.inputs["logits"].T.contiguous().T
    return [
        case("plain", [70, 40, 30, 20, 3, 2, *more[1] * [5]], 12, 0.02),  # of 165 to 190: 2 and 3 are too few
        case("on_the_edge", [50 - 2 * more[2], 30, 10, 5, 2, 2, 1, *more[2] * [2]], 13, 0.02),  # 2 of 100 is enough
        case("a_quarter", [12, 8, 7, 5], 7, 0.25),  # 8 of 32 is just enough
        case("one_class", [9], 4, 0.02),
        case("square", [3, 2, 1], 6, 0.3),
        strided,
        wide,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    logits, share = case.inputs["logits"], case.inputs["min_share"]
    result = fn(logits) if share == 0.02 and case.name == "plain" else fn(logits, min_share=share)
    kind = "int" if type(result) is int else type(result).__name__
    number = result.item() if isinstance(result, Tensor) and result.numel() == 1 else result
    return {"covered": float(number) if isinstance(number, (int, float)) else number, "kind": kind}


exercise = Exercise(
    name="classes_covered",
    title="How many classes do the samples cover?",
    signature="classes_covered(logits, *, min_share=0.02)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "Each sample is predicted to be of one class. Count the samples per class, divide by the number of "
            "samples, and count the classes whose share is large enough."
        ),
        api="`Tensor.argmax(dim=1)`, `torch.bincount`, `int(...)`",
        skeleton=(
            "predicted = logits....(dim=1)  # (N, K) -> (N,)\n"
            "shares = torch.bincount(...) / len(...)\n"
            "return int((shares ... min_share).sum())"
        ),
    ),
    takeaway="The count sees a missing class. It does not see that all samples of a class are the same picture.",
    cases=cases,
    observe=observe,
    words={"covered": "the number of classes that you return", "kind": "the type of what you return"},
)
