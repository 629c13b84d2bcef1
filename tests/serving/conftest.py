"""A class that is served, anew for each test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra serve: pip install -e '.[serve]'")
pytest.importorskip("httpx", reason="needs httpx, which Starlette's test client is made of")
sys.path.insert(0, str(Path(__file__).parent))

import served


@pytest.fixture(scope="session")
def release_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    (folder / served.UNIT).mkdir()
    path = folder / served.UNIT / f"{served.UNIT}.ipynb"
    path.write_bytes(served.class_notebooks.as_bytes(served.class_notebooks.released()))
    return folder


@pytest.fixture
def klass(tmp_path, release_folder):
    return served.Served(tmp_path / "class", release_folder)
