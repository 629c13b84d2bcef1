"""`discriminator_loss_check`: what learners see. Their check is tried on answers of `discriminator_loss`."""

from __future__ import annotations

from course_lib.exercises.contract import Hints
from course_lib.exercises.trying_checks import writes_check

exercise = writes_check(
    of="discriminator_loss",
    name="discriminator_loss_check",
    title="A check that tells a right loss of the discriminator from a wrong one",
    signature="discriminator_loss_check(candidate)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Choose logits for which you can compute the loss yourself, with `F.softplus`. Batches of different sizes "
            "show a wrong mean, and very large logits show a logarithm of a rounded probability. At the end ask what "
            "training needs: a gradient at both batches."
        ),
        api="`F.softplus`, `math.isclose`, `Tensor.requires_grad_()`, `loss.backward()`, `Tensor.grad`",
        skeleton=(
            "real = torch.tensor([...], requires_grad=True)  # a few small logits and one of 300\n"
            "fake = torch.tensor([...], requires_grad=True)  # another number of them\n"
            "loss = candidate(real, fake)\n"
            "expected = F.softplus(-real).mean() + ...\n"
            "assert abs(loss.item() - ...) < 1e-4 * ...\n"
            "loss.backward()\n"
            "assert real.grad is not None and ..."
        ),
    ),
    takeaway=(
        "Unequal batches, extreme logits and a gradient: each of them stops wrong losses that agree with the right one "
        "everywhere else."
    ),
)
