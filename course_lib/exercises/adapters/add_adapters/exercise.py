"""`add_adapters`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.adapters.exercise import Wrapped, network_of, requires_grad, with_drawn_weights
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import state_of

MOST_CALLS = 40


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()
    kinds = ("flat", "own_layers", "images", "subclass", "tied")
    sizes = {kind: (3 + extra, 2 + number) for number, (kind, extra) in enumerate(zip(kinds, [*n, 1]))}
    return [
        Case(kind, {"input": normal(rows, width), "kind": kind, "seed": seed + width})
        for kind, (width, rows) in sizes.items()
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    x = case.inputs["input"]
    model = with_drawn_weights(network_of(case.inputs["kind"], x.shape[1]), case.inputs["seed"])
    before, names = state_of(model), {id(layer): name for name, layer in model.named_modules()}
    given: list[str] = []

    def make(layer: nn.Module) -> nn.Module:
        given.append(names.get(id(layer), f"another {type(layer).__name__}"))
        if len(given) > MOST_CALLS:
            raise RuntimeError(f"make was called more than {MOST_CALLS} times")
        return Wrapped(layer)

    returned = fn(model, make)
    layers = {name: type(layer).__name__ for name, layer in model.named_modules(remove_duplicate=False)}
    learning = {name.replace(".layer.", "."): flag for name, flag in requires_grad(model).items()}
    now = {name.replace(".layer.", "."): value for name, value in state_of(model).items()}
    return {
        "returned": returned if isinstance(returned, int) else type(returned).__name__,
        "given": sorted(given),
        "layers": layers,
        "old_trainable": sorted(name for name, flag in learning.items() if flag and not name.endswith(".factor")),
        "new_trainable": sorted(name for name, flag in learning.items() if flag and name.endswith(".factor")),
        "moved": sorted(name for name in before if name not in now or not torch.equal(now[name], before[name])),
        "output": model(x).detach(),
        "before": before,
    }


exercise = Exercise(
    name="add_adapters",
    title="Put an adapter in the place of every linear layer",
    signature="add_adapters(model, make)",
    minutes=15,
    difficulty=2,
    points=6,
    hints=Hints(
        concept=(
            "Freeze first, since the new parameters should stay trainable. Then list all modules with their names, "
            "because the list must not grow while you replace. The part of a name before the last dot is the parent, "
            "and the rest is the name under which the parent holds the layer."
        ),
        api=(
            "`model.named_modules(remove_duplicate=False)` names a shared layer at each of its places, "
            '`model.get_submodule(name)` ("" is the model itself), `str.rpartition(".")`, `setattr`'
        ),
        skeleton=(
            "model.requires_grad_(...)\nmade = {}\n"
            "for name, layer in list(model.named_modules(remove_duplicate=False)):\n"
            "    if isinstance(layer, nn.Linear):\n"
            '        parent, _, own = name.rpartition(".")\n'
            "        if layer not in made:\n            made[layer] = ...\n"
            "        setattr(model.get_submodule(...), own, ...)\nreturn len(...)"
        ),
    ),
    takeaway=(
        "A model is changed from outside, without a line of its code. Libraries for adapters work in this way, and "
        "choose the layers by their names."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),
    words={
        "before": "the state of the model before your code",
        "returned": "the number that you return",
        "given": "the list of the layers that `make` was called with",
        "layers": "the type of each layer of the model after the call",
        "old_trainable": "the list of the model's own parameters that still require a gradient",
        "new_trainable": "the list of the adapters' parameters that require a gradient",
        "moved": "the list of the weights that the call has changed or lost",
        "output": "the output of the model after the call",
    },
    inputs_shown=("kind", "input"),
)
