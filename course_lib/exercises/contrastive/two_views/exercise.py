"""`two_views`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.contrastive.exercise import Gains
from course_lib.exercises.observing import manual_seed, two_values


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)
    n = torch.randint(0, 5, (3,), generator=generator).tolist()

    def case(name: str, images: torch.Tensor) -> Case:
        return Case(name, {"images": 0.2 + images, "seed": seed + len(name)})

    return [
        case("many", uniform(200, 1, 3, 4)),
        case("color", uniform(8 + n[0], 3, 4, 2)),
        case("one", uniform(1, 1, 5, 4)),
        case("transposed", uniform(6 + n[1], 2, 5, 3).transpose(2, 3)),
        case("float64", uniform(5 + n[2], 1, 2, 3).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, seed = case.inputs["images"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator, augment = seeded(seed), Gains()
    views = two_values(fn(images, augment, generator=generator), "view1", "view2")
    seen = {name: view.clone() if isinstance(view, torch.Tensor) else view for name, view in views.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    following = two_values(fn(before.clone(), augment, generator=generator), "view1", "view2")
    manual_seed(seed + 1)
    same_seed = two_values(fn(before.clone(), augment, generator=seeded(seed)), "view1", "view2")
    return {
        **seen,
        **{f"{name}_of_next_call": view for name, view in following.items()},
        **{f"{name}_of_same_seed": view for name, view in same_seed.items()},
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


exercise = Exercise(
    name="two_views",
    title="Two augmented views of every image",
    signature="two_views(images, augment, *, generator)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept="Augment the images twice. Each call draws anew, so the views differ, but row n is image n in both.",
        api="`augment(images, generator=generator)`, which returns a new tensor of the same shape",
        skeleton="view1 = augment(..., generator=...)\nview2 = ...\nreturn view1, view2",
    ),
    takeaway=(
        "What the two views share is what the features will keep. Whatever the augmentation changes, the features are "
        "asked to ignore."
    ),
    cases=cases,
    observe=observe,
    words={
        "view1": "`view1`, the first of the two tensors that you return,",
        "view2": "`view2`, the second of the two tensors that you return,",
        "view1_of_next_call": "`view1` of a second call",
        "view2_of_next_call": "`view2` of a second call",
        "view1_of_same_seed": "`view1` of a call with the same seed",
        "view2_of_same_seed": "`view2` of a call with the same seed",
    },
)
