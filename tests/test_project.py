"""The project as a whole: what is committed is what the sources give, set-up survives interruption, nothing leaks."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from leaks import readable, solution_blocks, squeezed

from course_lib import notebooks, settings
from course_lib.authoring import bundle, release, sources
from course_lib.exercises import exercises, judge_module
from course_lib.exercises.answers import answers_beside

ROOT = Path(__file__).resolve().parent.parent
UNITS = list(sources.unit_folders(ROOT))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# --- what is released ---


def test_notebooks_are_what_the_sources_give():
    assert release.stale_files(UNITS, root=ROOT) == [], "run `course release` and commit notebooks/"


def blocks_of(unit: str) -> list[str]:
    """The unit's answers; a line such as `return self.decoder(codes)` may stand elsewhere by its own right."""
    texts = [path.read_text(encoding="utf-8") for path in sources.source_files(sources.folder_of(unit, ROOT))]
    return [block for text in texts for block in solution_blocks(text) if len(block) >= 40]


@pytest.mark.parametrize("unit", UNITS)
def test_no_answer_marker_or_output_lies_under_notebooks(unit):
    blocks = blocks_of(unit)
    assert blocks
    for path in (ROOT / "notebooks" / unit).rglob("*"):
        if path.is_dir() or ".ipynb_checkpoints" in path.parts:
            continue
        assert path.suffix != ".py"
        text = readable(path.name, path.read_bytes())
        assert not re.search("BEGIN SOLUTION|BEGIN HIDDEN|END SOLUTION", text), path
        assert not [block for block in blocks if block in squeezed(text)], path
        if path.suffix == ".ipynb":
            code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
            assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.fixture(scope="module")
