"""`rotate_batch`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, k: int) -> Case:
        return Case(name, {"images": images, "k": k})

    return [
        case("quarter_turn", draw(4, 1, 5, 7), 1),
        case("as_many_images_as_channels", draw(3, 3, 6, 6), 1),
        case("half_turn", draw(3, 1, 6, 4), 2),
        case("three_quarters", draw(2, 1, 4, 5), 3),
        case("no_turn", draw(3, 2, 5, 6), 0),
        case("one", draw(1, 1, 6, 6), 3),
        case("transposed", draw(2, 3, 7, 4).transpose(2, 3), 1),
        case("float64", draw(5, 2, 4, 6).double(), 1),
        case("backward", draw(2, 1, 5, 6), -1),
        case("more_than_once_around", draw(2, 1, 6, 5), 5),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    rotated = fn(images, case.inputs["k"])
    return {"rotated": rotated.clone() if isinstance(rotated, Tensor) else rotated, "images_after": images}


exercise = Exercise(
    name="rotate_batch",
    title="Turn a batch of images by quarter turns",
    signature="rotate_batch(images, k)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "A quarter turn moves every pixel within its own image and its own channel: of the four dimensions only "
            "height and width take part. Their order says which way the image turns."
        ),
        api="`torch.rot90`: what are its default `dims`, and which dimensions are they here?",
        skeleton="return torch.rot90(images, ..., dims=(..., ...))",
    ),
    takeaway=(
        "The default dims of `torch.rot90` are those of a single matrix: on a batch they turn images into channels, "
        "in silence when there are equally many of both. Name the dimensions."
    ),
    cases=cases,
    observe=observe,
    words={
        "rotated": "the tensor of images that you return",
    },
)
