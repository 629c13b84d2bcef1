"""`distillation_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()

    def case(name: str, count: int, classes: int, temperature: float, scale: float = 3.0) -> Case:
        student, teacher = (scale * normal(count, classes) for _ in range(2))
        return Case(name, {"student_logits": student, "teacher_logits": teacher, "temperature": temperature})

    double = case("float64", 5, 4, 3.0)
    transposed = case("transposed", 6, 8, 2.5)
    large = case("large_logits", 7, 5, 2.0)
    for key in ("student_logits", "teacher_logits"):
        double.inputs[key] = double.inputs[key].double()
        transposed.inputs[key] = transposed.inputs[key].T
        large.inputs[key][:4] *= 300.0
    agreeing = case("agreeing", 4 + n[0], 6, 4.0)
    agreeing.inputs["student_logits"] = agreeing.inputs["teacher_logits"] + uniform(4 + n[0], 1)
    return [
        case("plain", 8 + n[1], 5, 4.0),
        case("temperature_one", 6, 7 + n[2], 1.0),
        case("cold", 9, 4, 0.5),
        case("hot", 5 + n[3], 10, 20.0),
        case("more_classes_than_images", 3, 12, 3.0),
        case("square", 6, 6, 2.0),
        case("one_image", 1, 4, 5.0),
        agreeing,
        double,
        transposed,
        large,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    student, teacher = (case.inputs[key].requires_grad_() for key in ("student_logits", "teacher_logits"))
    loss = fn(student, teacher, temperature=case.inputs["temperature"])
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return {"loss": loss, "student_gradient": gradient_of(student), "teacher_gradient": gradient_of(teacher)}


exercise = Exercise(
    name="distillation_loss",
    title="How far the student's softened probabilities are from the teacher's",
    signature="distillation_loss(student_logits, teacher_logits, *, temperature)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Divide both sets of logits by the temperature. The teacher's softmax is the target, and the student's log "
            "softmax is compared with it. The divergence is a sum over classes and a mean over images. At the end "
            "multiply by the temperature squared."
        ),
        api=(
            "`F.log_softmax(x, dim=1)`, `F.softmax(x, dim=1)`, `Tensor.detach()`, "
            '`F.kl_div(log_student, teacher, reduction="batchmean")`'
        ),
        skeleton=(
            "log_student = F.log_softmax(student_logits / ..., dim=1)\n"
            "teacher = F.softmax(teacher_logits.detach() / ..., dim=...)\n"
            'loss = F.kl_div(..., ..., reduction="...")\n'
            "return ... * loss"
        ),
    ),
    takeaway=(
        "With the factor the gradient keeps its size when the temperature changes, so the loss can be added to another "
        "one with a fixed weight."
    ),
    cases=cases,
    observe=observe,
    words={
        "student_gradient": "the gradient with respect to `student_logits`",
        "teacher_gradient": "the gradient with respect to `teacher_logits`",
    },
)
