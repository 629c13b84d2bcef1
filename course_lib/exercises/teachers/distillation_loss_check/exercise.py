"""`distillation_loss_check`: what learners see. Their check is tried on answers of `distillation_loss`."""

from __future__ import annotations

from course_lib.exercises.contract import Hints
from course_lib.exercises.trying_checks import writes_check

exercise = writes_check(
    of="distillation_loss",
    name="distillation_loss_check",
    title="A check that tells a right distillation loss from a wrong one",
    signature="distillation_loss_check(candidate)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Compute the loss yourself, from logarithms of probabilities. Temperatures other than 1 and 4 show where "
            "the argument is used, and logits of some hundreds show a rounded probability. At the end ask for "
            "gradients: one for the student, none for the teacher."
        ),
        api="`torch.log_softmax`, `Tensor.exp()`, `Tensor.requires_grad_()`, `loss.backward()`, `Tensor.grad`",
        skeleton=(
            "student = torch.tensor([[...], [...]], requires_grad=True)  # a row of small logits and one of hundreds\n"
            "teacher = torch.tensor([[...], [...]], requires_grad=True)\n"
            "loss = candidate(student, teacher, temperature=...)\n"
            "log_q, log_p = (torch.log_softmax(x.detach() / ..., dim=1) for x in (student, teacher))\n"
            "expected = float(...)\n"
            "assert abs(float(loss) - expected) < ...\n"
            "loss.backward()\n"
            "assert student.grad is not None and ..."
        ),
    ),
    takeaway=(
        "Most wrong losses agree with the right one at temperature 1. A check at another temperature, with large "
        "logits and a look at both gradients stops them all."
    ),
)
