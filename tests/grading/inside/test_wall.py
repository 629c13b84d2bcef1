"""The wall: what runs beside students' code works where nothing that knows an answer exists."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import course_lib
from course_lib.grading.outside import staging

PACKAGE = Path(course_lib.__file__).parent
PACKAGES = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
WITHHELD = (
    "course_lib.authoring",
    "course_lib.desk",
    "course_lib.exercises.checking",
    "course_lib.exercises.answers",
    "course_lib.exercises.judging",
    "course_lib.exercises.pretext_tasks.rotate_batch.judge",
    "course_lib.grading.exports",
    "course_lib.grading.outside",
)

# Runs cells as a submission does, and observes an answer as an observer does; says what it loaded, and from where.
OBSERVES = """
import importlib, json, socket, sys
stage, packages, *withheld = sys.argv[1:]
sys.path[:0] = [stage, *packages.split(":")]
from course_lib import exercises
from course_lib.grading.inside import student_code, transport, zygote
exercises.silence_checks()
setup = "import torch\\nfrom course_lib.exercises import checks_for, predictions_for\\n"
setup += "check = checks_for('04_pretext_tasks')\\npredict = predictions_for('04_pretext_tasks')\\n"
predicts = "predict.hardest('star')\\npredict.no_such_name.compare(1)\\npredict.summary()"
answer = "def rotate_batch(images, k):\\n    print('here')\\n    return torch.rot90(images, k, dims=(2, 3))\\n"
for cell in (setup, predicts, answer, "check.rotate_batch(rotate_batch)"):
    assert student_code.run_cell(cell, 100) == {"printed": "", "error": None}
exercise = exercises.exercise_named("rotate_batch")
cases = [{"name": case.name, "inputs": case.inputs} for case in exercise.cases(0)]
ours, theirs = socket.socketpair()
names = student_code.Names(student_code.the_shell().user_ns, ())
names.end()
request = {"exercise": "rotate_batch", "cases": cases, "view": "answer"}
transport.send_packed(theirs, student_code._observation_of(request, names, student_code.Observing.now()))
observations = transport.receive(ours)["observations"]
assert len(observations) == len(cases) and not any(one["error"] for one in observations)
assert observations[0]["values"]["rotated"].ndim == 4 and observations[0]["printed"] == "here\\n"
places = [m.__file__ or m.__path__[0] for n, m in sys.modules.items() if n.startswith("course_lib")]
elsewhere = [place for place in places if stage not in place]
found = []
for name in withheld:
    try:
        importlib.import_module(name)
        found.append(name)
    except ModuleNotFoundError:
        pass
print(json.dumps([elsewhere, found]))
"""


def observe(stage: Path, *names: str) -> subprocess.CompletedProcess[str]:
    # Without `site`: where the course is installed in place, its finder would look there for what the copy lacks.
    command = [sys.executable, "-I", "-S", "-c", OBSERVES, str(stage), ":".join(PACKAGES), *names]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Path:
    return staging.stage_library([PACKAGE], tmp_path_factory.mktemp("stage"))


def test_an_exercise_is_observed_where_nothing_that_knows_an_answer_exists(stage) -> None:
    done = observe(stage, *WITHHELD)
    assert (done.stdout, done.returncode) == ("[[], []]\n", 0), done.stderr


def test_an_import_of_the_judges_half_ends_the_inside_there(stage, tmp_path) -> None:
    shutil.copytree(stage, tmp_path / "copy")
    inner = tmp_path / "copy" / "course_lib" / "grading" / "inside" / "student_code.py"
    inner.write_text(inner.read_text() + "\nfrom course_lib.exercises.judging import judge_observations\n")
    done = observe(tmp_path / "copy")
    assert done.returncode == 1 and "No module named 'course_lib.exercises.judging'" in done.stderr


def test_all_that_inside_names_is_in_the_copy(stage) -> None:
    """Imports inside functions too, which only run when they are needed."""
    named = set()
    for path in (PACKAGE / "grading" / "inside").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name for name in named if name.startswith("course_lib.")}
    assert len(ours) > 10
    for name in ours:
        path = PACKAGE.parent.joinpath(*name.split("."))
        exists = path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
        copy = stage.joinpath(*name.split("."))
        assert not exists or copy.with_suffix(".py").is_file() or (copy / "__init__.py").is_file(), name
