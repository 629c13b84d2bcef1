"""`mean_teacher_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.consistency.exercise import loss_and_backward
from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import gradient_of


class _Small(nn.Module):
    """Pixels to logits through batch normalization; it counts how often it is asked."""

    def __init__(self, pixels: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(pixels, classes)
        self.norm = nn.BatchNorm1d(classes)
        self.calls = 0
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(classes, pixels, generator=generator))
            self.linear.bias.copy_(torch.randn(classes, generator=generator))
            self.norm.get_buffer("running_mean").copy_(torch.randn(classes, generator=generator))
            self.norm.get_buffer("running_var").copy_(0.3 + torch.rand(classes, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return 1.5 * self.norm(self.linear(x.flatten(1)))


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, n: int, k: int, shape: tuple[int, int, int], **options: Any) -> Case:
        weak = torch.rand(n, *shape, generator=generator)
        strong = weak.clone() if name == "same_view" else torch.rand(n, *shape, generator=generator)
        if name == "float64":
            weak, strong = weak.double(), strong.double()
        inputs: Values = {"weak": weak, "strong": strong, "num_classes": k, "teacher_mode": "eval", "frozen": "yes"}
        inputs["student_mode"] = "train"
        return Case(name, inputs | {"gradients": "on"} | options | {"seed": seed + len(name)})

    return [
        case("plain", 6, 4, (1, 4, 5)),
        case("same_view", 5, 3, (1, 5, 4)),
        case("alive", 7, 5, (1, 4, 4), frozen="no"),
        case("teacher_in_train_mode", 6, 3, (1, 3, 5), teacher_mode="train"),
        case("color", 8, 6, (3, 4, 3), student_mode="eval"),
        case("float64", 4, 3, (2, 3, 4), student_mode="norm in eval"),
        case("called_without_gradients", 5, 12, (1, 3, 4), gradients="off"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    weak, strong = case.inputs["weak"], case.inputs["strong"]
    generator = seeded(case.inputs["seed"])
    pixels, classes = weak[0].numel(), case.inputs["num_classes"]
    student, teacher = (_Small(pixels, classes, generator).to(weak) for _ in range(2))
    if case.inputs["frozen"] == "yes":
        teacher.requires_grad_(False)
    student.train(case.inputs["student_mode"] != "eval"), teacher.train(case.inputs["teacher_mode"] == "train")
    student.norm.train(case.inputs["student_mode"] == "train")
    with torch.set_grad_enabled(case.inputs["gradients"] == "on"):
        loss = fn(student, teacher, weak, strong)
    seen = loss_and_backward(loss)
    gradients = [p.grad for p in teacher.parameters() if p.grad is not None]
    return {
        **seen,
        "gradient_student": gradient_of(student.linear.weight),
        "gradient_teacher": sum((float(g.abs().sum()) for g in gradients), 0.0),
        "calls": [student.calls, teacher.calls],
        "weights_after": teacher.linear.weight,
        "student_mean_after": student.norm.get_buffer("running_mean"),
        "teacher_mean_after": teacher.norm.get_buffer("running_mean"),
        "mode_after": ["train" if model.training else "eval" for model in (student, teacher)],
        "requires_grad_after": [int(p.requires_grad) for p in (*student.parameters(), *teacher.parameters())],
    }


exercise = Exercise(
    name="mean_teacher_loss",
    title="Student and teacher must agree",
    signature="mean_teacher_loss(student, teacher, weak, strong)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Two networks, two views: the student answers for the strong view and learns, the teacher answers for the "
            "weak view and does not. Compare probabilities, not logits. The distance of an image is summed over its "
            "classes; then comes the mean over images."
        ),
        api="`torch.no_grad`, `Tensor.softmax(dim=1)`, `Tensor.pow`, `Tensor.sum(dim=1)`, `Tensor.mean`",
        skeleton=(
            "with torch.no_grad():\n"
            "    target = teacher(...).softmax(dim=1)  # (N, K)\n"
            "p = ...  # (N, K)\n"
            "return (p - target).pow(2).sum(dim=...)..."
        ),
    ),
    takeaway=(
        "A consistency loss of exactly 0 in the first step is not a success but a wiring error: a network is being "
        "compared with itself. Print it once before a long run."
    ),
    cases=cases,
    observe=observe,
    words={
        "gradient_student": "the gradient of the student's weight",
        "gradient_teacher": "the sum of the gradients that reach the teacher",
        "calls": "the number of calls of student and teacher",
        "weights_after": "the teacher's weight after the call",
        "student_mean_after": "the student's running mean after the call",
        "teacher_mean_after": "the teacher's running mean after the call",
        "mode_after": "the mode of student and teacher after the call",
        "requires_grad_after": "`requires_grad` of the parameters of student and teacher after the call (1 is True)",
    },
    inputs_shown=("teacher_mode", "student_mode"),
)
