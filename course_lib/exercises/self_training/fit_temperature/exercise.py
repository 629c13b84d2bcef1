"""`fit_temperature`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, n: int, num_classes: int, temperature: float, *, spread: float = 2.0) -> Case:
        """Labels drawn from the probabilities of logits, which are then multiplied by a temperature."""
        logits = spread * torch.randn(n, num_classes, generator=generator)
        labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
        return Case(name, {"logits": temperature * logits + 1.0, "labels": labels})

    double = case("float64", 50, 4, 1.6)
    double.inputs["logits"] = double.inputs["logits"].double()
    transposed = case("transposed", 50, 5, 0.6)
    transposed.inputs["logits"] = transposed.inputs["logits"].T.contiguous().T
    return [
        case("overconfident", 80, 5, 2.5),
        case("underconfident", 80, 4, 0.4),
        case("calibrated", 60, 10, 1.0),
        double,
        transposed,
        case("very_overconfident", 80, 6, 9.0, spread=1.5),
        case("very_underconfident", 80, 3, 0.12),
        case("many_classes", 80, 40, 1.8, spread=3.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    with torch.enable_grad():
        temperature = fn(case.inputs["logits"], case.inputs["labels"])
    return {"temperature": float.__pos__(temperature) if isinstance(temperature, float) else temperature}


exercise = Exercise(
    name="fit_temperature",
    title="One number that calibrates a network",
    signature="fit_temperature(logits, labels)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "There is one unknown number, so many ways lead to it. One is gradient descent on log T, since T = exp(log "
            "T) is always positive. Another is to try many temperatures between 0.05 and 20, evenly spaced in log T, "
            "and to keep the one with the lowest loss."
        ),
        api=(
            "`F.cross_entropy(logits / temperature, labels)`, `torch.logspace`, `torch.optim.LBFGS` or `Adam`, "
            "`.item()`"
        ),
        skeleton=(
            "candidates = torch.logspace(math.log10(0.05), math.log10(20), 500)\n"
            "losses = torch.stack([F.cross_entropy(..., labels) for t in candidates])\n"
            "return candidates[losses....()].item()"
        ),
    ),
    takeaway=(
        "One number cannot change which class is predicted, only how confident the network is. It is fitted on labeled "
        "images that did not train the network."
    ),
    cases=cases,
    observe=observe,
    words={"temperature": "the temperature that you return"},
)
