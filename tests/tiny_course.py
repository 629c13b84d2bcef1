"""A throw-away course of one small unit, so that these tests depend on no unit of the real one."""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
UNIT = "90_tiny"

EXERCISES = {
    "double": SimpleNamespace(name="double", unit=UNIT, number="90.1", points=3, minutes=1, difficulty=1),
    "total": SimpleNamespace(name="total", unit=UNIT, number="90.2", points=2, minutes=1, difficulty=1),
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

ROOMS = {
    "__init__.py": """UNIT = "90_tiny"
EXERCISES = (
    "double",
    "total",
)
""",
    "exercise.py": """from course_lib.exercises.contract import Case, Hints, drawing

HINTS = Hints(concept="Add.", api="`+`", skeleton="return ...")


def cases(seed):
    normal = drawing(seed).normal
    return [Case("few", {"x": normal(3)}), Case("many", {"x": normal(40)})]
""",
    "double/exercise.py": """from course_lib.exercises.contract import Exercise
from course_lib.exercises.tiny.exercise import HINTS, cases


def observe(fn, case):
    x = case.inputs["x"]
    return {"value": fn(x), "input": x}


exercise = Exercise(
    name="double", title="Twice", signature="double(x)", minutes=1, difficulty=1, points=3, hints=HINTS,
    takeaway="Twice is a sum.", cases=cases, observe=observe,
)
""",
    "double/judge.py": """from course_lib.exercises.contract import Criterion, Judge, close

judge = Judge(
    reference=lambda x: 2 * x,
    criteria=(
        Criterion("value", 2, "the value is twice x", lambda case, seen, expected: close(seen["value"], expected["value"])),
        Criterion("kept", 1, "x is left as it was", lambda case, seen, expected: close(seen["input"], expected["input"])),
    ),
)
""",
    "double/mistakes.md": """# Right answers

## add
```python
def double(x):
    return x.add(x)
```

# Mistakes

## in_place
You changed the input in place.
```diff
-    return x.add(x)
+    x *= 2
+    return x
```

## half
You halved it.
```diff
-    return x.add(x)
+    return x / 2
```

## same
You gave x back unchanged.
```diff
-    return x.add(x)
+    return x.clone()
```
""",
    "total/exercise.py": """from course_lib.exercises.contract import Exercise
from course_lib.exercises.tiny.exercise import HINTS, cases

exercise = Exercise(
    name="total", title="Sum", signature="total(x)", minutes=1, difficulty=1, points=2, hints=HINTS,
    takeaway="A sum is a number.", cases=cases, observe=lambda fn, case: {"value": fn(case.inputs["x"])},
)
""",
    "total/judge.py": """import torch

from course_lib.exercises.contract import Criterion, Judge, close

judge = Judge(
    reference=lambda x: float(torch.sum(x)),
    criteria=(
        Criterion("value", 2, "the sum", lambda case, seen, expected: close(seen["value"], expected["value"])),
    ),
)
""",
    "total/mistakes.md": """# Right answers

## python
```python
def total(x):
    return float(sum(x.tolist()))
```

# Mistakes

## as_tensor
Give back a number, not a tensor.
```diff
-    return float(sum(x.tolist()))
+    return x.sum()
```

## mean
You averaged.
```diff
-    return float(sum(x.tolist()))
+    return float(x.mean())
```

## negative
The sign is wrong.
```diff
-    return float(sum(x.tolist()))
+    return -float(x.sum())
```
""",
}


def write_unit(root: Path, source: str = SOURCE) -> Path:
    """Writes solutions/90_tiny/90_tiny.py under `root` and returns it."""
    path = root / "solutions" / UNIT / f"{UNIT}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


def write_rooms(folder: Path) -> None:
    """Writes the tiny unit's exercises into a folder of units."""
    for name, text in ROOMS.items():
        path = folder / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write_project(root: Path) -> Path:
    """A whole project under `root`: a copy of the package with the tiny unit as its only one."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(PROJECT / "course_lib", root / "course_lib", ignore=leave_out)
    for listing in (root / "course_lib" / "exercises").glob("*/__init__.py"):
        if "\nEXERCISES = " in listing.read_text(encoding="utf-8"):  # a unit
            shutil.rmtree(listing.parent)
    write_rooms(root / "course_lib" / "exercises")
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

    folder = Path(tempfile.mkdtemp(prefix="tiny-units-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_rooms(folder)
    monkeypatch.setattr(exercises, "__path__", [*exercises.__path__, str(folder)])
    package = importlib.import_module("course_lib.exercises.tiny")
    monkeypatch.setattr(exercises, "packages", lambda: [package])
    for name in ("_registry", "_folders", "judge_of"):
        monkeypatch.setattr(exercises, name, functools.cache(getattr(exercises, name).__wrapped__))
    return exercises.exercises()


def line_of(source: str, text: str) -> int:
    """The line of a source that a text begins at."""
    return source[: source.index(text)].count("\n") + 1
