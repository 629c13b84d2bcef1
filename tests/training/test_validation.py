"""Validation, the best weights and patience."""

from __future__ import annotations

import math

import pytest
import torch
from small_training import assert_same_weights, make_batches, make_data, make_model, quiet_fit, scripted


@pytest.mark.parametrize("higher", [True, False])
def test_the_best_weights_come_back(higher):
    values = [0.1, 0.5, 0.7, 0.6, 0.7, 0.2] if higher else [3.0, 2.0, 0.5, 1.0, 0.5, 4.0]
    validate, seen = scripted(values)
    model = make_model()
    history = quiet_fit(
        model, make_batches(), steps=6, validate=validate, validate_every=1, higher_is_better=higher, lr=1e-2
    )
    assert history.validation == list(zip(range(1, 7), values, strict=True))
    assert (history.best_step, history.best_value) == (3, values[2])  # the first of equal ones
    assert history.steps == 6
    assert_same_weights(model, seen[2])
    assert not torch.equal(seen[2]["5.weight"], seen[5]["5.weight"])


def test_patience_counts_validations_without_a_new_best():
    validate, _ = scripted([0.1, 0.5, 0.5, 0.4, 0.6, 0.6, 0.5, 0.6, 0.9])
    history = quiet_fit(make_model(), make_batches(), steps=30, validate=validate, validate_every=2, patience=3)
    assert history.stopped == "patience"
    assert history.best_step == 10
    assert history.steps == 16


def test_a_validation_that_is_nan_is_never_the_best():
    validate, seen = scripted([math.nan, 0.3, math.nan])
    model = make_model()
    history = quiet_fit(model, make_batches(), steps=3, validate=validate, validate_every=1)
    assert history.best_step == 2
    assert_same_weights(model, seen[1])


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"num_epochs": 2}, [3, 6]),
        ({"steps": 20}, list(range(2, 21, 2))),
        ({"steps": 3}, [1, 2, 3]),
        ({"steps": 7, "validate_every": 3}, [3, 6, 7]),
    ],
)
def test_when_it_is_validated(options, at):
    history = quiet_fit(make_model(), make_batches(), validate=lambda model: 0.0, **options)
    assert [step for step, _ in history.validation] == at


def test_validation_is_in_eval_mode_without_gradients_and_leaves_no_trace():
    model = make_model()

    def validate(m):
        assert not any(module.training for module in m.modules())
        assert not torch.is_grad_enabled()
        return m(make_data()[0]).mean()

    with_validation = quiet_fit(model, make_batches(), steps=4, validate=validate, validate_every=1)
    without = quiet_fit(make_model(), make_batches(), steps=4)
    assert with_validation.loss == without.loss


@pytest.mark.parametrize("value", [{"accuracy": 1.0}, None, torch.zeros(2)])
def test_a_validation_must_be_a_number(value):
    with pytest.raises(TypeError, match="one number is expected"):
        quiet_fit(make_model(), make_batches(), steps=1, validate=lambda model: value)
