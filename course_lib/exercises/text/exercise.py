"""What several exercises of unit 09 share: texts as numbers of words, and an observer of draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Values, seeded
from course_lib.exercises.observing import dtype_name, manual_seed, two_values

SPECIAL = 3  # 0 is <pad>, 1 <mask>, 2 <unknown>


def texts(generator: torch.Generator, count: int, length: int, size: int, *, padded: bool = True) -> Tensor:
    """Numbers of words (count, length) below `size`, some unknown; each row ends with padding, the first excepted."""
    ids = torch.randint(SPECIAL, size, (count, length), generator=generator)
    ids[torch.rand(count, length, generator=generator) < 0.1] = SPECIAL - 1
    if padded:
        ends = torch.randint(1, length, (count, 1), generator=generator)
        ends[0] = length
        ids[torch.arange(length) >= ends] = 0
    return ids


def observe_pairs(draw: Callable[[torch.Generator], Any], seed: int, first: str, second: str) -> Values:
    """The pair that `draw(generator)` gives, and its second value drawn again.

    Once more with the same generator, and once with another that begins at the same seed.
    """
    global_before, generator = torch.get_rng_state(), seeded(seed)
    pair = two_values(draw(generator), first, second)
    pair = {key: value.clone() if isinstance(value, Tensor) else value for key, value in pair.items()}
    global_after = torch.get_rng_state()
    next_call = two_values(draw(generator), first, second)[second]
    manual_seed(seed + 1)
    same_seed = two_values(draw(seeded(seed)), first, second)[second]
    return {
        **pair,
        f"{second}_dtype": dtype_name(pair[second]),
        f"{second}_of_next_call": next_call,
        f"{second}_of_same_seed": same_seed,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }
