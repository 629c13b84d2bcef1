"""`flip_pretext`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import dtype_name, manual_seed, two_values


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor) -> Case:
        return Case(name, {"images": images, "seed": seed + len(name)})

    return [
        case("many", draw(200, 1, 5, 6)),
        case("color", draw(24, 3, 6, 4)),
        case("as_many_images_as_channels_and_pixels", draw(6, 6, 6, 6)),
        case("one", draw(1, 1, 5, 7)),
        case("transposed", draw(30, 1, 6, 5).transpose(2, 3)),
        case("float64", draw(20, 2, 4, 5).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, seed = case.inputs["images"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = two_values(fn(images, generator=generator), "flipped", "labels")
    first = {key: value.clone() if isinstance(value, Tensor) else value for key, value in first.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    second = two_values(fn(before.clone(), generator=generator), "flipped", "labels")
    manual_seed(seed + 1)
    again = two_values(fn(before.clone(), generator=seeded(seed)), "flipped", "labels")
    return {
        **first,
        "labels_dtype": dtype_name(first["labels"]),
        "labels_of_next_call": second["labels"],
        "labels_of_same_seed": again["labels"],
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


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
)
