"""What several exercises of unit 04 share: observers, beside the learner's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Values, seeded
from course_lib.exercises.observing import dtype_name, manual_seed, two_values


def observe_draws(draw: Callable[..., Any], case: Case, first: str, second: str) -> Values:
    """The pair that `draw(images, generator=...)` gives, what else it changes, and its second value drawn twice more.

    Once more with the same generator, and once with another that begins at the same seed.
    """
    images, seed = case.inputs["images"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    pair = two_values(draw(images, generator=generator), first, second)
    pair = {key: value.clone() if isinstance(value, Tensor) else value for key, value in pair.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    next_call = two_values(draw(before.clone(), generator=generator), first, second)
    manual_seed(seed + 1)
    same_seed = two_values(draw(before.clone(), generator=seeded(seed)), first, second)
    return {
        **pair,
        f"{second}_dtype": dtype_name(pair[second]),
        f"{second}_of_next_call": next_call[second],
        f"{second}_of_same_seed": same_seed[second],
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }
