"""`EarlyStopping`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning.exercise import Changing, flat, whole_numbers


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)
    a, b, c, d = (0.5 + 0.01 * torch.randperm(10, generator=generator)[:4].sort().values.double()).tolist()
    number = whole_numbers(generator)

    def case(name: str, values: list[float], patience: int, min_delta: float = 0.0, mode: str = "max") -> Case:
        options: Values = {"patience": patience, "min_delta": min_delta, "mode": mode}
        return Case(name, {"values": values, **options, "seed": 1000 * seed + 10 * len(name)})

    rise, delta, exact = [0.3 + 0.01 * k for k in range(number(0, 7))], number(8, 15) / 1000, number(2, 7) / 16
    p, q, r = number(3, 5), number(3, 5), number(3, 5)
    low, climb = [b, c, a, c, b], [a + (d - a) * k / 6 for k in range(6)]  # all below d
    gains = [b + share * delta for share in (0.4, 0.8, 1.2, 1.6)]
    return [
        case("rises_and_falls", [*rise, a, c, d, *low[:p], a, d + 0.2], p),
        case("recovers_in_time", [*rise, b, d, *low[: q - 1], d + 0.1, *low[:q], c, b], q),
        case("patience_of_one", [*rise, a, b, c, b, d], 1),
        case("plateau", [*rise, a, *[d] * (r + 2), d + 0.3], r),
        case("recovers_below_the_best", [d, *climb[:p], d + 0.3, d], p),
        case("small_gains", [b, *gains, b + 0.5], 3, delta),
        case("small_gains_are_none", [b, b + 0.2 * delta, b + 0.4 * delta, b + 0.6 * delta, b + 0.5, b], 2, delta),
        case("small_losses", [b, b - 0.4 * delta, b - 0.8 * delta, b - 0.6 * delta, b - 0.2 * delta], 2, delta),
        case("a_gain_of_min_delta", [0.25, 0.25 + exact, 0.125, 0.25 + exact, 0.25], 3, exact),
        case("a_loss", [*(2 - x for x in rise), d + 1, c + 1, a + 1, b + 1, c + 1, d + 1, a], 3, mode="min"),
        case("a_loss_with_min_delta", [d + 1, d + 0.996, a + 0.5, a + 0.496, a + 0.494, 0.0], 2, 0.01, "min"),
        case("never_stops", [*rise, a, b, c, d], 2),
        case("below_zero", [-1 - a, -1 - b, -1 - c, -1 - d, -1 - d], 3),
        case("best_at_zero", [-a, 0.0, -b, -c, -d, -a], 3),
        case("infinite_from_the_first", [math.inf] * (q + 1), q, mode="min"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs, begin = case.inputs, case.inputs["seed"]
    model, another = Changing(), Changing()
    stopping, other = (fn(inputs["patience"], min_delta=inputs["min_delta"], mode=inputs["mode"]) for _ in range(2))
    types = set()
    for number, value in enumerate(inputs["values"], start=1):
        model.set_to(begin + number)
        stop = stopping.update(value, model)
        types.add(type(stop).__name__.rstrip("_"))  # numpy's bool_ is one too
        if stop:
            break
    another.set_to(begin + 100)
    other.update(inputs["values"][0], another)  # of another training, whose best must not matter to the first
    model.set_to(begin + 101)  # training has gone on a little when the decision comes
    stopping.restore(model)
    *statistics, batches_counted = model.norm.buffers()
    restored = {"validations": number, "weights_restored": flat(model.layer.parameters())}
    restored |= {"norm_weights_restored": flat(model.norm.parameters()), "statistics_restored": flat(statistics)}
    restored |= {"batches_counted_restored": flat([batches_counted]), "types_returned": "+".join(sorted(types))}
    model.set_to(begin + 102)  # what is kept must not be what was given back
    stopping.restore(another)
    return {"weights_given_to_another": flat(another.layer.parameters()), **restored}


exercise = Exercise(
    name="EarlyStopping",
    title="Stop in time, and go back to the best weights",
    signature="EarlyStopping(patience, *, min_delta=0.0, mode='max')",
    minutes=20,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Keep three things: the best value so far, a copy of the network as it was then, and how many validations "
            "have passed since. Every new value is compared with the best one, not with the one before; if it is "
            "better by more than `min_delta`, all three start afresh."
        ),
        api="`model.state_dict()`, `copy.deepcopy` or `Tensor.clone()`, `model.load_state_dict(...)`",
        skeleton=(
            "def __init__(self, patience, *, min_delta=0.0, mode='max'):\n"
            "    self.patience, self.min_delta = patience, min_delta\n    self.sign = 1 if mode == 'max' else ...\n"
            "    self.best_value, self.best_state, self.waited = None, None, 0\n\ndef update(self, value, model):\n"
            "    value = self.sign * value\n    if self.best_value is None or value > ...:\n"
            "        self.best_value, self.waited = ...\n"
            "        self.best_state = {name: tensor....clone() for name, tensor in ...}\n    else:\n"
            "        self.waited += 1\n    return self.waited >= ...\n\n"
            "def restore(self, model):\n    model....(self.best_state)"
        ),
    ),
    takeaway=(
        "`state_dict()` is a window, not a photograph: it shows the weights as they are when you look. A best model "
        "must be copied at the moment it is best."
    ),
    cases=cases,
    observe=observe,
    on_gpu=False,
    words={
        "weights_given_to_another": "the tensor of another model's weights after `restore`",
        "validations": "the number of validations until `update` returns True",
        "types_returned": "the type of what `update` returns",
        "weights_restored": "the tensor of the weights after `restore`",
        "norm_weights_restored": "the tensor of the batch normalization's weights after `restore`",
        "statistics_restored": "the tensor of the running statistics after `restore`",
        "batches_counted_restored": "the count of batches after `restore`",
    },
    inputs_shown=("values",),
)
