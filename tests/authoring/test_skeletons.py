"""What `course new` writes releases and passes its own test at once, and overwrites nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_course

from course_lib.authoring import skeletons, sources


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tiny_course.write_project(tmp_path_factory.mktemp("project"))
    package = root / "course_lib"
    skeletons.new_unit("91_try_out", root=root, package=package)
    skeletons.new_exercise("91_try_out", "spin", root=root, package=package)
    skeletons.new_exercise(tiny_course.UNIT, "twirl", root=root, package=package)
    return root


def test_the_skeleton_releases(project):
    done = tiny_course.run_course(project, "release")
    assert done.returncode == 0, done.stderr
    text = (project / "notebooks" / "91_try_out" / "91_try_out.ipynb").read_text()
    assert "Exercise 91.1: try_out_center" in text and "Exercise 91.2: spin" in text
    assert "Exercise 90.3: twirl" in (project / "notebooks" / "90_tiny" / "90_tiny.ipynb").read_text()


def test_the_skeleton_passes_its_own_test(project):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    variables = {**clean, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/exercises"]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert {path.name for path in (project / "tests" / "exercises").glob("test_*.py")} == {
        "test_try_out.py",
        "test_tiny.py",
    }


def test_the_skeleton_keeps_the_rules_of_style(project):
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed; it comes with the extra dev")
    names = [
        "course_lib/exercises/try_out.py",
        "course_lib/exercises/judges/try_out.py",
        "tests",
        "solutions/91_try_out",
    ]
    done = subprocess.run([ruff, "check", "--no-cache", *names], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda root, lib: skeletons.new_unit("91_again", root=root, package=lib),
            skeletons.AuthoringError,
            "is taken",
        ),
        (lambda root, lib: skeletons.new_unit("Next", root=root, package=lib), ValueError, "two digits"),
        (lambda root, lib: skeletons.new_unit("92_card", root=root, package=lib), ValueError, "own code"),
        (
            lambda root, lib: skeletons.new_unit("92_tiny", root=root, package=lib),
            skeletons.AuthoringError,
            "tiny.py is",
        ),
        (lambda root, lib: skeletons.new_exercise("93_no", "f", root=root, package=lib), ValueError, "no unit '93_no'"),
        (lambda root, lib: skeletons.new_exercise("90_tiny", "a b", root=root, package=lib), ValueError, "function"),
        (
            lambda root, lib: skeletons.new_exercise("91_try_out", "double", root=root, package=lib),
            skeletons.AuthoringError,
            "unique in the course",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_changes(project, call, error, said):
    def everything() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in project.rglob("*.py")}

    before = everything()
    with pytest.raises(error, match=said):
        call(project, project / "course_lib")
    assert everything() == before


def test_a_new_exercise_keeps_what_the_modules_had(project):
    module = (project / "course_lib/exercises/tiny.py").read_text()
    assert "EXERCISES = (double, total)" in module and module.rstrip().endswith("EXERCISES = (*EXERCISES, twirl)")
    source = sources.source_files(project / "solutions" / "90_tiny")[0].read_text()
    assert source.startswith(tiny_course.SOURCE.rstrip("\n"))


def test_the_guide_followed_literally_gives_a_finished_exercise(tmp_path):
    """CONTRIBUTING.md's three pieces of code, put where it says, in a unit of this size."""
    name = "top_two_accuracy"
    guide = (skeletons.PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    answer, seen, judge = re.findall(r"```python\n(.*?)```", guide, re.S)
    root = tiny_course.write_project(tmp_path)
    source, module, judges, *_ = skeletons.new_exercise("90_tiny", name, root=root, package=root / "course_lib")
    for path, start, end, piece in (
        (source, f'# %% nbgrader={{"grade_id": "{name}"', f'# %% nbgrader={{"grade_id": "check_{name}"', answer),
        (module, f"def _{name}_cases", "EXERCISES = (*EXERCISES", seen),
        (judges, f"def _{name}_reference", "JUDGES = {**JUDGES", judge),
    ):
        text = path.read_text(encoding="utf-8")
        before, after = text.index(start), text.index(end)
        path.write_text(f"{text[:before]}{piece}\n{text[after:]}", encoding="utf-8")
    done = tiny_course.run_course(root, "release")
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/exercises", "-k", name]
    variables = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout, "three mistakes on two seeds, two right answers, one blank"


def test_in_a_unit_of_two_notebooks_an_exercise_goes_to_the_second(tmp_path):
    root = tiny_course.write_project(tmp_path)
    package = root / "course_lib"
    skeletons.new_unit("94_pair", root=root, package=package)
    for folder in (root / "solutions" / "94_pair", package / "exercises", package / "exercises" / "judges"):
        (one,) = folder.glob("*pair.py")
        text = one.read_text()
        one.with_stem(f"{one.stem}_2").write_text(text.replace("pair_center", "pair_spread"))
        one.rename(one.with_stem(f"{one.stem}_1"))
    changed = skeletons.new_exercise("94_pair", "whirl", root=root, package=package)
    assert {path.name for path in changed} == {"94_pair_2.py", "pair_2.py", "test_pair_2.py"}
    for path in (package / "exercises" / "pair_2.py", package / "exercises" / "judges" / "pair_2.py"):
        assert "whirl" in path.read_text()
        assert "whirl" not in path.with_stem("pair_1").read_text()
