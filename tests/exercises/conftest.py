import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def toy(monkeypatch):
    import toy

    toy.install(monkeypatch.setattr)
    return toy
