"""`flip_pretext`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.pretext_tasks.exercise import observe_draws


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor) -> Case:
        return Case(name, {"images": images, "seed": seed + len(name)})

    return [
        case("many", draw(200, 1, 5, 6)),
        case("two", draw(2, 1, 3, 3)),
        case("color", draw(24, 3, 6, 4)),
        case("as_many_images_as_channels_and_pixels", draw(6, 6, 6, 6)),
        case("one", draw(1, 1, 5, 7)),
        case("transposed", draw(30, 1, 6, 5).transpose(2, 3)),
        case("float64", draw(20, 2, 4, 5).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    seen, generator = observe_draws(fn, case, "flipped", "labels"), seeded(case.inputs["seed"])
    pairs = [fn(case.inputs["images"], generator=generator) for _ in range(30 if case.name == "two" else 0)]
    return {**seen, "labels_of_more_calls": [pair[1] for pair in pairs]}


exercise = Exercise(
    name="flip_pretext",
    title="Mirrored, or upside down?",
    signature="flip_pretext(images, *, generator)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "One coin for each image. The same coin decides twice: how this image is flipped, and what its label is. "
            "So draw once, keep the result, and use it for both."
        ),
        api="`torch.randint(0, 2, (n,), generator=...)`, `Tensor.flip`, `torch.where` (give the coins four dimensions)",
        skeleton=(
            "labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)  # (N,)\n"
            "upside_down = labels[:, None, None, None] == 1  # (N, 1, 1, 1)\n"
            "flipped = torch.where(upside_down, ..., ...)\n"
            "return flipped, labels"
        ),
    ),
    takeaway=(
        "A label is only worth something when it was made by the same draw as its image. Two draws give perfect code "
        "for a task that nothing can learn."
    ),
    cases=cases,
    observe=observe,
    words={
        "flipped": "`flipped`, the first of the two tensors that you return,",
        "labels": "`labels`, the second of the two tensors that you return,",
        "labels_of_next_call": "`labels` of a second call",
        "labels_of_more_calls": "the list, by call, of `labels` in many calls",
        "labels_of_same_seed": "`labels` of a call with the same seed",
    },
)
