"""The losses that the library has: against another implementation, by hand, and what does not fit."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from course_lib.training import contrastive_loss


def by_loops(z: torch.Tensor, temperature: float) -> float:
    """The formula of the paper, a view at a time."""
    n, total = len(z) // 2, 0.0
    for i in range(2 * n):
        s = [math.exp(float(F.cosine_similarity(z[i], z[k], dim=0)) / temperature) for k in range(2 * n)]
        total -= math.log(s[(i + n) % (2 * n)] / (sum(s) - s[i]))
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_contrastive_loss_is_the_formula(temperature):
    z = torch.randn(10, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(contrastive_loss(z, temperature=temperature)) == pytest.approx(by_loops(z, temperature), rel=1e-5)


def test_contrastive_loss_of_equal_outputs_is_the_log_of_the_number_of_others():
    assert float(contrastive_loss(torch.ones(8, 3))) == pytest.approx(math.log(7))


def test_contrastive_loss_does_not_depend_on_lengths_and_reaches_both_views():
    z = torch.randn(8, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss = contrastive_loss(z)
    assert float(contrastive_loss(3 * z)) == pytest.approx(float(loss))
    loss.backward()
    assert z.grad.norm(dim=1).min() > 0


@pytest.mark.parametrize("shape", [(3, 2), (0, 2), (4,)])
def test_rows_that_are_no_pairs_are_refused(shape):
    with pytest.raises(ValueError, match="first views above second views"):
        contrastive_loss(torch.ones(shape))


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        contrastive_loss(torch.ones(2, 2), temperature=0.0)
