"""What several exercises of unit 02 share: cases and observers, beside the learner's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Case


def changed(case: Case, change: Callable[[Tensor], Tensor]) -> Case:
    """The case with a change made to each of its tensors."""
    return Case(case.name, {k: change(v) if isinstance(v, Tensor) else v for k, v in case.inputs.items()})


def backward(value: Any) -> None:
    """Sends gradients back from an answer's value, if it has any."""
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()
