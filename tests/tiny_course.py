"""A throw-away course of one small unit, so that these tests depend on no unit of the real one."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
UNIT = "90_tiny"

EXERCISES = {
    "double": SimpleNamespace(name="double", unit=UNIT, number="90.1", points=3, minutes=1),
    "total": SimpleNamespace(name="total", unit=UNIT, number="90.2", points=2, minutes=1),
}

SOURCE = '''# %% [markdown]
# # Tiny: two functions
# Enough to try the release on.

# %% tags=["setup"]
import torch
from course_lib.exercises import checks_for

# %% tags=["setup"]
check = checks_for("90_tiny")

# %% [markdown]
# ## Twice
# $$y = 0.5 \\cdot 4 x$$

# %% nbgrader={"grade_id": "double", "solution": true}
def double(x):
    """Twice x, as a new tensor: (N,) float32 -> (N,) float32."""
    ### BEGIN SOLUTION
    twice_as_much = x + x
    return twice_as_much
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_double", "grade": true}
check.double(double)

# %% [markdown]
# It is used here.

# %% tags=["demo"]
check.needs("double")
print(double(torch.ones(2)))

# %% [markdown]
# ## The sum

# %% nbgrader={"grade_id": "total", "solution": true}
def total(x):
    """The sum of x as a float: (N,) float32 -> float."""
    ### BEGIN SOLUTION
    all_of_it = x.sum()
    return float(all_of_it)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_total", "grade": true}
check.total(total)

# %% [markdown]
# Train for a long time.

# %% tags=["train"]
raise RuntimeError("training cells are not part of a check")

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 3}
# **Why is twice not half?**
#
# ### BEGIN SOLUTION
# Because two times a half is one, and one is not enough.
# ### END SOLUTION
'''

# An answer that a learner begins with code to repair.
WITH_STARTING_CODE = SOURCE.replace(
    "    return float(all_of_it)\n",
    "    return float(all_of_it)\n    ### STARTING CODE\n    # wrong = 0.0\n    #\n    # for number in x:\n"
    "    #     wrong = number  # only the last\n    # return wrong\n",
)

MODULE = """from course_lib.exercises.contract import Case, Exercise, Hints
import torch

UNIT = "90_tiny"


def _cases(seed):
    g = torch.Generator().manual_seed(seed)
    return [Case("few", {"x": torch.randn(3, generator=g)}), Case("many", {"x": torch.randn(40, generator=g)})]


def _observe_double(fn, case):
    x = case.inputs["x"]
    return {"value": fn(x), "input": x}


def _observe_total(fn, case):
    return {"value": fn(case.inputs["x"])}


HINTS = Hints(concept="Add.", api="`+`", skeleton="return ...")
double = Exercise(
    name="double", unit=UNIT, title="Twice", signature="double(x)", minutes=1, difficulty=1, points=3, hints=HINTS,
    takeaway="Twice is a sum.", cases=_cases, observe=_observe_double,
)
total = Exercise(
    name="total", unit=UNIT, title="Sum", signature="total(x)", minutes=1, difficulty=1, points=2, hints=HINTS,
    takeaway="A sum is a number.", cases=_cases, observe=_observe_total,
)
EXERCISES = (double, total)
"""

JUDGE = """from course_lib.exercises.contract import Criterion, Judge, Mistake, close
import torch


def _reference_double(x):
    return 2 * x


def _in_place(x):
    x *= 2
    return x


def _half(x):
    return x / 2


def _same(x):
    return x.clone()


def _add(x):
    return x.add(x)


def _reference_total(x):
    return float(torch.sum(x))


def _as_tensor(x):
    return x.sum()


def _mean(x):
    return float(x.mean())


def _negative(x):
    return -float(x.sum())


def _python(x):
    return float(sum(x.tolist()))


double = Judge(
    reference=_reference_double,
    criteria=(
        Criterion("value", 2, "the value is twice x", lambda case, seen, expected: close(seen["value"], expected["value"])),
        Criterion("kept", 1, "x is left as it was", lambda case, seen, expected: close(seen["input"], expected["input"])),
    ),
    mistakes=(
        Mistake("in_place", _in_place, "You changed the input in place."),
        Mistake("half", _half, "You halved it."),
        Mistake("same", _same, "You gave x back unchanged."),
    ),
    alternatives=(_add,),
)
total = Judge(
    reference=_reference_total,
    criteria=(
        Criterion("value", 2, "the sum", lambda case, seen, expected: close(seen["value"], expected["value"])),
    ),
    mistakes=(
        Mistake("as_tensor", _as_tensor, "Give back a number, not a tensor."),
        Mistake("mean", _mean, "You averaged."),
        Mistake("negative", _negative, "The sign is wrong."),
    ),
    alternatives=(_python,),
)
JUDGES = {"double": double, "total": total}
"""


def write_unit(root: Path, source: str = SOURCE) -> Path:
    """Writes solutions/90_tiny/90_tiny.py under `root` and returns it."""
    path = root / "solutions" / UNIT / f"{UNIT}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


def write_project(root: Path) -> Path:
    """A whole project under `root`: a copy of the package with the tiny unit as its only one."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(PROJECT / "course_lib", root / "course_lib", ignore=leave_out)
    for folder in (root / "course_lib" / "exercises", root / "course_lib" / "exercises" / "judges"):
        for path in folder.glob("*.py"):
            if re.search(r"^(UNIT|JUDGES)\b", path.read_text(encoding="utf-8"), re.MULTILINE):
                path.unlink()
    (root / "course_lib/exercises/tiny.py").write_text(MODULE, encoding="utf-8")
    (root / "course_lib/exercises/judges/tiny.py").write_text(JUDGE, encoding="utf-8")
    (root / "course_lib/exercises/judges/__init__.py").touch()
    for name in ("pyproject.toml", "environment.yml", "Makefile", "LICENSE", "README.md", "nbgrader_config.py"):
        shutil.copy(PROJECT / name, root / name)
    write_unit(root)
    return root


def run_course(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `course ...` on the project under `root`, in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    variables = {**clean, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "COURSE_PROFILE": "smoke", **environment}
    command = [sys.executable, "-m", "course_lib", *arguments]
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, timeout=300)


def install(monkeypatch: Any) -> dict[str, Any]:
    """Makes the tiny unit the only one that the running process knows; returns its exercises by name."""
    from course_lib import exercises

    modules = {}
    for name, text in (("course_lib.exercises.tiny", MODULE), ("course_lib.exercises.judges.tiny", JUDGE)):
        modules[name] = types.ModuleType(name)
        exec(compile(text, f"<{name}>", "exec"), modules[name].__dict__)
        monkeypatch.setitem(sys.modules, name, modules[name])
    numbered = tuple(
        dataclasses.replace(exercise, number=f"90.{number}")
        for number, exercise in enumerate(modules["course_lib.exercises.tiny"].EXERCISES, start=1)
    )
    monkeypatch.setattr(exercises, "_registry", lambda: {UNIT: numbered})
    monkeypatch.setattr(exercises, "_modules", lambda: [modules["course_lib.exercises.tiny"]])
    return {exercise.name: exercise for exercise in numbered}


def line_of(source: str, text: str) -> int:
    """The line of a source that a text begins at."""
    return source[: source.index(text)].count("\n") + 1
