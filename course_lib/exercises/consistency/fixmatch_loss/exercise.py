"""`fixmatch_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.consistency.exercise import loss_and_backward
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).normal

    def case(name: str, n: int, k: int, *, sure: int, threshold: float = 0.9) -> Case:
        """`sure` of the n images have a clear opinion in the weak view; the strong view knows nothing of it."""
        weak, strong = 0.3 * draw(n, k), 1.5 * draw(n, k)
        top = draw(n, k).argmax(dim=1).clamp(min=k - 40)
        weak[torch.arange(sure), top[:sure]] += 12.0 if k > 100 else 6.0
        if n > 1:  # a strong view that is sure where the weak one is not
            strong[-1, (int(top[-1]) + 1) % k] += 8.0
        order = draw(n).argsort()
        weak, strong = weak[order], strong[order]
        if name == "float64":
            weak, strong = weak.double(), strong.double()
        return Case(name, {"weak_logits": weak, "strong_logits": strong, "threshold": threshold})

    large = case("large_logits", 6, 4, sure=0)
    large.inputs["weak_logits"][:3] += 25.0  # as unsure as before: softmax takes differences
    large.inputs["weak_logits"][3:] += 1.2
    exactly = case("exactly_at_the_threshold", 4, 2, sure=0, threshold=0.5)
    exactly.inputs["weak_logits"].copy_(torch.tensor([[1.0, 1.0], [-2.0, -2.0], [9.0, 0.0], [0.0, 9.0]]))
    transposed = case("transposed", 5, 7, sure=3)
    for view in ("weak_logits", "strong_logits"):
        transposed.inputs[view] = transposed.inputs[view].T.contiguous().T
    opposed = case("certain_of_something_else", 5, 4, sure=5)
    guesses = opposed.inputs["weak_logits"].argmax(dim=1)
    opposed.inputs["strong_logits"].copy_(200.0 * nn.functional.one_hot((guesses + 1) % 4, 4))
    return [
        case("some_sure", 8, 5, sure=3),
        case("all_sure", 6, 4, sure=6),
        case("none_sure", 7, 5, sure=0),
        case("one_sure", 1, 6, sure=1),
        case("one_unsure", 1, 6, sure=0),
        case("as_many_images_as_classes", 5, 5, sure=2),
        case("low_threshold", 6, 3, sure=2, threshold=0.0),
        large,
        exactly,
        transposed,
        case("float64", 6, 300, sure=3, threshold=0.95),
        opposed,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    weak, strong = case.inputs["weak_logits"].requires_grad_(), case.inputs["strong_logits"].requires_grad_()
    seen = loss_and_backward(fn(weak, strong, threshold=case.inputs["threshold"]))
    return {**seen, "gradient_weak": gradient_of(weak), "gradient_strong": gradient_of(strong)}


exercise = Exercise(
    name="fixmatch_loss",
    title="The weak view teaches the strong view",
    signature="fixmatch_loss(weak_logits, strong_logits, *, threshold)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Three questions about the weak view: how probable is its best class, which class is that, and is that "
            "enough? One cross-entropy per image of the strong view. Images below the threshold count with 0, but "
            "they count."
        ),
        api="`Tensor.detach`, `Tensor.softmax(dim=1)`, `Tensor.max(dim=1)`, `F.cross_entropy(..., reduction='none')`",
        skeleton=(
            "confidence, guess = weak_logits.detach().softmax(dim=...).max(dim=...)  # (N,), (N,)\n"
            "mask = confidence >= ...  # (N,)\n"
            "losses = F.cross_entropy(..., ..., reduction=...)  # (N,)\n"
            "return (losses * mask)..."
        ),
    ),
    takeaway=(
        "Divided by the whole batch, the loss is small while few predictions are confident, and grows as the network "
        "improves: a ramp-up without a setting. Divided by the number of confident ones it would be NaN when there "
        "are none."
    ),
    cases=cases,
    observe=observe,
    words={
        "gradient_weak": "the gradient with respect to `weak_logits`",
        "gradient_strong": "the gradient with respect to `strong_logits`",
    },
)
