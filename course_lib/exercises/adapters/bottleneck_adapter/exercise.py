"""`BottleneckAdapter`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of, manual_seed


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (3,), generator=generator).tolist()

    def case(name: str, x: Tensor, width: int) -> Case:
        dim = x.shape[-1]
        drawn = {"down": normal(width, dim), "down_bias": normal(width)}
        drawn |= {"up": normal(dim, width), "up_bias": normal(dim)}
        return Case(name, {"input": x, "width": width, **{key: value.to(x) for key, value in drawn.items()}})

    return [
        case("plain", normal(5, 4 + n[0]), 2),
        case("sequences", normal(2, 3 + n[1], 6), 3),
        case("one_row", normal(1, 3), 5),
        case("strided", normal(4, 2 + n[2], 5).transpose(0, 1), 4),
        case("double", normal(3, 7).double(), 2),
    ]


def observe(make: Callable[..., Any], case: Case) -> Values:
    given, x = case.inputs, case.inputs["input"]
    manual_seed(len(x))  # for the first weights, which are torch's own
    adapter = make(x.shape[-1], given["width"])
    if not isinstance(adapter, nn.Module):
        return {"shapes": {}, "type": type(adapter).__name__}
    adapter.to(x)
    seen: Values = {
        "shapes": {name: list(parameter.shape) for name, parameter in adapter.named_parameters()},
        "trainable": {name: int(parameter.requires_grad) for name, parameter in adapter.named_parameters()},
        "change_at_start": (adapter(x) - x).detach(),
        "start": {name: "drawn" if parameter.any() else "zeros" for name, parameter in adapter.named_parameters()},
    }
    sum(adapter(factor * x).sum() for factor in (1, -1, 9, -9)).backward()  # each ReLU is open for some of these
    grads = {name: parameter.grad for name, parameter in adapter.named_parameters()}
    seen["reached_at_start"] = sorted(name for name, grad in grads.items() if grad is not None and grad.any())
    weights = {"down.weight": "down", "down.bias": "down_bias", "up.weight": "up", "up.bias": "up_bias"}
    own = dict(adapter.named_parameters())
    with torch.no_grad():
        for name, key in weights.items():
            if name in own and own[name].shape == given[key].shape:
                own[name].copy_(given[key])
                own[name].grad = None
    leaf = x.clone().requires_grad_()
    output = adapter(leaf)
    seen["output"] = output.detach().clone()
    if output.requires_grad:
        output.square().sum().backward()
    return seen | {"x_gradient": gradient_of(leaf), "input_after": x}


exercise = Exercise(
    name="BottleneckAdapter",
    title="A small network beside the path, with a residual around it",
    signature="BottleneckAdapter(dim, width)",
    minutes=12,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "The features go down to a few numbers, through a ReLU, and up again, and the result is added to them. "
            "With zeros in the second layer the adapter begins as the identity, so the pretrained network is not "
            "disturbed."
        ),
        api="`nn.Linear`, `nn.init.zeros_`, `F.relu`",
        skeleton=(
            "self.down = nn.Linear(dim, ...)\nself.up = nn.Linear(..., dim)\n"
            "nn.init.zeros_(self.up....)\nnn.init.zeros_(self.up....)\n\nreturn x + self.up(F.relu(...))"
        ),
    ),
    takeaway=(
        "A bottleneck adapter is not linear, so it can do more than a low-rank update. It cannot be merged into a "
        "weight, so the adapted network stays a little slower."
    ),
    cases=cases,
    observe=observe,
    words={
        "shapes": "the shape of each parameter",
        "trainable": "`requires_grad` of each parameter (1 is True)",
        "change_at_start": "the difference of output and input at the start",
        "start": "the kind of numbers in each parameter at the start",
        "reached_at_start": "the list of the parameters with a gradient in the first step",
        "output": "the output with other weights",
        "x_gradient": "the gradient at the input",
        "input_after": "your argument `x` after the call",
    },
    inputs_shown=("input",),
)
