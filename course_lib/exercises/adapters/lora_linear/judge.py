"""`LoRALinear`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises.adapters.judge import both_zero, drawn, flags, merges, starts, trains
from course_lib.exercises.asking import (
    as_expected,
    changed,
    everywhere,
    global_state_kept,
    in_all,
    named,
    of_this_case,
    somewhere,
)
from course_lib.exercises.contract import Criterion, Judge


class Reference(nn.Module):
    """Computes with the merged weight at every call."""

    def __init__(self, linear, rank, *, alpha=8.0, generator):
        super().__init__()
        self.linear, self.factor = linear, alpha / rank
        for parameter in linear.parameters():
            parameter.requires_grad = False
        weight = linear.weight
        drawn = torch.empty(rank, weight.shape[1]).normal_(std=weight.shape[1] ** -0.5, generator=generator)
        self.a = nn.Parameter(drawn.to(weight))
        self.b = nn.Parameter(weight.new_zeros(len(weight), rank))

    def whole(self):
        return self.linear.weight + self.factor * (self.b @ self.a)

    def forward(self, x):
        return F.linear(x, self.whole(), self.linear.bias)

    def merged(self):
        size, inside = self.linear.weight.shape
        result = nn.Linear(inside, size, bias=self.linear.bias is not None).to(self.linear.weight)
        result.weight.data = self.whole().detach()
        if self.linear.bias is not None:
            result.bias.data = self.linear.bias.detach().clone()
        return result


_SMALL = ("plain", "square", "sequences", "without_bias", "rank_one", "float64")
_updates = as_expected("output", atol=1e-4)

judge = Judge(
    reference=Reference,
    criteria=of_this_case(
        "linear_before",
        Criterion("start", 2, "the layer is kept, `b` is zero, and at the start nothing is changed", starts),
        Criterion("update", 3, "the update is the product of `b` and `a`, times alpha / rank", _updates),
        Criterion("trained", 2, "`a` and `b` are trained, and weight and bias of the layer are frozen", trains),
        Criterion("merged", 2, "`merged()` is a new linear layer with the same output", merges),
        Criterion("drawn", 1, "`a` is normal with the right spread, from the generator", drawn, ("large",), form=True),
    ),
    predicates={
        "both_zero": lambda trials: in_all(named(trials, "large"), both_zero),
        "linear_not_frozen": everywhere(lambda t: flags(t, a=1, b=1, linear_weight=1)),
        "bias_not_frozen": everywhere(lambda t: flags(t, a=1, b=1, linear_weight=0, linear_bias=1), "plain", "square"),
        "all_frozen": everywhere(lambda t: flags(t, a=0, b=0, linear_weight=0)),
        "not_parameters": everywhere(lambda t: bool(t.seen["requires_grad"]) and "b" not in t.seen["requires_grad"]),
        "global_generator": somewhere(lambda t: not global_state_kept(t.seen)),
        "merged_in_place": everywhere(
            lambda t: "weight" in changed(t.seen["linear_before"], t.seen["linear_after"]), *_SMALL
        ),
        "shared_bias": everywhere(
            lambda t: changed(t.seen["linear_before"], t.seen["linear_after"]) == {"bias"}, "plain", "square"
        ),
    },
)  # fmt: skip
