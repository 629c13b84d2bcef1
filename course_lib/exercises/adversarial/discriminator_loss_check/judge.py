"""`discriminator_loss_check`: a reference, and what recognizes variants of the mistakes."""

from __future__ import annotations

import torch

from course_lib.exercises.adversarial.judge import reference_discriminator_loss
from course_lib.exercises.candidates import judge_for_check, lets_pass

# Wrong answers that are right where all logits are small, and those of which only the gradient is wrong.
_SMALL = ("log_of_sigmoid", "cut_off_by_bce")
_GRADIENT = ("loss_off_the_graph", "loss_as_a_number")
_TARGETS = ("targets_exchanged", "all_called_real", "smoothed_target")
_OTHER_SCALE = ("halved", "one_mean_for_both", "joined_and_doubled", "summed_not_averaged")
_OTHER_LOSS = ("only_real", "only_fake", "sigmoid_twice", "squared_error", "hinge_loss", "difference_of_means")
_OTHER_FORM = ("loss_of_each_image", "negated", "terms_subtracted")


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
    reference=reference,
    predicates={
        "only_the_form": lets_pass(
            *("halved", "only_real", "only_fake", "targets_exchanged", "sigmoid_twice", "hinge_loss"),
            and_maybe=(*_SMALL, *_GRADIENT, *_TARGETS, *_OTHER_SCALE, *_OTHER_LOSS, *_OTHER_FORM),
        ),
        "both_targets_cost_the_same": lets_pass(*_TARGETS, and_maybe=(*_SMALL, *_GRADIENT, "joined_and_doubled")),
        "equal_batches": lets_pass("joined_and_doubled", and_maybe=(*_SMALL, *_GRADIENT)),
        "small_logits_alone": lets_pass(*_SMALL, and_maybe=_GRADIENT),
        "gradients_unseen": lets_pass("loss_off_the_graph", and_maybe=("loss_as_a_number",)),
    },
)
