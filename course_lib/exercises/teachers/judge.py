"""What judges of unit 08 share: a reference of the distillation loss."""

from __future__ import annotations

from torch import Tensor


def reference_distillation_loss(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """By logarithms of probabilities in float64, without a loss of torch's."""
    log_q, log_p = ((x.double() / temperature).log_softmax(dim=1) for x in (student_logits, teacher_logits.detach()))
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum() / len(log_q)
