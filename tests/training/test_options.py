"""What fit is given: clear errors for what does not fit."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re

import pytest
import torch
from small_training import assert_same_weights, make_batches, make_data, make_model, quiet_fit, scripted, weights
from torch import nn
from torch.nn import functional as F

from course_lib.training import LossNotFiniteError, Options, cross_entropy, fit


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_the_step_and_gives_the_best_weights_back(bad):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (bad if len(calls) == 4 else 1)

    validate, seen = scripted([0.9, 0.1, 0.1])
    model = make_model()
    with pytest.raises(LossNotFiniteError, match="at step 4 of 9") as caught:
        quiet_fit(model, make_batches(), loss, steps=9, validate=validate, validate_every=1)
    assert len(caught.value.history.loss) == 4
    assert caught.value.history.stopped == "error"
    assert_same_weights(model, seen[0])


def test_a_failed_run_leaves_its_last_good_checkpoint(tmp_path):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (math.nan if len(calls) == 5 else 1)

    file = tmp_path / "run.pt"
    with pytest.raises(LossNotFiniteError):
        quiet_fit(make_model(), make_batches(), loss, steps=9, checkpoint=file, checkpoint_every=2)
    saved = torch.load(file, weights_only=True)
    assert saved["history"]["steps"] == 4
    assert all(bool(torch.isfinite(value).all()) for value in saved["model"].values())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, ValueError, "exactly one of them; neither was"),
        ({"num_epochs": 1, "steps": 1}, ValueError, "exactly one of them; both were|both was"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"steps": 1.5}, ValueError, "steps is 1.5"),
        ({"num_epochs": True}, ValueError, "num_epochs is True"),
        ({"steps": 1, "patience": 1}, ValueError, "need validate="),
        ({"steps": 1, "patience": 0, "validate": lambda m: 0.0}, ValueError, "patience is 0"),
        ({"steps": 1, "validate": 0.5}, TypeError, "validate is a float"),
        ({"steps": 1, "lr": -1.0}, ValueError, "lr is -1.0"),
        ({"steps": 1, "optimizer": lambda p: None}, TypeError, "NoneType"),
        ({"steps": 1, "optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))])}, ValueError, "none of the model's"),
        ({"steps": 1, "generators": [3]}, TypeError, "generators holds a int"),
    ],
)
def test_options_that_do_not_fit(options, error, says):
    model = make_model()
    before = weights(model)
    with pytest.raises(error, match=says):
        quiet_fit(model, make_batches(), **options)
    assert_same_weights(model, before)


x22, y22 = make_data()


@pytest.mark.parametrize(
    ("batches", "options", "error", "says"),
    [
        ([], {"num_epochs": 1}, ValueError, "no batches"),
        ([], {"steps": 1}, ValueError, "ran out after 0 of 1"),
        ((pair for pair in [(x22, y22)]), {"steps": 2}, ValueError, "ran out after 1 of 2.*only once"),
        ((pair for pair in [(x22, y22)]), {"num_epochs": 2}, TypeError, "give steps="),
        (x22, {"steps": 1}, TypeError, r"tensor of shape \(22, 1, 8, 8\)"),
        (7, {"steps": 1}, TypeError, "int"),
        ([x22], {"steps": 1}, TypeError, r"needs \(images, labels\)"),
        ([(x22, y22, y22)], {"steps": 1}, TypeError, "tuple of 3"),
        ([((x22 * 255).byte(), y22)], {"steps": 1}, TypeError, "uint8.*as_float"),
        ([(x22, y22.float())], {"steps": 1}, ValueError, "float32"),
        ([(x22, y22[:5])], {"steps": 1}, ValueError, r"\(5,\) for 22 images"),
        ([(x22, y22[:, None])], {"steps": 1}, ValueError, r"\(22, 1\)"),
    ],
)
def test_batches_that_do_not_fit(batches, options, error, says):
    with pytest.raises(error, match=says):
        quiet_fit(make_model(), batches, **options)


@pytest.mark.parametrize(
    ("loss", "error", "says"),
    [
        (lambda m, b: 0.5, TypeError, r"float.*without \.item"),
        (lambda m, b: None, TypeError, "NoneType"),
        (lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="none"), ValueError, r"\(8,\).*mean over the batch"),
        (lambda m, b: cross_entropy(m, b).detach(), ValueError, "no gradient"),
    ],
)
def test_losses_that_do_not_fit(loss, error, says):
    with pytest.raises(error, match=says):
        quiet_fit(make_model(), make_batches(), loss, steps=1)


def test_models_that_do_not_fit():
    with pytest.raises(TypeError, match=r"nn\.Module"):
        quiet_fit(lambda x: x, make_batches(), steps=1)
    with pytest.raises(ValueError, match="everything is frozen"):
        quiet_fit(make_model().requires_grad_(False), make_batches(), steps=1)
    with pytest.raises(ValueError, match=r"logits have shape \(8, 1, 8, 8\)"):
        quiet_fit(nn.Conv2d(1, 1, 1), make_batches(), steps=1)


def test_the_progress_bar_has_the_label_and_can_be_left_out(capsys):
    fit(make_model(), make_batches(), steps=3, label="a little run")
    assert "a little run" in capsys.readouterr().err
    fit(make_model(), make_batches(), steps=3, progress=False)
    assert capsys.readouterr().err == ""


# --- options as keywords and as an object ---


def test_keywords_and_an_options_object_are_the_same_run_and_keywords_go_first():
    def run(**given):
        model = make_model()
        return fit(model, make_batches(), steps=4, lr=1e-2, **given), weights(model)

    by_keyword, one = run(schedule="constant", weight_decay=0.3, precision="float32", progress=False)
    shared = Options(schedule="constant", weight_decay=0.9, precision="float32", progress=False)
    by_object, other = run(options=shared, weight_decay=0.3)
    assert by_keyword.loss == by_object.loss
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert run(options=shared)[0].loss != by_keyword.loss
    assert shared.weight_decay == 0.9


def test_fit_has_at_most_eight_parameters_and_knows_every_keyword_that_it_ever_had():
    assert len(inspect.signature(fit).parameters) <= 8
    known = {field.name for field in dataclasses.fields(Options)} | {*inspect.signature(fit).parameters}
    assert known >= {
        *("model", "batches", "loss_fn", "num_epochs", "steps", "lr", "optimizer", "weight_decay", "schedule"),
        *("warmup", "validate", "validate_every", "higher_is_better", "patience", "precision", "checkpoint"),
        *("checkpoint_every", "resume", "generators", "progress", "label", "on_step"),
    }
    for field in dataclasses.fields(Options):
        assert re.search(rf"\b{field.name}\b", fit.__doc__), f"fit? does not show {field.name}"
        assert re.search(rf"^ +{field.name}: ", Options.__doc__, re.MULTILINE), field.name


def test_a_keyword_that_does_not_exist_is_named_with_those_that_do():
    model = make_model()
    before = weights(model)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'epochs'\. Did you mean 'num_epochs'\?.*on_step"):
        fit(model, make_batches(), epochs=3)
    with pytest.raises(TypeError, match=r"'learning_curve'\. Its keywords: num_epochs, steps, lr, options, optimizer,"):
        fit(model, make_batches(), steps=3, learning_curve=True)
    with pytest.raises(TypeError, match=r"got a dict where Options\(\.\.\.\) is expected"):
        fit(model, make_batches(), steps=3, options={"warmup": 3})
    assert_same_weights(model, before)
