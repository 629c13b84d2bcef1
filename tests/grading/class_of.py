"""Grades a folder of submissions with the tests' options in a process of its own, to be killed by a test."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import class_notebooks as notebooks  # noqa: E402
from conftest import LIMITS, SECRET  # noqa: E402

from course_lib.grading.outside import pool  # noqa: E402
from course_lib.grading.outside.finding import find  # noqa: E402
from course_lib.grading.outside.options import Options, use_exercise_folders  # noqa: E402
from course_lib.grading.outside.submission import read_release  # noqa: E402


def main(submissions: str, release: str, out: str, workers: str) -> None:
    folder = str(HERE / "unit")
    use_exercise_folders([folder])
    released = read_release(Path(release), notebooks.UNIT)
    found = find(Path(submissions), [notebooks.UNIT], {notebooks.UNIT: released}).submissions
    options = Options(limits=LIMITS, secret=SECRET, exercise_folders=(folder,))
    by_name = {(r.unit, r.notebook): r for r in released}
    pool.grade_all(found, by_name, options, pool.Plan(Path(out), workers=int(workers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
