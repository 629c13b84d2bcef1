"""`masked_lm_loss_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch

from course_lib.exercises.candidates import judge_for_check, lets_pass
from course_lib.exercises.text.judge import reference_masked_lm_loss


def reference(candidate):
    """Texts with different numbers of chosen words, small logits and large ones, gradients, and an empty choice."""
    generator = torch.Generator().manual_seed(2)
    for scale in (1.0, 300.0):
        logits = scale * torch.randn(3, 6, 9, generator=generator)
        ids = torch.randint(3, 9, (3, 6), generator=generator)
        chosen = torch.zeros(3, 6, dtype=torch.bool)
        chosen[0, :5] = chosen[1, 1] = True
        mine, right = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        loss, expected = candidate(mine, ids, chosen), reference_masked_lm_loss(right, ids, chosen)
        assert loss.ndim == 0 and torch.allclose(loss.detach().float(), expected.detach(), rtol=1e-4)
        loss.backward()
        expected.backward()
        assert mine.grad is not None and right.grad is not None and torch.allclose(mine.grad, right.grad, atol=1e-5)
        assert candidate(logits, ids, torch.zeros_like(chosen)).item() == 0


judge = judge_for_check(
    points=4,
    reference=reference,
    predicates={
        "gradients_unseen": lets_pass("loss_off_the_graph"),
        "always_something_chosen": lets_pass("nan_where_nothing_is_chosen"),
        "small_logits_alone": lets_pass("log_of_softmax"),
        "one_number_per_text": lets_pass("mean_of_means"),
    },
)
