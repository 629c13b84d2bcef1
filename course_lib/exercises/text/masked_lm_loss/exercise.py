"""`masked_lm_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of
from course_lib.exercises.text.exercise import texts


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()

    def case(name: str, count: int, length: int, size: int, share: float = 0.4) -> Case:
        ids = texts(generator, count, length, size)
        chosen = (uniform(count, length) < share) & (ids > 2)
        ids[0, :2], chosen[0, :2] = torch.tensor([size - 1, 3]), torch.tensor([True, False])  # some of both
        return Case(name, {"logits": 2 * normal(count, length, size), "ids": ids, "chosen": chosen})

    double, large, nothing = case("float64", 3, 6, 9), case("large_logits", 4, 5, 8), case("nothing_chosen", 3, 5, 7)
    double.inputs["logits"] = double.inputs["logits"].double()
    large.inputs["logits"] *= 100
    nothing.inputs["chosen"].fill_(False)
    uneven, strided = case("uneven", 5, 9, 10 + n[0], 0.1), case("strided", 4, 12, 9)
    uneven.inputs["chosen"][0] = uneven.inputs["ids"][0] > 0
    strided.inputs.update({key: value[:, ::2] for key, value in strided.inputs.items()})
    return [
        case("plain", 5 + n[1], 8, 11 + n[2]),
        case("one_text", 1, 6 + n[3], 8),
        case("square", 6, 6, 6),
        uneven,
        strided,
        double,
        large,
        nothing,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    logits, ids, chosen = case.inputs["logits"].requires_grad_(), case.inputs["ids"], case.inputs["chosen"]
    loss = fn(logits, ids, chosen)
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return {"loss": loss, "gradient": gradient_of(logits)}


exercise = Exercise(
    name="masked_lm_loss",
    title="The loss over the chosen words alone",
    signature="masked_lm_loss(logits, ids, chosen)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Pick the logits and the true words at the chosen places, and take their mean cross-entropy. The mean over "
            "no place at all would be NaN, so think of a batch in which nothing is chosen."
        ),
        api="`logits[chosen]`, `F.cross_entropy(..., reduction='sum')`, `Tensor.sum()`, `Tensor.clamp(min=1)`",
        skeleton=(
            "picked = logits[chosen]  # (M, V)\n"
            "total = F.cross_entropy(picked, ids[...], reduction=...)\n"
            "return total / chosen.sum()..."
        ),
    ),
    takeaway=(
        "The gradient is zero wherever the word can be seen. Copying earns nothing, so the network has to use the "
        "context."
    ),
    cases=cases,
    observe=observe,
    words={"gradient": "the gradient with respect to `logits`"},
)
