"""fit on a GPU."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from small_training import Interrupt, generator, make_batches, make_data, make_model, quiet_fit

from course_lib import settings
from course_lib.data import Batches
from course_lib.models import Classifier, ConvEncoder
from course_lib.training import LossNotFiniteError, cross_entropy


@pytest.mark.gpu
def test_cpu_and_gpu_learn_alike(cuda, monkeypatch):
    x, y = make_data(64)
    start = Classifier(ConvEncoder(widths=(4, 8)), 3)

    def run(device):
        monkeypatch.setattr(settings, "device", lambda: device)
        model = copy.deepcopy(start)
        batches = Batches(x, y, batch_size=16, shuffle=True, generator=generator(), device=device)
        with torch.backends.cudnn.flags(allow_tf32=False):
            return quiet_fit(model, batches, num_epochs=3), model

    on_cpu, _ = run(torch.device("cpu"))
    on_gpu, model = run(cuda)
    assert next(model.parameters()).is_cuda
    assert len(on_gpu.loss) == len(on_cpu.loss) == 12
    assert on_gpu.loss == pytest.approx(on_cpu.loss, rel=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_on_the_gpu_is_close(cuda, precision):
    exact = quiet_fit(make_model(), make_batches(), steps=6)
    rough = quiet_fit(make_model(), make_batches(), steps=6, precision=precision)
    assert rough.loss == pytest.approx(exact.loss, rel=0.05)


@pytest.mark.gpu
def test_a_loss_that_is_not_finite_is_named_by_its_step_on_the_gpu(cuda):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return cross_entropy(model, batch) * (math.nan if len(calls) == 3 else 1)

    with pytest.raises(LossNotFiniteError, match="at step 3 of 60"):
        quiet_fit(make_model(), make_batches(), loss, steps=60)


@pytest.mark.gpu
def test_a_checkpoint_from_the_gpu_is_resumed_on_it(cuda, tmp_path):
    file = tmp_path / "run.pt"
    quiet_fit(make_model(), make_batches(), Interrupt(at=5), num_epochs=3, checkpoint=file)
    history = quiet_fit(make_model(), make_batches(), num_epochs=3, checkpoint=file)
    assert history.steps == len(history.loss) == 9
