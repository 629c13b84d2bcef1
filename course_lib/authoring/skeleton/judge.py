"""`center_rows`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.contract import Criterion, Judge, close


def reference(x: Tensor) -> Tensor:
    """Another way than the answer's, so that both cannot be wrong alike."""
    return x - torch.einsum("nd->n", x)[:, None] / x.shape[1]


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("value", 2, "each row has its own mean taken away", lambda c, s, e: close(s["value"], e["value"])),
        Criterion(
            "input_kept", 1, "the input is left as it was", lambda c, s, e: close(s["x_afterwards"], c.inputs["x"])
        ),
    ),
)
