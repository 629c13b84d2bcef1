"""`mask_patches`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.pretext_tasks.exercise import observe_draws


def cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)
    n = torch.randint(0, 3, (5,), generator=generator).tolist()  # which ratio

    def case(name: str, images: Tensor, patch_size: int, ratio: float) -> Case:
        return Case(name, {"images": images, "patch_size": patch_size, "ratio": ratio, "seed": seed + len(name)})

    def bright(*shape: int) -> Tensor:
        return 0.2 + 0.6 * draw(*shape)  # no pixel is 0 before it is hidden

    return [
        case("wide", bright(16, 1, 8, 12), 4, (0.2, 0.3, 0.45, 0.6)[n[0]]),
        case("square", bright(12, 1, 16, 16), 4, (0.3, 0.55, 0.8)[n[1]]),
        case("color", bright(8, 3, 12, 8), 2, (0.25, 0.45, 0.7)[n[2]]),
        case("tall_patches_of_three", bright(6, 1, 12, 6), 3, (0.25, 0.5, 0.6)[n[3]]),
        case("one", bright(1, 1, 16, 16), 2, 0.5),
        case("transposed", bright(6, 2, 12, 8).transpose(2, 3), 4, 0.5),
        case("float64", bright(4, 1, 8, 16).double(), 2, 0.75),
        case("half_a_patch", bright(4, 1, 8, 8), 4, (0.125, 0.625)[n[4] % 2]),
        case("black", draw(4, 1, 8, 8).round(), 4, 0.5),
        case("nothing_hidden", bright(3, 1, 8, 8), 4, 0.0),
        case("all_hidden", bright(3, 2, 8, 4), 2, 1.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    size, ratio = case.inputs["patch_size"], case.inputs["ratio"]
    return observe_draws(lambda images, generator: fn(images, size, ratio, generator=generator), case, "masked", "mask")


exercise = Exercise(
    name="mask_patches",
    title="Hide random patches of each image",
    signature="mask_patches(images, patch_size, ratio, *, generator)",
    minutes=15,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Think in a small grid with one cell per patch. In each row of random numbers, the cells with the lowest "
            "ranks are hidden. This hides exactly the right number, in different places for each image. Finally, "
            "enlarge each cell to a square of pixels."
        ),
        api=(
            "`torch.rand(n, cells, generator=...)`, `Tensor.argsort` (twice gives ranks), `Tensor.reshape`, "
            "`Tensor.repeat_interleave(size, dim=...)`, `Tensor.masked_fill`"
        ),
        skeleton=(
            "rows, columns = images.shape[2] // patch_size, ...\n"
            "rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)\n"
            "hidden = (rank < round(...)).reshape(-1, 1, rows, columns).to(images.device)  # (N, 1, rows, columns)\n"
            "mask = hidden.repeat_interleave(patch_size, dim=...)...  # (N, 1, H, W)\n"
            "return images.masked_fill(...), mask"
        ),
    ),
    takeaway=(
        "Whole patches, not single pixels: a lone missing pixel is the mean of its neighbors, and nothing about "
        "shapes need be known to fill it in."
    ),
    cases=cases,
    observe=observe,
    words={
        "masked": "`masked`, the first of the two tensors that you return,",
        "mask": "`mask`, the second of the two tensors that you return,",
        "mask_of_next_call": "`mask` of a second call",
        "mask_of_same_seed": "`mask` of a call with the same seed",
    },
)
