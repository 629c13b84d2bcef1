"""`info_nce_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 4, (6,), generator=generator).tolist()

    def case(name: str, count: int, frames: int, dim: int, temperature: float = 0.2) -> Case:
        true = normal(count, frames, dim)
        predicted = true + 0.8 * normal(count, frames, dim)
        lengths = 0.2 + 3 * uniform(2, count, frames, 1)
        given = {"predicted": predicted * lengths[0], "true": true * lengths[1], "temperature": temperature}
        return Case(name, given)

    double, strided = case("float64", 3, 5, 4, 0.5), case("strided", 8, 6, 5, 0.3)
    double.inputs.update({key: double.inputs[key].double() for key in ("predicted", "true")})
    strided.inputs.update({key: strided.inputs[key][::2] for key in ("predicted", "true")})
    return [
        case("plain", 4 + n[0], 6 + n[1], 5),
        case("square", 5, 5, 5, 0.5),
        case("warm", 3, 4 + n[2], 3 + n[3], 2.0),
        case("cold", 4, 7, 6, 0.004),
        case("one_recording", 1, 5 + n[4], 4, 0.1),
        case("one_frame", 4 + n[5], 1, 6),
        double,
        strided,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    predicted, true = (case.inputs[key].requires_grad_() for key in ("predicted", "true"))
    loss = fn(predicted, true, temperature=case.inputs["temperature"])
    seen: Values = {"loss": loss.clone() if isinstance(loss, torch.Tensor) else loss}
    if isinstance(loss, torch.Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return seen | {"predicted_gradient": gradient_of(predicted), "true_gradient": gradient_of(true)}


exercise = Exercise(
    name="info_nce_loss",
    title="Which moment of the recording comes next?",
    signature="info_nce_loss(predicted, true, *, temperature=0.1)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "It is a classification. Each predicted code has to find its own true code among all true codes of the "
            "same recording. So there is a table of F rows and F columns per recording, and the right column of row t "
            "is t."
        ),
        api=(
            "`F.normalize(..., dim=-1)`, `Tensor.transpose(1, 2)`, `@`, `torch.arange`, `Tensor.expand`, "
            "`Tensor.flatten(0, 1)`, `F.cross_entropy`"
        ),
        skeleton=(
            "p, z = F.normalize(predicted, dim=...), F.normalize(true, dim=...)\n"
            "logits = p @ z.transpose(...) / ...  # (N, F, F): row t, candidate s\n"
            "target = torch.arange(..., device=...).expand(...)  # (N, F)\n"
            "return F.cross_entropy(logits.flatten(0, 1), target.flatten())"
        ),
    ),
    takeaway=(
        "With equal codes at all frames the loss is log F. The candidates come from the same recording, so the voice, "
        "the noise and the hum are the same in all of them and do not help."
    ),
    cases=cases,
    observe=observe,
    words={
        "predicted_gradient": "the gradient with respect to `predicted`",
        "true_gradient": "the gradient with respect to `true`",
    },
)
