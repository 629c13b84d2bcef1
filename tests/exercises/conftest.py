import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("tests.exercises.shared")


@pytest.fixture
def toy(monkeypatch):
    import toy

    toy.install(monkeypatch.setattr)
    return toy
