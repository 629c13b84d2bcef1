"""Grades one notebook from a file in a process of its own, and prints the result; for tests that need another user."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import class_notebooks as notebooks  # noqa: E402
from conftest import LIMITS, SECRET  # noqa: E402

from course_lib.grading.outside import grade  # noqa: E402
from course_lib.grading.outside.options import Options, use_exercise_folders  # noqa: E402
from course_lib.grading.outside.submission import Submission, read_release  # noqa: E402
from course_lib.grading.outside.zygotes import Zygote  # noqa: E402


def main(isolation: str, release: str, *files: str) -> None:
    folder = str(HERE / "unit")
    use_exercise_folders([folder])
    released = read_release(Path(release), notebooks.UNIT)[0]
    options = Options(isolation=isolation, limits=LIMITS, secret=SECRET, exercise_folders=(folder,))
    with Zygote(options) as zygote:
        for file in files:
            one = Submission("ada", notebooks.UNIT, notebooks.UNIT, Path(file).read_bytes())
            print(json.dumps(grade.grade_submission(zygote, released, one, key="k")))


if __name__ == "__main__":
    main(*sys.argv[1:])
