"""`LoRALinear`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.adapters.exercise import observe_low_rank
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()

    def case(name: str, x: Tensor, size: int, rank: int, alpha: float, *, bias: bool = True) -> Case:
        inside = x.shape[-1]
        given: Values = {"input": x, "out_features": size, "rank": rank, "alpha": alpha, "bias": bias}
        drawn = {"a": normal(rank, inside), "b": normal(size, rank), "seed": seed + rank}
        return Case(name, given | drawn)

    double = case("float64", normal(3, 6).double(), 4, 2, 5.0)
    double.inputs.update({key: double.inputs[key].double() for key in ("a", "b")})
    return [
        case("plain", normal(5, 4 + n[0]), 3 + n[1], 2, 8.0),
        case("square", normal(4, 5), 5, 3, 6.0),
        case("sequences", normal(2, 3 + n[2], 4), 7, 2, 3.0),
        case("without_bias", normal(4, 6), 3, 4, 2.0, bias=False),
        case("rank_one", normal(1, 3), 4 + n[3], 1, 0.5),
        case("large", normal(3, 400), 6, 8, 8.0),
        double,
    ]


exercise = Exercise(
    name="LoRALinear",
    title="A frozen linear layer with a trainable update of low rank",
    signature="LoRALinear(linear, rank, *, alpha=8.0, generator)",
    minutes=30,
    difficulty=3,
    points=10,
    hints=Hints(
        concept=(
            "The weight W stays, and two small matrices learn what is added to it. Their product B A has the shape of "
            "W, but at most the given rank. With B = 0 the layer begins exactly as the one it wraps, and A has to be "
            "random, because with A = 0 too no gradient would reach either of them."
        ),
        api=(
            "`linear.requires_grad_(False)`, `nn.Parameter`, `torch.randn(..., generator=generator)`, `Tensor.to`, "
            "`F.linear`, `nn.Linear(..., bias=...)`, `torch.no_grad`, `Tensor.copy_`"
        ),
        skeleton=(
            "self.linear = linear.requires_grad_(...)\n"
            "a = torch.randn(rank, linear.in_features, generator=generator) / math.sqrt(...)\n"
            "self.a = nn.Parameter(a.to(linear.weight))\n"
            "self.b = nn.Parameter(torch.zeros(..., rank).to(linear.weight))\n"
            "self.scale = alpha / ...\n\n"
            "return self.linear(x) + self.scale * F.linear(F.linear(x, ...), ...)\n\n"
            "result = nn.Linear(..., bias=self.linear.bias is not None)\n"
            "with torch.no_grad():\n    result.weight.copy_(self.linear.weight + ...)\n    ..."
        ),
    ),
    takeaway=(
        "A rank of 4 needs a few percent of the weights. After training the update is merged into the weight, so the "
        "adapted layer costs nothing more when it is used."
    ),
    cases=cases,
    observe=observe_low_rank,
    may_change=("linear",),
    words={
        "kept": "the layer in `self.linear`",
        "requires_grad": "`requires_grad` of the parameters (1 is True)",
        "a_drawn": "`self.a` at the start",
        "a_drawn_next": "`self.a` of a second layer from the same generator",
        "b_at_start": "`self.b` at the start",
        "change_at_start": "the difference of the output and that of the linear layer at the start",
        "output": "the output with other values in `a` and `b`",
        "output_after_merging": "the output after the merged layer was changed",
        "gradient_a": "the gradient at `a`",
        "gradient_b": "the gradient at `b`",
        "merged_type": "the type of what `merged()` returns",
        "merged_weight": "the weight of the merged layer",
        "merged_again": "the weight of the layer merged a second time",
        "merged_bias": "the presence of a bias in the merged layer",
        "merged_output": "the output of the merged layer",
        "linear_before": "the state of the linear layer before your code",
        "linear_after": "the state of the linear layer after merging",
    },
    inputs_shown=("input", "out_features"),
)
