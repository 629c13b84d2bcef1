"""`optimism`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import number_and_kind


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)

    def drawn(draws: int, count: int, images: int) -> Tensor:
        return torch.stack([torch.randperm(images, generator=generator)[:count] for _ in range(draws)])

    def case(name: str, tried: int, images: int, draws: int, count: int, spread: float = 0.2) -> Case:
        worth = 0.65 + spread * (uniform(tried, 1) - 0.5)
        return Case(name, {"right": uniform(tried, images) < worth, "drawn": drawn(draws, count, images)})

    some = int(torch.randint(0, 9, (), generator=generator))
    equal = case("equally_good_on_the_test", 5, 40, 6, 3, spread=0.9)
    transposed = case("transposed", 30, 30, 5, 7)
    transposed.inputs["right"] = transposed.inputs["right"].T
    return [
        case("plain", 8, 70 + some, 9, 12),
        case("half_of_the_images", 6, 80, 7, 40),
        case("one_configuration", 1, 50, 8, 10),
        case("one_draw", 9, 60 + some, 1, 15),
        case("one_image_drawn", 4, 20, 12, 1),
        case("one_image_left", 5, 16, 10, 15),
        case("very_different", 7, 90, 8, 20, spread=0.7),
        equal,
        transposed,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    result = fn(case.inputs["right"], case.inputs["drawn"])
    return dict(zip(("optimism", "kind"), number_and_kind(result), strict=True))


exercise = Exercise(
    name="optimism",
    title="How much the accuracy of the best of many overstates",
    signature="optimism(right, drawn)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "For each draw, compute the accuracy of every configuration on the drawn images. Take the best one. Its "
            "accuracy on the images that were not drawn is what it is worth, because these did not choose it. The "
            "optimism of this draw is the difference, and the result is the mean over the draws."
        ),
        api="`torch.ones(N, dtype=torch.bool)`, `mask[positions] = False`, `Tensor.mean(dim=1)`, `Tensor.argmax()`",
        skeleton=(
            "gaps = []\n"
            "for positions in drawn:\n"
            "    others = torch.ones(right.shape[1], dtype=torch.bool)\n"
            "    others[...] = False\n"
            "    here = right[:, positions].float().mean(dim=...)  # (K,)\n"
            "    best = here....()\n"
            "    gaps.append(here[best] - right[best, ...].float().mean())\n"
            "return torch.stack(gaps)....item()"
        ),
    ),
    takeaway=(
        "The best of many was chosen for its luck as well, and luck does not stay. The more configurations and the "
        "smaller the test, the more luck is in the best number."
    ),
    cases=cases,
    observe=observe,
    words={"optimism": "the number that you return", "kind": "the type of what you return"},
)
