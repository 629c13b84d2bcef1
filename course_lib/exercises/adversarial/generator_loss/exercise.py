"""`generator_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    normal = drawing(seed).normal

    def case(name: str, count: int, shift: float, saturating: bool = False) -> Case:
        return Case(name, {"fake_logits": 2 * normal(count) + shift, "saturating": saturating})

    double, strided = case("float64", 6, 0.4), case("strided", 14, -0.6)
    double.inputs["fake_logits"] = double.inputs["fake_logits"].double()
    strided.inputs["fake_logits"] = strided.inputs["fake_logits"][::2]
    large, large_saturating = case("large_logits", 5, 0.0), case("large_saturating", 5, 0.0, True)
    for some in (large, large_saturating):
        some.inputs["fake_logits"][:2] = 150 + 100 * normal(2).abs()
        some.inputs["fake_logits"][2:4] = -150 - 100 * normal(2).abs()
    return [
        case("plain", 8, -0.5),
        case("one", 1, 0.7),
        double,
        strided,
        large,
        case("saturating", 9, -0.4, True),
        case("saturating_wins", 7, 1.0, True),
        large_saturating,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    logits, saturating = case.inputs["fake_logits"].requires_grad_(), case.inputs["saturating"]
    loss = fn(logits, saturating=True) if saturating else fn(logits)
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return {"loss": loss, "gradient": gradient_of(logits)}


exercise = Exercise(
    name="generator_loss",
    title="What the generator minimizes, in two forms",
    signature="generator_loss(fake_logits, *, saturating=False)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Generated images should be predicted to be real, so the usual loss is the cross-entropy with target 1. "
            "The saturating one is minus the discriminator's own term, the cross-entropy with target 0."
        ),
        api="`F.binary_cross_entropy_with_logits`, `torch.ones_like`, `torch.zeros_like`, or `F.softplus`",
        skeleton=(
            "if saturating:\n"
            "    return -F.binary_cross_entropy_with_logits(fake_logits, ...)\n"
            "return F.binary_cross_entropy_with_logits(fake_logits, ...)"
        ),
    ),
    takeaway=(
        "Both losses fall when the images look more real. They differ in the gradient where the discriminator is "
        "confident: there the saturating one has almost none."
    ),
    cases=cases,
    observe=observe,
    words={"gradient": "the gradient with respect to `fake_logits`"},
)
