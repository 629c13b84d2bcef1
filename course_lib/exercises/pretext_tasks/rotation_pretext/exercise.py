"""`rotation_pretext`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name, two_values


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform
    return [
        Case("plain", {"images": draw(5, 1, 6, 6)}),
        Case("one", {"images": draw(1, 1, 7, 7)}),
        Case("as_many_images_as_channels", {"images": draw(3, 3, 5, 5)}),
        Case("four_images", {"images": draw(4, 1, 6, 6)}),
        Case("transposed", {"images": draw(2, 2, 8, 8).transpose(2, 3)}),
        Case("float64", {"images": draw(6, 1, 4, 4).double()}),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    seen = two_values(fn(images), "x", "labels")
    return {**seen, "labels_dtype": dtype_name(seen["labels"]), "images_after": images}


exercise = Exercise(
    name="rotation_pretext",
    title="Four copies of each image, and the turn of each as its label",
    signature="rotation_pretext(images)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "The images come four times, copy after copy: first all of them upright, then all turned once, and so on. "
            "The labels stand in the same order: N zeros, N ones, N twos, N threes."
        ),
        api="`rotate_batch`, `torch.cat`, `torch.arange`, `Tensor.repeat_interleave` (not `Tensor.repeat`: compare)",
        skeleton=(
            "x = torch.cat([... for k in range(4)])  # (4N, C, H, W)\n"
            "labels = torch.arange(4, device=images.device)...  # (4N,)\n"
            "return x, labels"
        ),
    ),
    takeaway=(
        "No image had to be labeled: the answer was known because you turned the image yourself. All four copies in "
        "one batch also keep batch normalization from guessing the turn by its company."
    ),
    cases=cases,
    observe=observe,
    uses=("rotate_batch",),
    words={
        "x": "`x`, the first of the two tensors that you return,",
        "labels": "`labels`, the second of the two tensors that you return,",
    },
)