def students(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("bundle") / "course.zip"
    bundle.student_bundle(path, root=ROOT)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def test_no_answer_is_in_the_student_bundle(students):
    blocks = [block for unit in UNITS for block in blocks_of(unit)]
    for name, content in students.items():
        text = readable(name, content)
        assert not re.search("BEGIN SOLUTION|BEGIN HIDDEN|END SOLUTION", text), name
        # The library's own versions are public: they refuse to run while an answer is checked.
        if name.startswith("course_lib/") and not name.startswith("course_lib/exercises/"):
            continue
        assert not [block for block in blocks if block in squeezed(text)], name


def test_no_judge_can_be_read_in_the_student_bundle(students):
    judges = list((ROOT / "course_lib/exercises").rglob("judge.py"))
    assert len(judges) >= len(exercises())
    for path in judges:
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        sealed = students[path.relative_to(ROOT).as_posix()].decode()
        assert not [name for name in names if name in sealed]


def test_no_right_answer_and_no_mistake_can_be_read_in_the_student_bundle(students):
    # Notebooks may show a mistake: its damage is what a section is about.
    texts = {name: squeezed(readable(name, content)) for name, content in students.items() if ".ipynb" not in name}
    for exercise in exercises().values():
        known = answers_beside(judge_module(exercise))
        assert f"{known.path.relative_to(ROOT).as_posix()}.gz" in students
        for answer in (*known.right, *known.mistakes):
            body = squeezed(answer.source.partition("\n")[2])
            # What is shorter may stand anywhere by its own right, as `return x.mean()` does.
            if len(body) >= 60:
                assert not [name for name, text in texts.items() if body in text], (exercise.name, answer.name)
            assert not answer.text or not [name for name, text in texts.items() if answer.text in text], answer.name


def test_the_bundle_has_no_sources_and_no_grader(students):
    assert not [name for name in students if name.startswith(("solutions/", "tests/")) or "grading" in name]


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_a_released_notebook_runs_to_its_end_but_for_the_announced_errors(unit, monkeypatch, warm):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    for path in sorted((ROOT / "notebooks" / unit).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook, timeout=180, allow_errors=True, extra_arguments=["--log-level=40"],
            resources={"metadata": {"path": str(path.parent)}},
        )  # fmt: skip
        client.execute()
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if output.output_type != "error":
                    continue
                announced = output.ename == "NotImplementedError" and output.evalue.startswith("Exercise ")
                assert announced or output.ename == "ExerciseNeeded", f"{cell.source}\n{output.ename}: {output.evalue}"
        checks = [cell for cell in notebook.cells if notebooks.kind_of(cell) == "check"]
        assert checks
        for cell in checks:
            (shown,) = [output for output in cell.outputs if output.output_type == "execute_result"]
            assert float(shown.data["text/plain"]) == 0.0 and 'data-state="not_attempted"' in shown.data["text/html"]


# --- what is declared ---


def test_everything_imported_is_declared_with_a_loose_bound():
    project = PROJECT["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[><=!~ ]", line)[0].lower(): line for line in lines}
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", line) for line in declared.values())
    as_imported = {"sklearn": "scikit-learn", "PIL": "pillow", "jinja2": "jinja2", "jupyter_client": "ipykernel"}
    as_imported |= {"IPython": "ipykernel", "traitlets": "ipykernel", "docutils": "sphinx", "math_core": "math-core"}
    as_imported |= {"markupsafe": "jinja2", "yaml": "pyyaml", "dateutil": "python-dateutil"}
    as_imported |= {"python_multipart": "python-multipart"}
    used: set[str] = set()
    for path in (ROOT / "course_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                used.add(node.module.split(".")[0])
    foreign = used - set(sys.stdlib_module_names) - {"course_lib"}
    assert {name for name in foreign if as_imported.get(name, name).lower() not in declared} == set()


def test_the_environment_for_conda_is_the_same_one():
    text = (ROOT / "environment.yml").read_text()
    assert f"python{PROJECT['project']['requires-python']}" in text and "-e ." in text


def test_the_code_keeps_its_rules_of_style():
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed; it comes with the extra dev")
    done = subprocess.run([ruff, "check", "--no-cache", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_what_a_build_server_runs_is_make_test():
    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ['cd "$(dirname "$0")/.." && exec make test']
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_root_is_this_project():
    assert settings.root() == ROOT


# --- what a person can read at one go ---


def line_count(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


FOLDERS = sorted(path.parent for path in (ROOT / "course_lib/exercises").glob("*/*/judge.py"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_exercise_is_a_small_room(folder):
    files = {path.name: line_count(path) for path in folder.iterdir() if path.is_file()}
    assert files.keys() - {"__init__.py"} == {"exercise.py", "judge.py", "mistakes.md"}
    assert sum(files.values()) <= 350, files


def test_no_file_of_code_is_long():
    found = {path: line_count(path) for name in ("course_lib", "tests") for path in (ROOT / name).rglob("*.py")}
    assert len(found) > 300
    assert not {path.relative_to(ROOT).as_posix(): count for path, count in found.items() if count > 500}


# --- make, with a Python that only pretends to set up (what a set-up does is tested in test_set_up.py) ---

FAKE_PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
  "--version") echo "Python $FAKE_VERSION";;
  "-c import sys, venv"*) [ "$FAKE_VERSION" = 3.12.1 ] || exit 1;;
  "-m course_lib set-up")
    mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/course; touch .venv/.course-ready;;
esac
"""


class Folder:
    """A folder with the Makefile and a pretended Python in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, path / "log"
        shutil.copy(ROOT / "Makefile", path)
        (path / "pyproject.toml").write_text("")
        (path / "python").write_text(FAKE_PYTHON)
        (path / "python").chmod(0o755)

    def make(self, *arguments: str, version: str = "3.12.1", **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        variables = {"PATH": os.environ["PATH"], "LOG": str(self.log), "FAKE_VERSION": version, **environment}
        command = ["make", *arguments, f"PYTHON={self.path / 'python'}"]
        return subprocess.run(command, cwd=self.path, env=variables, capture_output=True, text=True, timeout=60)

    def set_ups(self) -> int:
        return self.log.read_text().count("-m course_lib set-up")


@pytest.fixture
def folder(tmp_path) -> Folder:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    return Folder(tmp_path)


def test_make_sets_up_once_and_again_when_the_packages_change(folder):
    assert folder.make("lab").returncode == 0
    assert folder.set_ups() == 1 and folder.log.read_text().splitlines()[-1] == "lab"
    assert folder.make("lab").returncode == 0
    assert folder.log.read_text().splitlines() == ["-c ", "lab"]
    later = (folder.path / ".venv/.course-ready").stat().st_mtime + 10
    os.utime(folder.path / "pyproject.toml", (later, later))
    assert folder.make("lab").returncode == 0
    assert folder.set_ups() == 1


def test_make_sets_up_again_when_the_python_is_gone(folder):
    folder.make("lab")
    (folder.path / ".venv/bin/python").unlink()
    assert folder.make("lab").returncode == 0 and folder.set_ups() == 1


def test_a_python_that_does_not_fit_is_a_clear_message(folder):
    done = folder.make("lab", version="3.9.2")
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr and "Python 3.9.2" in done.stderr
    assert not (folder.path / ".venv").exists()


def test_a_students_copy_has_no_targets_that_need_the_sources(folder):
    done = folder.make("test")
    assert done.returncode != 0 and "needs the course's sources" in done.stderr
    (folder.path / "solutions").mkdir()
    assert folder.make("test").returncode == 0
    assert folder.log.read_text().splitlines()[-1].startswith("-m pytest -q --costs ")
