"""`discriminator_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    normal = drawing(seed).normal

    def case(name: str, real: int, fake: int, scale: float = 2.0) -> Case:
        return Case(name, {"real_logits": scale * normal(real) + 0.5, "fake_logits": scale * normal(fake) - 0.3})

    large = case("large_logits", 6, 4)
    large.inputs["real_logits"][:2] = 150 + 100 * normal(2).abs()
    large.inputs["real_logits"][2:4] = -150 - 100 * normal(2).abs()
    large.inputs["fake_logits"][:2] = 150 + 100 * normal(2).abs()
    double = case("float64", 5, 5)
    strided = case("strided", 14, 14)
    return [
        case("plain", 8, 8),
        case("more_fakes", 4, 11),
        case("more_real", 12, 3),
        case("one", 1, 1),
        Case("float64", {key: value.double() for key, value in double.inputs.items()}),
        Case("strided", {key: value[::2] for key, value in strided.inputs.items()}),
        large,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    real, fake = (case.inputs[key].requires_grad_() for key in ("real_logits", "fake_logits"))
    loss = fn(real, fake)
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return {"loss": loss, "real_gradient": gradient_of(real), "fake_gradient": gradient_of(fake)}


exercise = Exercise(
    name="discriminator_loss",
    title="The binary cross-entropy of real and of generated images",
    signature="discriminator_loss(real_logits, fake_logits)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Every image has a known answer. For real images the target is 1, for generated ones it is 0. Take "
            "the mean of each batch by itself and add the two means. Logits go into the loss as they are."
        ),
        api="`F.binary_cross_entropy_with_logits`, `torch.ones_like`, `torch.zeros_like`, or `F.softplus`",
        skeleton=(
            "real = F.binary_cross_entropy_with_logits(real_logits, torch....)\n"
            "fake = F.binary_cross_entropy_with_logits(..., torch....)\n"
            "return ... + ..."
        ),
    ),
    takeaway="A discriminator that cannot tell the two apart has the loss 2 log 2, about 1.39. Remember that number.",
    cases=cases,
    observe=observe,
    words={
        "real_gradient": "the gradient with respect to `real_logits`",
        "fake_gradient": "the gradient with respect to `fake_logits`",
    },
)
