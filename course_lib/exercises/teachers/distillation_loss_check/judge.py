"""`distillation_loss_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch

from course_lib.exercises.candidates import judge_for_check, lets_pass
from course_lib.exercises.teachers.judge import reference_distillation_loss

# Wrong answers that are right at temperature 1.
_AT_ONE = (
    "t_squared_forgotten", "t_instead_of_its_square", "divided_by_t_squared", "student_not_softened",
    "teacher_not_softened", "not_softened", "multiplied_by_t", "probabilities_divided",
)  # fmt: skip


def reference(candidate):
    """Batches of several sizes and temperatures, small logits and large ones, and the gradients of both sides."""
    generator = torch.Generator().manual_seed(2)
    for count, classes, temperature, scale in ((5, 3, 2.0, 2.0), (2, 6, 5.0, 3.0), (4, 4, 1.5, 400.0)):
        logits = [scale * torch.randn(count, classes, generator=generator) for _ in range(2)]
        student, teacher = (x.clone().requires_grad_() for x in logits)
        mine = logits[0].clone().requires_grad_()
        loss = candidate(student, teacher, temperature=temperature)
        right = reference_distillation_loss(mine, logits[1], temperature=temperature)
        assert loss.ndim == 0 and abs(float(loss) - float(right)) < 1e-4 + 1e-3 * float(right)
        loss.backward()
        right.backward()
        assert student.grad is not None and mine.grad is not None
        assert torch.allclose(student.grad, mine.grad, atol=1e-4)
        assert teacher.grad is None or not teacher.grad.any()


judge = judge_for_check(
    points=4,
    reference=reference,
    predicates={
        "temperature_one_alone": lets_pass(
            *_AT_ONE, and_maybe=("teacher_learns_too", "student_off_the_graph", "log_of_softmax", "as_a_number")
        ),
        "gradients_unseen": lets_pass(
            "teacher_learns_too", "student_off_the_graph", and_maybe=("as_a_number", "log_of_softmax")
        ),
        "small_logits_alone": lets_pass("log_of_softmax", and_maybe=("teacher_learns_too",)),
        "teacher_unseen": lets_pass("teacher_learns_too"),
    },
)
