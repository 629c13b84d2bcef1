"""References of unit 05, and what several of its judges ask of a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, somewhere
from course_lib.exercises.contract import Predicate, close


def reference_nt_xent_loss(z1: Tensor, z2: Tensor, temperature: float = 0.2) -> Tensor:
    """By the logarithm of a sum of exponentials over all other views, without a cross-entropy."""
    z = torch.cat([z1, z2])
    z = z / z.norm(dim=1, keepdim=True)
    similarity, n = z @ z.T / temperature, len(z1)
    others = ~torch.eye(2 * n, dtype=torch.bool, device=z.device)
    total = similarity[others].reshape(2 * n, 2 * n - 1).logsumexp(dim=1)
    return (total - torch.cat([similarity.diagonal(n), similarity.diagonal(-n)])).mean()


def reference_two_views(images, augment, *, generator):
    return tuple(augment(images, generator=generator) for _ in range(2))


loss_as_a_number = somewhere(lambda t: isinstance(t.seen["loss"], float))
loss_with_a_shape = somewhere(lambda t: isinstance(t.seen["loss"], Tensor) and t.seen["loss"].ndim > 0)
loss_negated = everywhere(lambda t: close(t.seen["loss"], -t.expected["loss"]))


def off_the_graph(*gradients: str) -> Predicate:
    """Whether the loss is right, and no gradient of it reaches one of the inputs."""
    return everywhere(
        lambda t: close(t.seen["loss"], t.expected["loss"]) and not all(t.seen[key].any() for key in gradients)
    )
