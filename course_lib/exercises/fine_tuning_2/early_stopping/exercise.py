"""`EarlyStopping`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning_2.exercise import flat


class _Trained(nn.Module):
    """Stands for a network in training: every weight and statistic is the number of the validation it was seen at."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)

    def set_to(self, number: float) -> None:
        with torch.no_grad():
            for value in self.state_dict().values():
                value.fill_(number)


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)
    a, b, c, d = (0.5 + 0.01 * torch.randperm(10, generator=generator)[:4].sort().values.double()).tolist()

    def case(name: str, values: list[float], patience: int, min_delta: float = 0.0, mode: str = "max") -> Case:
        return Case(name, {"values": values, "patience": patience, "min_delta": min_delta, "mode": mode})

    return [
        case("rises_and_falls", [a, c, d, b, c, a, a, d + 0.2], 3),
        case("recovers_in_time", [b, d, a, c, d + 0.1, a, b, a, c, b], 3),
        case("patience_of_one", [a, b, c, b, d], 1),
        case("plateau", [a, d, d, d, d, d, d + 0.3], 3),
        case("recovers_below_the_best", [d, a, b, c, d + 0.3, d], 3),
        case("small_gains", [b, b + 0.004, b + 0.008, b + 0.012, b + 0.016, b + 0.5], 3, 0.01),
        case("small_gains_are_none", [b, b + 0.002, b + 0.004, b + 0.006, b + 0.5, b], 2, 0.01),
        case("small_losses", [b, b - 0.004, b - 0.008, b - 0.006, b - 0.002], 2, 0.01),
        case("a_loss", [d + 1, c + 1, a + 1, b + 1, c + 1, d + 1, a], 3, mode="min"),
        case("a_loss_with_min_delta", [d + 1, d + 0.996, a + 0.5, a + 0.496, a + 0.494, 0.0], 2, 0.01, "min"),
        case("never_stops", [a, b, c, d], 2),
        case("below_zero", [-1 - a, -1 - b, -1 - c, -1 - d, -1 - d], 3),
        case("best_at_zero", [-a, 0.0, -b, -c, -d, -a], 3),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    model = _Trained()
    stopping = fn(inputs["patience"], min_delta=inputs["min_delta"], mode=inputs["mode"])
    for number, value in enumerate(inputs["values"], start=1):
        model.set_to(number)
        if stopping.update(value, model):
            break
    model.set_to(99)  # training has gone on a little when the decision comes
    stopping.restore(model)
    *statistics, batches_counted = model.norm.buffers()
    restored = {
        "validations": number,
        "weights_restored": flat(model.layer.parameters()),
        "norm_weights_restored": flat(model.norm.parameters()),
        "statistics_restored": flat(statistics),
        "batches_counted_restored": flat([batches_counted]),
    }
    model.set_to(77)  # what is kept must not be what was given back
    another = _Trained()
    another.set_to(55)
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
            "    self.patience, self.min_delta = patience, min_delta\n"
            "    self.sign = 1 if mode == 'max' else ...\n"
            "    self.best_value, self.best_state, self.waited = None, None, 0\n"
            "\n"
            "def update(self, value, model):\n"
            "    value = self.sign * value\n"
            "    if self.best_value is None or value > ...:\n"
            "        self.best_value, self.waited = ...\n"
            "        self.best_state = {name: tensor....clone() for name, tensor in ...}\n"
            "    else:\n"
            "        self.waited += 1\n"
            "    return self.waited >= ...\n"
            "\n"
            "def restore(self, model):\n"
            "    model....(self.best_state)"
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
        "weights_given_to_another": "the tensor of the weights that `restore` puts into another model",
        "validations": "the number of validations until `update` returns True",
        "weights_restored": "the tensor of the weights after `restore`",
        "norm_weights_restored": "the tensor of the batch normalization's weights after `restore`",
        "statistics_restored": "the tensor of the running statistics after `restore`",
        "batches_counted_restored": "the count of batches after `restore`",
    },
    inputs_shown=("values",),
)
