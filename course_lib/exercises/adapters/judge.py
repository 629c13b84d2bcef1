"""What is asked of `LoRALinear`: tests of its criteria, and of its known mistakes."""

from __future__ import annotations

import math

from torch import Tensor

from course_lib.exercises.asking import changed, global_state_kept
from course_lib.exercises.contract import Case, Trial, Values, close


def nothing_at_start(seen: Values) -> bool:
    b = seen.get("b_at_start")
    change = seen.get("change_at_start")
    return isinstance(b, Tensor) and not b.any() and isinstance(change, Tensor) and close(change, 0 * change)


def starts(case: Case, seen: Values, expected: Values) -> bool:
    return nothing_at_start(seen) and seen["kept"] == expected["kept"]


def _is_normal(a: object, case: Case) -> bool:
    """Mean 0 and standard deviation 1 / sqrt(in_features), as far as some thousand numbers show it."""
    if not isinstance(a, Tensor) or a.shape != case.inputs["a"].shape:
        return False
    scaled = a.double() * math.sqrt(a.shape[1])
    tails = float((scaled.abs() > 2).double().mean())  # 4.6 % of a normal distribution
    return abs(float(scaled.mean())) < 0.1 and abs(float(scaled.std()) - 1) < 0.1 and 0.025 < tails < 0.07


def drawn(case: Case, seen: Values, expected: Values) -> bool:
    a, following = seen.get("a_drawn"), seen.get("a_drawn_next")
    return (
        global_state_kept(seen)
        and _is_normal(a, case)
        and _is_normal(following, case)
        and not close(a, following)
    )


def trains(case: Case, seen: Values, expected: Values) -> bool:
    return seen["requires_grad"] == expected["requires_grad"] and all(
        close(seen.get(key), expected[key], rtol=1e-3, atol=1e-3) for key in ("gradient_a", "gradient_b")
    )


def merges(case: Case, seen: Values, expected: Values) -> bool:
    keys = ("merged_type", "merged_weight", "merged_again", "merged_bias", "merged_output", "output_after_merging")
    right = all(close(seen.get(key), expected[key], rtol=1e-3, atol=1e-4) for key in keys)
    return right and not changed(seen["linear_before"], seen["linear_after"])


def flags(t: Trial, **wanted: int) -> bool:
    return all(t.seen["requires_grad"].get(name.replace("_", ".")) == flag for name, flag in wanted.items())


def both_zero(t: Trial) -> bool:
    return nothing_at_start(t.seen) and isinstance(t.seen["a_drawn"], Tensor) and not t.seen["a_drawn"].any()
