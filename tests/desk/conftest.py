"""A project with the tiny unit released, for a learner to work in."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_course
import tiny_work

from course_lib.authoring import release

UNIT = tiny_course.UNIT


@pytest.fixture(scope="session")
def releases(tmp_path_factory) -> dict[str, bytes]:
    """The tiny notebook as first released, and a later version of it."""
    root = tmp_path_factory.mktemp("releases")
    built = {}
    later = tiny_course.SOURCE.replace("It is used here", "It is used there").replace(
        "The sum of x", "The whole sum of x"
    )
    for name, source in (("first", tiny_course.SOURCE), ("later", later)):
        tiny_course.write_unit(root, source)
        built[name] = release.build_unit(UNIT, root=root, exercises=tiny_course.EXERCISES)[tiny_work.NAME]
    return built


@pytest.fixture
def root(tmp_path, releases, monkeypatch) -> Path:
    monkeypatch.delenv("COURSE_WORK", raising=False)
    tiny_work.put_out(tmp_path, releases["first"])
    return tmp_path
