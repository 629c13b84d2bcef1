"""`discriminator_loss_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch

from course_lib.exercises.adversarial.judge import reference_discriminator_loss
from course_lib.exercises.candidates import (
    asserts_nothing,
    judge_for_check,
    lets_pass,
    never_calls,
    refuses_all,
)
from course_lib.exercises.trying_checks import Decision, Note

# Wrong answers that are right where all logits are small.
_SMALL = ("log_of_sigmoid", "cut_off_by_bce")


def reference(candidate):
    """Batches of several sizes, small logits and large ones, and the gradients of all of them."""
    generator = torch.Generator().manual_seed(2)
    for real_count, fake_count, scale in ((3, 5, 1.0), (6, 2, 3.0), (4, 7, 300.0)):
        real, fake = (scale * torch.randn(count, generator=generator) for count in (real_count, fake_count))
        found, wanted = (
            (logits[0].requires_grad_(), logits[1].requires_grad_())
            for logits in ((real.clone(), fake.clone()), (real.clone(), fake.clone()))
        )
        loss, right = candidate(*found), reference_discriminator_loss(*wanted)
        assert loss.ndim == 0 and torch.allclose(loss.detach().float(), right.detach(), rtol=1e-4)
        loss.backward()
        right.backward()
        for mine, its in zip(found, wanted, strict=True):
            assert mine.grad is not None and its.grad is not None
            assert torch.allclose(mine.grad, its.grad, atol=1e-5)


judge = judge_for_check(
    points=4,
    title="every right answer passes, and every wrong one is stopped, each of which is worth the same",
    reference=reference,
    predicates={
        "never_calls": never_calls,
        "returns_the_verdict": asserts_nothing(Note.VALUE),
        "prints": asserts_nothing(Note.PRINTED),
        "asserts_nothing": asserts_nothing(Note.NOTHING),
        "wrong_call": refuses_all(Decision.RAISED),
        "wrong_expectation": refuses_all(Decision.ASSERTED),
        "gradients_unseen": lets_pass("loss_off_the_graph", and_maybe=("loss_as_a_number",)),
        "small_logits_alone": lets_pass(*_SMALL, and_maybe=("loss_off_the_graph", "loss_as_a_number")),
    },
)
