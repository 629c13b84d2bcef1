"""`ema_update`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.consistency.exercise import Everything
from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, decay: float, **options: Any) -> Case:
        features, draw = int(torch.randint(2, 7, (), generator=generator)), seed + len(name)
        inputs: Values = {"decay": decay, "features": features, "seed": draw, "calls": 1}
        return Case(name, inputs | {"frozen": "yes", "double": "no", "modes": "eval train", "more": ""} | options)

    return [
        case("usual", 0.9),
        case("slow", 0.99),
        case("keeps_all", 1.0),
        case("follows_at_once", 0.0),
        case("three_times", 0.5, calls=3, modes="train eval"),
        case("teacher_with_gradients_on", 0.75, frozen="no"),
        case("float64", 0.8, double="yes"),
        case("shared_weight", 0.7, more="shared weight"),
        case("buffer_not_in_the_state_dict", 0.85, more="buffer"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given, generator = case.inputs, seeded(case.inputs["seed"])
    teacher, student = (Everything(given["features"], generator, given["more"]) for _ in range(2))
    for model, mode in zip((teacher, student), given["modes"].split()):
        model.train(mode == "train").to(torch.float64 if given["double"] == "yes" else torch.float32)
        model.norm.train(mode != "train")  # a part may have another mode than the whole
    if given["frozen"] == "yes":
        teacher.requires_grad_(False)
    held = dict(teacher.named_parameters()) | dict(teacher.named_buffers())  # what an evaluation may hold on to
    before = {"teacher_before": teacher.values(), "student_before": student.values()}
    for _ in range(given["calls"]):
        fn(teacher, student, given["decay"])
    tensors = [*held.items(), *teacher.named_parameters(), *teacher.named_buffers()]
    seen: Values = before | {"teacher_after": teacher.values(), "student_after": student.values()}
    seen["held_after"] = {name: value.detach().clone() for name, value in held.items()}
    seen["dtypes_after"] = {name: str(value.dtype) for name, value in seen["teacher_after"].items()}
    seen["requires_grad_after"] = {name: int(p.requires_grad) for name, p in teacher.named_parameters()}
    seen["with_history"] = [name for name, value in tensors if value.grad_fn is not None]
    seen["mode_after"] = ["train" if part.training else "eval" for part in (*teacher.modules(), *student.modules())]
    for value in (*student.parameters(), *student.buffers()):
        value.data.add_(5)  # the student goes on learning: a teacher that shares its memory moves along
    return seen | {"teacher_when_student_moves": teacher.values()}


exercise = Exercise(
    name="ema_update",
    title="A teacher that follows its student slowly",
    signature="ema_update(teacher, student, decay)",
    minutes=12,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Walk through everything the two networks hold, side by side: parameters, and buffers too. A number with "
            "decimals is mixed; a whole number, such as a count of batches, cannot be mixed and is taken over. Write "
            "into the teacher's own tensors, and let autograd look away."
        ),
        api=(
            "`Module.parameters`, `Module.buffers` (each tensor once), `zip`, `Tensor.is_floating_point`, "
            "`Tensor.mul_`, `Tensor.add_(..., alpha=...)`, `Tensor.copy_`, `torch.no_grad`"
        ),
        skeleton=(
            "with torch.no_grad():\n    mine = [*teacher.parameters(), *teacher.buffers()]\n"
            "    for slow, fast in zip(mine, ...):\n        if slow.is_floating_point():\n"
            "            slow.mul_(...).add_(..., alpha=...)\n        else:\n            slow...."
        ),
    ),
    takeaway=(
        "An average of the last networks, for the price of one addition per step. A teacher whose parameters are "
        "averaged and whose running statistics are forgotten looks healthy and guesses."
    ),
    cases=cases,
    observe=observe,
    may_change=("teacher",),
    on_gpu=False,
    words={
        "teacher_before": "the teacher before the call",
        "student_before": "the student before the call",
        "teacher_after": "the teacher after the call",
        "held_after": "the teacher's own tensor from before the call",
        "dtypes_after": "the dtype of the teacher's tensors after the call",
        "student_after": "the student after the call",
        "requires_grad_after": "`requires_grad` of the teacher's parameters after the call (1 is True)",
        "with_history": "the list of the teacher's tensors that carry a graph",
        "mode_after": "the mode of teacher and student after the call",
        "teacher_when_student_moves": "the teacher, when the student goes on learning,",
    },
    inputs_shown=("calls",),
)
