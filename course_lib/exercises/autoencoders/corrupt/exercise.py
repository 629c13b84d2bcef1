"""`corrupt`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import manual_seed


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, noise: float) -> Case:
        return Case(name, {"images": images, "noise": noise, "seed": seed + len(name)})

    return [
        case("gray", 0.45 + 0.1 * draw(8, 1, 24, 20), 0.05),
        case("same_image", (0.4 + 0.2 * draw(1, 3, 16, 12)).repeat(6, 1, 1, 1), 0.05),
        case("dark_and_bright", draw(6, 1, 16, 12).round(), 0.4),
        case("no_noise", draw(3, 1, 6, 5), 0.0),
        case("one", 0.4 + 0.2 * draw(1, 1, 28, 28), 0.04),
        case("transposed", (0.4 + 0.2 * draw(4, 1, 20, 14)).transpose(2, 3), 0.05),
        case("strong", 0.3 + 0.4 * draw(8, 1, 12, 12), 1.0),
        case("float16", (0.45 + 0.1 * draw(6, 1, 18, 14)).half(), 0.05),
        case("float64", (0.4 + 0.2 * draw(4, 1, 18, 14)).double(), 0.05),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, noise, seed = case.inputs["images"], case.inputs["noise"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = fn(images, noise, generator=generator)
    memory = first.untyped_storage().data_ptr() if isinstance(first, Tensor) else 0
    first = first.clone() if isinstance(first, Tensor) else first  # it may be the input itself
    global_after = torch.get_rng_state()
    images_after = images.clone()
    second = fn(before.clone(), noise, generator=generator)
    manual_seed(seed + 1)
    again = fn(before.clone(), noise, generator=seeded(seed))
    return {
        "corrupted": first,
        "next_call": second,
        "same_seed": again,
        "memory_of_the_images": int(memory == images.untyped_storage().data_ptr()),
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


exercise = Exercise(
    name="corrupt",
    title="Add Gaussian noise, and stay an image",
    signature="corrupt(images, noise, *, generator)",
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "Every pixel of every image gets a random number of its own, drawn from a normal distribution with "
            "standard deviation `noise`. What leaves the range from 0 to 1 is cut off. The clean images are still "
            "needed later."
        ),
        api="`torch.randn(shape, generator=...)`, `Tensor.to`, `Tensor.clamp`",
        skeleton=(
            "epsilon = torch.randn(..., generator=generator)  # drawn on the CPU\n"
            "epsilon = epsilon.to(images)                     # the images' device and dtype\n"
            "return (... + ...).clamp(...)"
        ),
    ),
    takeaway=(
        "Fresh noise for every pixel, from a generator that you pass: the run can be repeated, and the clean images "
        "are still there to serve as the target."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.data.augment.gaussian_noise",),
    words={
        "corrupted": "the tensor of images that you return",
        "memory_of_the_images": "whether your result shares memory with `images` (1 is yes)",
    },
)
