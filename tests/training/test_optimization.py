"""Schedules of the learning rate."""

from __future__ import annotations

import math

import pytest
import torch
from small_training import make_batches, make_model, quiet_fit

from course_lib.training import learning_rate_factor


def test_cosine_after_a_linear_warmup():
    factor = learning_rate_factor("cosine", total=12, warmup=4)
    values = [factor(step) for step in range(12)]
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[4:] == pytest.approx([(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)])


def test_a_schedule_of_your_own_scales_every_group_groups_added_later_too():
    model = make_model()
    optimizer = torch.optim.SGD([{"params": model[5].parameters(), "lr": 1.0}], lr=1.0)
    rates = []

    def unfreeze(m, history):
        rates.append([group["lr"] for group in optimizer.param_groups])
        if history.steps == 1:
            optimizer.add_param_group({"params": list(m[0].parameters()), "lr": 0.1})

    history = quiet_fit(
        model,
        make_batches(),
        steps=3,
        optimizer=optimizer,
        schedule=lambda step, total: (total - step) / total,
        on_step=unfreeze,
    )
    assert rates[0] == pytest.approx([1.0])
    assert rates[1] == pytest.approx([2 / 3, 0.1 * 2 / 3])
    assert rates[2] == pytest.approx([1 / 3, 0.1 / 3])
    assert history.learning_rate == pytest.approx([1, 2 / 3, 1 / 3])
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1], "fit leaves the rates as they were"


@pytest.mark.parametrize(
    ("options", "says"),
    [({"schedule": "linear"}, "'linear'.*'cosine'"), ({"warmup": 5}, "warmup is 5"), ({"warmup": -1}, "warmup is -1")],
)
def test_impossible_schedules(options, says):
    with pytest.raises(ValueError, match=says):
        quiet_fit(make_model(), make_batches(), steps=5, **options)
