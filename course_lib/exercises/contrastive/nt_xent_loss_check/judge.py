"""`nt_xent_loss_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch

from course_lib.exercises.candidates import judge_for_check, lets_pass
from course_lib.exercises.contrastive.judge import reference_nt_xent_loss

_NO_GRADIENT = ("loss_off_the_graph", "loss_as_a_number")


def reference(candidate):
    """Batches of several sizes and temperatures, rows of all lengths, and the gradients of both views."""
    generator = torch.Generator().manual_seed(2)
    for n, temperature in ((5, 0.5), (3, 0.2), (6, 0.005)):
        z1, z2 = (torch.randn(n, 4, generator=generator) * torch.arange(1, n + 1)[:, None] for _ in range(2))
        found, wanted = ([z.clone().requires_grad_() for z in (z1, z1 + z2)] for _ in range(2))
        loss, right = candidate(*found, temperature), reference_nt_xent_loss(wanted[0], wanted[1], temperature)
        assert loss.ndim == 0 and torch.allclose(loss.detach().float(), right.detach(), rtol=1e-3, atol=1e-5)
        loss.backward()
        right.backward()
        for mine, its in zip(found, wanted, strict=True):
            assert mine.grad is not None and its.grad is not None
            assert torch.allclose(mine.grad, its.grad, rtol=1e-2, atol=1e-3)


judge = judge_for_check(
    points=4,
    reference=reference,
    predicates={
        "gradients_unseen": lets_pass("loss_off_the_graph", and_maybe=_NO_GRADIENT),
        "usual_temperature_alone": lets_pass("by_exponentials", and_maybe=_NO_GRADIENT),
        "lengths_of_one": lets_pass("not_normalized", and_maybe=("by_exponentials", *_NO_GRADIENT)),
    },
)
