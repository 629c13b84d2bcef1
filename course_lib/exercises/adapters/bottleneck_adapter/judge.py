"""`BottleneckAdapter`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.exercises.asking import as_expected, everywhere, inputs_kept
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


class Reference(nn.Module):
    def __init__(self, dim, width):
        super().__init__()
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        for parameter in self.up.parameters():
            parameter.data = torch.zeros_like(parameter)

    def forward(self, x):
        hidden = torch.addmm(self.down.bias, x.flatten(0, -2), self.down.weight.T).clamp(min=0)
        return x + torch.addmm(self.up.bias, hidden, self.up.weight.T).view_as(x)


def _shaped(case: Case, seen: Values, expected: Values) -> bool:
    return seen["shapes"] == expected["shapes"]


def _identity(case: Case, seen: Values, expected: Values) -> bool:
    change = seen.get("change_at_start")
    same = isinstance(change, Tensor) and close(change, torch.zeros_like(change), atol=1e-6)
    return same and _shaped(case, seen, expected)


def _learns(case: Case, seen: Values, expected: Values) -> bool:
    return (
        seen["trainable"] == expected["trainable"]
        and "up.weight" in seen["reached_at_start"]
        and inputs_kept(case, seen, "input")
        and close(seen["x_gradient"], expected["x_gradient"], rtol=1e-3, atol=1e-3)
    )


_output = as_expected("output", atol=1e-4)

judge = Judge(
    reference=Reference,
    criteria=(
        Criterion("layers", 1, "`down` and `up` are linear layers with a bias, and nothing else has weights", _shaped),
        Criterion("start", 1, "at the start the output is the input", _identity),
        Criterion("output", 2, "the output is `x` plus what the two layers make of it", _output),
        Criterion("learns", 1, "a gradient reaches the second layer in the first step, and the input", _learns),
    ),
    predicates={
        "both_zero": everywhere(
            lambda t: close(t.seen["output"], t.expected["output"]) and set(t.seen["start"].values()) == {"zeros"}
        ),
        "down_zero": everywhere(
            lambda t: t.seen["start"].get("down.weight") == "zeros" and t.seen["start"].get("up.weight") == "drawn"
        ),
    },
)  # fmt: skip
