"""One released notebook and one sandboxed zygote for all tests of the grader."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from course_lib.grading.inside.protocol import Limits  # noqa: E402

LIMITS = Limits(
    cells_seconds=1, exercise_seconds=1, wall_seconds=40, memory_bytes=300 << 20, processes=12, file_bytes=8 << 20
)
UNIT_FOLDER = str(HERE / "unit")
SECRET = b"the secret of the tests, 32 bytes"


@pytest.fixture(scope="module", autouse=True)
def unit_known():
    """The tests' own unit, known to the registry while the tests of a file here run, and to no other test."""
    from course_lib import exercises as registry
    from course_lib.grading.outside.options import use_exercise_folders

    use_exercise_folders([UNIT_FOLDER])
    yield UNIT_FOLDER
    registry.__path__.remove(UNIT_FOLDER)
    registry.forget_units()


@pytest.fixture(scope="session")
def options():
    from course_lib.grading.outside.options import Options

    return Options(limits=LIMITS, secret=SECRET, exercise_folders=(UNIT_FOLDER,))


@pytest.fixture(scope="session")
def release_folder(tmp_path_factory):
    import class_notebooks as notebooks

    folder = tmp_path_factory.mktemp("release")
    (folder / notebooks.UNIT).mkdir()
    (folder / notebooks.UNIT / f"{notebooks.UNIT}.ipynb").write_bytes(notebooks.as_bytes(notebooks.released()))
    return folder


@pytest.fixture(scope="session")
def release(release_folder):
    import class_notebooks as notebooks

    from course_lib.grading.outside.submission import read_release

    return read_release(release_folder, notebooks.UNIT)[0]


@pytest.fixture(scope="session")
def zygote(options):
    """A zygote at the best level this machine has; without one, the tests skip and say why."""
    from course_lib.grading.outside.isolation import IsolationError
    from course_lib.grading.outside.zygotes import Zygote

    try:
        running = Zygote(options)
    except IsolationError as fault:
        pytest.skip(f"needs isolation: {fault}")
    with running:
        yield running


@pytest.fixture(scope="session")
def graded(zygote, release):
    """Grades a notebook (a dict, or the bytes of a file) in the shared zygote."""
    import class_notebooks as notebooks

    from course_lib.grading.outside.grade import grade_submission
    from course_lib.grading.outside.submission import Submission

    def grade_it(notebook, *, student: str = "ada"):
        data = notebook if isinstance(notebook, bytes) else notebooks.as_bytes(notebook)
        one = Submission(student, notebooks.UNIT, notebooks.UNIT, data)
        return grade_submission(zygote, release, one, key="key")

    return grade_it
