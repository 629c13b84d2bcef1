"""`LoRALinear`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.exercises.asking import as_expected, changed, everywhere, global_state_kept, in_all, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


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


def _nothing_at_start(seen: Values) -> bool:
    b = seen.get("b_at_start")
    change = seen.get("change_at_start")
    return isinstance(b, Tensor) and not b.any() and isinstance(change, Tensor) and close(change, 0 * change)


def _starts(case: Case, seen: Values, expected: Values) -> bool:
    return _nothing_at_start(seen) and seen["kept"] == expected["kept"]


def _is_normal(a: object, case: Case) -> bool:
    """Mean 0 and standard deviation 1 / sqrt(in_features), as far as some thousand numbers show it."""
    if not isinstance(a, Tensor) or a.shape != case.inputs["a"].shape:
        return False
    scaled = a.double() * math.sqrt(a.shape[1])
    tails = float((scaled.abs() > 2).double().mean())  # 4.6 % of a normal distribution
    return abs(float(scaled.mean())) < 0.1 and abs(float(scaled.std()) - 1) < 0.1 and 0.025 < tails < 0.07


def _drawn(case: Case, seen: Values, expected: Values) -> bool:
    a, following = seen.get("a_drawn"), seen.get("a_drawn_next")
    return (
        global_state_kept(seen)
        and _is_normal(a, case)
        and _is_normal(following, case)
        and not close(a, following)
    )


def _trains(case: Case, seen: Values, expected: Values) -> bool:
    return seen["requires_grad"] == expected["requires_grad"] and all(
        close(seen.get(key), expected[key], rtol=1e-3, atol=1e-3) for key in ("gradient_a", "gradient_b")
    )


def _merges(case: Case, seen: Values, expected: Values) -> bool:
    keys = ("merged_type", "merged_weight", "merged_again", "merged_bias", "merged_output", "output_after_merging")
    right = all(close(seen.get(key), expected[key], rtol=1e-3, atol=1e-4) for key in keys)
    return right and not changed(seen["linear_before"], seen["linear_after"])


def _flags(t: Trial, **wanted: int) -> bool:
    return all(t.seen["requires_grad"].get(name.replace("_", ".")) == flag for name, flag in wanted.items())


def _both_zero(t: Trial) -> bool:
    return _nothing_at_start(t.seen) and isinstance(t.seen["a_drawn"], Tensor) and not t.seen["a_drawn"].any()


judge = Judge(
    reference=Reference,
    criteria=(
        Criterion("start", 2, "the layer is kept, `b` is zero, and at the start nothing is changed", _starts),
        Criterion("update", 3, "the update is the product of `b` and `a`, times alpha / rank", _updates),
        Criterion("trained", 2, "`a` and `b` are trained, and weight and bias of the layer are frozen", _trains),
        Criterion("merged", 2, "`merged()` is a new linear layer with the same output", _merges),
        Criterion("drawn", 1, "`a` is normal with the right spread, from the generator", _drawn, ("large",), form=True),
    ),
    predicates={
        "both_zero": lambda trials: in_all(named(trials, "large"), _both_zero),
        "linear_not_frozen": everywhere(lambda t: _flags(t, a=1, b=1, linear_weight=1)),
        "bias_not_frozen": everywhere(lambda t: _flags(t, a=1, b=1, linear_weight=0, linear_bias=1), "plain", "square"),
        "all_frozen": everywhere(lambda t: _flags(t, a=0, b=0, linear_weight=0)),
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
