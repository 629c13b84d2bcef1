"""The precision of the forward pass."""

from __future__ import annotations

import pytest
import torch
from small_training import make_batches, make_data, make_model, quiet_fit
from torch import nn
from torch.nn import functional as F

from course_lib.models import Classifier, ConvEncoder
from course_lib.training import fit, precision


def test_bfloat16_is_close_to_float32_and_losses_are_float32():
    seen = []

    def loss(model, batch):
        logits = model(batch[0])
        seen.append(logits.dtype)
        return F.cross_entropy(logits, batch[1])

    exact = quiet_fit(make_model(), make_batches(), loss, steps=6)
    model = make_model()
    rough = quiet_fit(model, make_batches(), loss, steps=6, precision="bfloat16")
    assert set(seen) == {torch.float32}
    assert rough.loss != exact.loss, "the forward pass was not in bfloat16"
    assert rough.loss == pytest.approx(exact.loss, rel=0.05)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model._forward_hooks and not model[0]._forward_pre_hooks


def test_in_bfloat16_parts_called_by_the_loss_give_float32_too():
    model = Classifier(ConvEncoder(widths=(4, 8)), 3)
    inside, outside = [], []
    model.encoder.blocks[0].register_forward_hook(lambda _m, _i, out: inside.append(out.dtype))

    def loss(m, batch):
        features = m.encoder(batch[0])
        outside.append(features.dtype)
        return F.binary_cross_entropy(m.head(features).sigmoid(), F.one_hot(batch[1], 3).float())

    fit(model, make_batches(), loss, steps=2, precision="bfloat16", progress=False)
    assert set(inside) == {torch.bfloat16}
    assert set(outside) == {torch.float32}


def test_validation_is_in_float32_whatever_the_precision():
    model, seen = make_model(), []
    model[0].register_forward_hook(lambda m, _i, out: seen.append((m.training, out.dtype)))
    x = make_data()[0]
    fit(
        model,
        make_batches(),
        steps=2,
        precision="bfloat16",
        progress=False,
        validate=lambda m: m(x).mean(),
        validate_every=1,
    )
    assert {dtype for training_mode, dtype in seen if not training_mode} == {torch.float32}
    assert {dtype for training_mode, dtype in seen if training_mode} == {torch.bfloat16}


@pytest.mark.parametrize("supported", [True, False])
def test_auto_takes_bfloat16_on_a_cpu_for_convolutions_only_and_where_there_are_instructions(monkeypatch, supported):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported, raising=False)
    cpu = torch.device("cpu")
    assert precision.autocast_dtype("auto", make_model(), cpu) is (torch.bfloat16 if supported else None)
    assert precision.autocast_dtype("auto", nn.Linear(2, 2), cpu) is None


@pytest.mark.parametrize(("capability", "dtype"), [((9, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), None)])
def test_auto_takes_what_the_gpu_is_fast_at(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert precision.autocast_dtype("auto", nn.Linear(2, 2), torch.device("cuda")) is dtype


@pytest.mark.parametrize("precision", ["double", "float16"])
def test_a_precision_that_cannot_be_had(precision):
    with pytest.raises(ValueError, match=f"'{precision}'"):
        quiet_fit(make_model(), make_batches(), steps=1, precision=precision)
