"""What all tests share: a known environment, the folder of real data, and the tests that need a GPU."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

# Tests must not depend on what the person at the keyboard has set. They run on the CPU, with one thread, also where
# there is a GPU: tests that want the GPU say so with @pytest.mark.gpu and the `cuda` fixture.
DATA_FOLDER = os.environ.pop("COURSE_DATA", "").strip()
for name in ("COURSE_PROFILE", "COURSE_DATASET", "COURSE_ROOT"):
    os.environ.pop(name, None)
os.environ["COURSE_DEVICE"] = "cpu"
os.environ["COURSE_THREADS"] = "1"
os.environ["COURSE_LANGUAGE"] = "en"
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["suite_costs"]

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not for_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in for_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch finds none here"))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch):
    """The CUDA device, made the course's device for one test."""
    import torch

    from course_lib import settings

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch finds none here")
    device = torch.device("cuda")
    monkeypatch.setattr(settings, "device", lambda: device)
    return device


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data sets: COURSE_DATA, or shared/data beside the project; without it the test skips."""
    folder = Path(DATA_FOLDER).expanduser() if DATA_FOLDER else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs real data sets in {folder}; set COURSE_DATA to a folder that has them")
    return folder


@pytest.fixture(scope="session")
def _warm_process():
    """The process that kernels are forked from."""
    import warm_kernels

    with warm_kernels.forking() as process:
        yield process


@pytest.fixture(scope="module")
def warm(_warm_process):
    """Kernels are forked from a process that has imported torch and the like, where that can be relied on: Linux."""
    import warm_kernels

    with warm_kernels.forked_from(_warm_process):
        yield


@pytest.fixture(scope="session")
def schema_asked_once():
    """nbgrader starts a process for the version of each new gradebook, 1.5 CPU seconds: here for the first one only."""
    import nbgrader.api

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nbgrader.api, "get_alembic_version", functools.cache(nbgrader.api.get_alembic_version))
        yield
