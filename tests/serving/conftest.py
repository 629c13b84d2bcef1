"""A class that is served, anew for each test.

With COURSE_POSTGRESQL=postgresql+psycopg://USER@HOST/NAME all tests use that data base, whose tables they delete.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra serve: pip install -e '.[serve]'")
pytest.importorskip("httpx", reason="needs httpx, which Starlette's test client is made of")
sys.path.insert(0, str(Path(__file__).parent))

import served

from course_lib.serving import database

POSTGRESQL = os.environ.get("COURSE_POSTGRESQL", "").strip()


@pytest.fixture(scope="session")
def release_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    (folder / served.UNIT).mkdir()
    path = folder / served.UNIT / f"{served.UNIT}.ipynb"
    path.write_bytes(served.class_notebooks.as_bytes(served.class_notebooks.released()))
    return folder


@pytest.fixture(autouse=True)
def empty():
    """A data base server keeps its tables from one test to the next."""
    if POSTGRESQL:
        with database.Database(POSTGRESQL).writing() as connection:
            database.tables.drop_all(connection)


@pytest.fixture
def klass(tmp_path, release_folder):
    made = served.Served(tmp_path / "class", release_folder, url=POSTGRESQL)
    yield made
    made.room.database.close()


@pytest.fixture
def sqlite_only():
    """For what only a data base in a file can suffer."""
    if POSTGRESQL:
        pytest.skip("about a data base that is a file")
