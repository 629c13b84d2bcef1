"""`federated_average`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.many_owners.exercise import as_state
from course_lib.exercises.observing import dtype_name, plain


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)

    def state(features: int, dtype: torch.dtype) -> dict[str, Tensor]:
        count = torch.randint(1, 500, (), generator=generator)
        found = {"linear.weight": normal(3, features), "linear.bias": normal(3), "norm.weight": 0.5 + uniform(3)}
        found |= {"norm.running_mean": normal(3), "norm.running_var": 0.5 + 3 * uniform(3)}
        found = {name: value.to(dtype) for name, value in found.items()}
        return found | {"norm.num_batches_tracked": count, "seen": torch.rand(4, generator=generator) < 0.5}

    def case(name: str, counts: list[int], features: int, dtype: torch.dtype = torch.float32) -> Case:
        return Case(name, {"states": [state(features, dtype) for _ in counts], "counts": counts})

    return [
        case("two_clients", [30, 10], 4),
        case("equal_counts", [20, 20, 20], 2),
        case("many_clients", [5, 40, 12, 1, 90], 3),
        case("one_client", [7], 5),
        case("a_client_without_images", [25, 0, 15], 4),
        case("float64", [3, 9, 6], 2, torch.float64),
        case("half_precision", [8, 24], 3, torch.float16),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    states = case.inputs["states"]
    average = as_state(fn(states, case.inputs["counts"]))
    seen: Values = {"average": plain(average), "states_after": plain(states)}
    named = average if isinstance(average, dict) else {}
    seen["dtypes"] = {str(name): dtype_name(value) for name, value in named.items()}
    seen["with_history"] = [name for name, value in named.items() if getattr(value, "grad_fn", None) is not None]
    for state in states:
        for value in state.values():
            value.logical_not_() if value.dtype == torch.bool else value.add_(5)  # a client trains on
    return seen | {"average_when_clients_move": average}


exercise = Exercise(
    name="federated_average",
    title="One network from the networks of all clients",
    signature="federated_average(states, counts)",
    minutes=12,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "A client with three times as many images has three times the weight, and all weights together are 1. "
            "This holds for everything with decimals, running statistics too. A whole number, such as a count of "
            "batches, cannot be averaged, so take over that of the first client."
        ),
        api="`sum`, `zip`, `Tensor.is_floating_point`, `Tensor.clone`",
        skeleton=(
            "total = sum(counts)\naverage = {}\nfor name, first in states[0].items():\n"
            "    if first.is_floating_point():\n        average[name] = sum(... for n, state in zip(counts, states))\n"
            "    else:\n        average[name] = ..."
        ),
    ),
    takeaway=(
        "After one step of plain SGD on all images of each client, this average is exactly the step on all images "
        "together. After many local steps it is an approximation, which gets worse the more the clients differ."
    ),
    cases=cases,
    observe=observe,
    may_change=("states",),
    words={
        "average": "the state that you return",
        "states_after": "the list of the clients' states after the call",
        "dtypes": "the dtype of the tensors that you return",
        "with_history": "the list of the tensors that carry a graph",
        "average_when_clients_move": "the state that you returned, when the clients train on,",
    },
)
