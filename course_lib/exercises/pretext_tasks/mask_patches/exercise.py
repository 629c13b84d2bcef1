"""`mask_patches`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import dtype_name, manual_seed, two_values


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, patch_size: int, ratio: float) -> Case:
        return Case(name, {"images": images, "patch_size": patch_size, "ratio": ratio, "seed": seed + len(name)})

    def bright(*shape: int) -> Tensor:
        return 0.2 + 0.6 * draw(*shape)  # no pixel is 0 before it is hidden

    return [
        case("wide", bright(16, 1, 8, 12), 4, 0.5),
        case("square", bright(12, 1, 16, 16), 4, 0.75),
        case("color", bright(8, 3, 12, 8), 2, 0.25),
        case("tall_patches_of_three", bright(6, 1, 12, 6), 3, 0.25),
        case("one", bright(1, 1, 16, 16), 2, 0.5),
        case("transposed", bright(6, 2, 12, 8).transpose(2, 3), 4, 0.5),
        case("float64", bright(4, 1, 8, 16).double(), 2, 0.75),
        case("nothing_hidden", bright(3, 1, 8, 8), 4, 0.0),
        case("all_hidden", bright(3, 2, 8, 4), 2, 1.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, patch_size, ratio, seed = (case.inputs[key] for key in ("images", "patch_size", "ratio", "seed"))
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = two_values(fn(images, patch_size, ratio, generator=generator), "masked", "mask")
    first = {key: value.clone() if isinstance(value, Tensor) else value for key, value in first.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    second = two_values(fn(before.clone(), patch_size, ratio, generator=generator), "masked", "mask")
    manual_seed(seed + 1)
    again = two_values(fn(before.clone(), patch_size, ratio, generator=seeded(seed)), "masked", "mask")
    return {
        **first,
        "mask_dtype": dtype_name(first["mask"]),
        "mask_of_next_call": second["mask"],
        "mask_of_same_seed": again["mask"],
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


exercise = Exercise(
    name="mask_patches",
    title="Hide random patches of each image",
    signature="mask_patches(images, patch_size, ratio, *, generator)",
    minutes=15,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Think in a small grid with one cell a patch. In each row of random numbers, the cells with the lowest "
            "ranks are hidden: so exactly as many as you want, others in every image. At last each cell becomes a "
            "square of pixels."
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
)
