"""`masked_lm_loss_check`: what learners see. Their check is tried on answers of `masked_lm_loss`."""

from __future__ import annotations

from course_lib.exercises.contract import Hints
from course_lib.exercises.trying_checks import writes_check

exercise = writes_check(
    of="masked_lm_loss",
    name="masked_lm_loss_check",
    title="A check that tells a right loss of masked words from a wrong one",
    signature="masked_lm_loss_check(candidate)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Choose logits at random and compute the loss yourself at the chosen places. Two texts with different "
            "numbers of chosen words show a wrong mean, logits of several hundred show a rounded probability, and a "
            "batch in which nothing is chosen shows a NaN. At the end look at the gradient."
        ),
        api="`F.cross_entropy(logits[chosen], ids[chosen])`, `math.isclose`, `loss.backward()`, `Tensor.grad`",
        skeleton=(
            "logits = torch.randn(2, 4, 7).requires_grad_()\n"
            "ids = torch.tensor([[5, 3, 4, 6], [3, 6, 0, 0]])\n"
            "chosen = torch.tensor([[True, False, True, True], [...]])\n"
            "loss = candidate(logits, ids, chosen)\n"
            "expected = F.cross_entropy(logits[chosen], ...)\n"
            "assert loss.ndim == 0 and abs(loss.item() - ...) < 1e-4\n"
            "loss.backward()\n"
            "assert logits.grad is not None and ...\n"
            "assert candidate(logits, ids, torch.zeros_like(chosen)) == ..."
        ),
    ),
    takeaway=(
        "Unequal texts, extreme logits, an empty choice and a gradient: each of them stops wrong losses that agree "
        "with the right one everywhere else."
    ),
)
