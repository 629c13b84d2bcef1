"""`nt_xent_loss_check`: what learners see. Their check is tried on answers of `nt_xent_loss`."""

from __future__ import annotations

from course_lib.exercises.contract import Hints
from course_lib.exercises.trying_checks import writes_check

exercise = writes_check(
    of="nt_xent_loss",
    name="nt_xent_loss_check",
    title="A check that tells a right contrastive loss from a wrong one",
    signature="nt_xent_loss_check(candidate)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Compute the loss of a small batch yourself, one view at a time, and compare. Rows of different lengths "
            "show a missing normalization, and a very small temperature shows exponentials that overflow. At the end "
            "ask what training needs: a gradient at both views."
        ),
        api=(
            "`F.cosine_similarity`, `torch.logsumexp`, `math.isclose`, `Tensor.requires_grad_()`, `loss.backward()`, "
            "`Tensor.grad`"
        ),
        skeleton=(
            "for temperature in (0.5, 0.005):\n"
            "    z1 = torch.randn(4, 3, generator=...).mul(...).requires_grad_()\n"
            "    z2 = ...\n"
            "    loss = candidate(z1, z2, temperature)\n"
            "    expected = ...  # 2N rows, each against all others\n"
            "    assert abs(loss.item() - expected) < 1e-4 * ...\n"
            "    loss.backward()\n"
            "    assert z1.grad is not None and ..."
        ),
    ),
    takeaway=(
        "Mixed lengths, two temperatures and a gradient: each of them stops wrong losses that agree with the right one "
        "everywhere else."
    ),
)
