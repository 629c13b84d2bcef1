"""What `course new` writes releases and passes its own test at once, and overwrites nothing."""

from __future__ import annotations

import os
import re
import shutil
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


def proven(project: Path, *arguments: str) -> str:
    """Runs the tests of every exercise on a project; returns what pytest printed."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    variables = {**clean, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    test = project / "tests" / "exercises" / "test_every_exercise.py"
    test.parent.mkdir(parents=True, exist_ok=True)
    for name in (test.name, "known.py"):
        shutil.copy(Path(__file__).parents[1] / "exercises" / name, test.with_name(name))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test), *arguments]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_skeleton_passes_the_tests_of_every_exercise(project):
    names = ("try_out_center", "spin", "twirl")
    said = proven(project, "-rp", "-k", " or ".join(names))
    for name in names:
        assert re.search(rf"PASSED .*test_a_mistake_loses_points_and_is_named\[{name}-", said), said


def test_the_skeleton_keeps_the_rules_of_style(project):
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed; it comes with the extra dev")
    names = ["course_lib/exercises/try_out", "solutions/91_try_out"]
    for command in ("check", "format"):
        check = ["--check"] if command == "format" else []
        where = names[:1] if command == "format" else names
        done = subprocess.run(
            [ruff, command, *check, "--no-cache", *where], cwd=project, capture_output=True, text=True
        )
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
            "is there already",
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


def test_a_new_exercise_keeps_what_the_unit_had(project):
    listing = (project / "course_lib/exercises/tiny/__init__.py").read_text()
    assert re.findall(r'^    "(.*)",$', listing, re.M) == ["double", "total", "twirl"]
    source = sources.source_files(project / "solutions" / "90_tiny")[0].read_text()
    assert source.startswith(tiny_course.SOURCE.rstrip("\n"))


def test_a_class_gets_a_folder_in_lower_case(tmp_path):
    root = tiny_course.write_project(tmp_path)
    changed = skeletons.new_exercise("90_tiny", "EarlyStopping", root=root, package=root / "course_lib")
    room = root / "course_lib" / "exercises" / "tiny" / "early_stopping"
    assert {room / name for name in ("exercise.py", "judge.py", "mistakes.md")} <= set(changed)
    assert 'name="EarlyStopping"' in (room / "exercise.py").read_text()


def test_the_guide_followed_literally_gives_a_finished_exercise(tmp_path):
    """CONTRIBUTING.md's pieces, put where it says, in a unit of this size."""
    name = "top_two_accuracy"
    guide = (skeletons.PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    answer, seen, judge = re.findall(r"```python\n(.*?)^```$", guide, re.S | re.M)[:3]
    known = re.search(r"````markdown\n(.*?)^````$", guide, re.S | re.M)[1]
    root = tiny_course.write_project(tmp_path)
    source, _, *three = skeletons.new_exercise("90_tiny", name, root=root, package=root / "course_lib")
    text = source.read_text(encoding="utf-8")
    before, after = (
        text.index(f'# %% nbgrader={{"grade_id": "{name}"'),
        text.index('# %% nbgrader={"grade_id": "check_'),
    )
    after = text.index(f'# %% nbgrader={{"grade_id": "check_{name}"')
    source.write_text(f"{text[:before]}{answer}\n{text[after:]}", encoding="utf-8")
    for path, piece in zip(sorted(three), (seen, judge, known), strict=True):
        path.write_text(piece, encoding="utf-8")
    done = tiny_course.run_course(root, "release")
    assert done.returncode == 0, done.stderr
    assert "22 passed" in proven(root, "-k", name), (
        "three mistakes on two seeds, three right answers on three, and seven more"
    )


def test_in_a_unit_of_two_notebooks_an_exercise_goes_to_the_second(tmp_path):
    root = tiny_course.write_project(tmp_path)
    package = root / "course_lib"
    skeletons.new_unit("94_pair", root=root, package=package)
    (source,) = (root / "solutions" / "94_pair").glob("*.py")
    source.with_stem("94_pair_2").write_text(source.read_text().replace("pair_center", "pair_spread"))
    source.rename(source.with_stem("94_pair_1"))
    shutil.copytree(package / "exercises" / "pair", package / "exercises" / "pair_2")
    (package / "exercises" / "pair").rename(package / "exercises" / "pair_1")
    changed = skeletons.new_exercise("94_pair", "whirl", root=root, package=package)
    assert {path.name for path in changed} == {"94_pair_2.py", "__init__.py", "exercise.py", "judge.py", "mistakes.md"}
    assert "whirl" in (package / "exercises" / "pair_2" / "__init__.py").read_text()
    assert "whirl" not in (package / "exercises" / "pair_1" / "__init__.py").read_text()
