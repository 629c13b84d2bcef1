"""`course new unit` and `course new exercise`: a skeleton that releases and passes its own test at once.

The skeleton's exercise is a real one (center the rows of a table), with criteria, mistakes and an alternative, so that
an author changes something that works instead of filling in blanks.
"""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

from course_lib import files, settings
from course_lib.authoring.sources import source_files, unit_folders

PACKAGE = Path(__file__).resolve().parents[1]
RESERVED = {"contract", "observing", "judging", "messages", "card", "checking", "progress", "judges"}


class AuthoringError(Exception):
    """A skeleton that cannot be written; the text says why."""


def new_unit(unit: str, *, root: Path | None = None, package: Path = PACKAGE) -> list[Path]:
    """Writes a unit with one exercise: source, exercise module, judge and test. Returns the new files.

    Args:
        unit: two digits and a name, such as "11_active_learning".
        root: the project folder.
        package: the folder of course_lib.

    Raises:
        ValueError: the name is not of that form.
        AuthoringError: something of that name is there already; nothing is overwritten.
    """
    root = root or settings.root()
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9]*(_[a-z0-9]+)*", unit):
        raise ValueError(
            f"a unit is named by two digits and words in lower case, 11_active_learning; this is {unit!r}."
        )
    number, _, module = unit.partition("_")
    if module in RESERVED or keyword.iskeyword(module):
        raise ValueError(f"{module!r} cannot be the name of a unit; it is taken by the course's own code.")
    taken = sorted(path.name for path in (root / "solutions").glob(f"{number}_*"))
    if taken:
        raise AuthoringError(f"Number {number} is taken by {taken[0]}.")
    name = f"{module}_center"
    fields = {"UNIT": unit, "MODULE": module, "NAME": name, "TITLE": module.replace("_", " ").capitalize()}
    texts = {
        root / "solutions" / unit / f"{unit}.py": _SOURCE_HEAD + _SOURCE_EXERCISE + _SOURCE_END,
        package / "exercises" / f"{module}.py": _MODULE_HEAD + SKELETON + "\nEXERCISES = (@NAME@,)\n",
        package / "exercises" / "judges" / f"{module}.py": _JUDGE_HEAD + _JUDGE + '\nJUDGES = {"@NAME@": @NAME@}\n',
        root / "tests" / "exercises" / f"test_{module}.py": _TEST,
    }
    return _write_new({path: _filled(text, fields) for path, text in texts.items()})


def new_exercise(unit: str, name: str, *, root: Path | None = None, package: Path = PACKAGE) -> list[Path]:
    """Adds an exercise to a unit: cells at the end of its source, an entry in its module, a judge, a test.

    Args:
        unit: the unit's id.
        name: of the function that learners write.
        root: the project folder.
        package: the folder of course_lib.

    Raises:
        ValueError: the unit does not exist, or the name cannot be a function's.
        AuthoringError: the course has an exercise of that name already, or a file of the unit is missing.
    """
    root = root or settings.root()
    folders = unit_folders(root)
    if unit not in folders:
        raise ValueError(f"there is no unit {unit!r}; the units are: {', '.join(folders) or 'none'}.")
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ValueError(f"{name!r} cannot be the name of a function; take one such as select_confident.")
    source = source_files(folders[unit])[-1]
    module = source.stem.partition("_")[2]  # a unit of two notebooks has a module for each
    exercises = package / "exercises" / f"{module}.py"
    judges = package / "exercises" / "judges" / f"{module}.py"
    for path in (exercises, judges):
        if not path.is_file():
            raise AuthoringError(f"{path} is missing; a unit has a module of exercises and one of judges.")
    for path in sorted((package / "exercises").glob("*.py")):
        if name in _names_defined(path):
            raise AuthoringError(f"{path.name} has something called {name} already; names are unique in the course.")
    if name in _names_defined(judges):
        raise AuthoringError(f"{judges} has something called {name} already.")
    fields = {"UNIT": unit, "MODULE": module, "NAME": name, "TITLE": name.replace("_", " ").capitalize()}
    test = root / "tests" / "exercises" / f"test_{module}.py"
    new_test = {} if test.exists() else {test: _filled(_TEST, fields)}
    # All three texts are made before the first is written.
    changed = {
        source: source.read_text(encoding="utf-8").rstrip("\n") + "\n\n" + _filled(_SOURCE_EXERCISE, fields),
        exercises: _added(exercises, _MODULE_HEAD, SKELETON, "EXERCISES = (*EXERCISES, @NAME@)\n", fields),
        judges: _added(judges, _JUDGE_HEAD, _JUDGE, 'JUDGES = {**JUDGES, "@NAME@": @NAME@}\n', fields),
    }
    for path, text in changed.items():
        files.replace(path, text)
    return [*changed, *_write_new(new_test)]


def _filled(text: str, fields: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: fields[match[1]], text)


def _write_new(texts: dict[Path, str]) -> list[Path]:
    for path in texts:
        if path.exists():
            raise AuthoringError(f"{path} is there already; nothing was written.")
    for path, text in texts.items():
        files.create(path, text)
    return list(texts)


def _names_defined(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _added(path: Path, head: str, body: str, last: str, fields: dict[str, str]) -> str:
    """A module's text with an exercise after its end, and the imports of the skeleton where it lacks them."""
    text = path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    present = {_import_key(node, alias) for node in _imports(text) for alias in node.names}
    missing = []
    for node in _imports(_filled(head, fields)):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":  # nothing in the skeleton depends on it
            continue
        absent = [alias for alias in node.names if _import_key(node, alias) not in present]
        if absent:
            node.names = absent
            missing.append(ast.unparse(node))
    if missing:
        lines = text.split("\n")
        ends = [node.end_lineno or 0 for node in _imports(text)]
        at = max(ends, default=_docstring_end(text))
        lines[at:at] = missing
        text = "\n".join(lines)
    return text + "\n" + _filled(body + "\n" + last, fields)


def _imports(text: str) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))]


def _import_key(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, str, str]:
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    return module, alias.name, alias.asname or alias.name


def _docstring_end(text: str) -> int:
    body = ast.parse(text).body
    has_docstring = bool(body) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return (body[0].end_lineno or 0) if has_docstring else 0


# --- the skeletons, in which @UNIT@, @MODULE@, @NAME@ and @TITLE@ are filled in ---

_SOURCE_HEAD = """# %% [markdown]
# # @TITLE@
#
# *One sentence that claims something you can show with numbers.*
#
# **You will**: implement one function; see it work; see it fail.
#
# **You need**: unit 00. **Time**: 10 minutes of reading, no compute to speak of.

# %% tags=["setup"]
import torch

from course_lib.exercises import checks_for

# %% tags=["setup"]
check = checks_for("@UNIT@")

"""

_SOURCE_EXERCISE = '''# %% [markdown]
# ## @TITLE@
#
# Why it matters, in two or three sentences. Then the equation, and the shapes:
#
# $$y_{ij} = x_{ij} - \\frac{1}{D} \\sum_{k} x_{ik}$$
#
# Each row of `x`, shape `(N, D)`, is moved so that its own mean is zero.

# %% nbgrader={"grade_id": "@NAME@", "solution": true}
def @NAME@(x):
    """Centers each row.

    Args:
        x: (N, D) float tensor; it must not be changed.

    Returns:
        (N, D) tensor of the same dtype whose rows have mean zero.
    """
    ### BEGIN SOLUTION
    row_means = x.mean(dim=1, keepdim=True)  # (N, D) -> (N, 1)
    return x - row_means
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_@NAME@", "grade": true}
check.@NAME@(@NAME@)

'''

_SOURCE_END = """# %% [markdown]
# Now it is used.

# %% tags=["demo"]
check.needs("@NAME@")
@NAME@(torch.tensor([[1.0, 3.0], [10.0, 20.0]]))

# %% [markdown]
# Read the output: the mean of each row has gone, the distances within it have stayed.

# %% [markdown] nbgrader={"grade_id": "@MODULE@_why", "grade": true, "solution": true, "points": 3}
# **Written answer.** When would centering each row destroy what you need?
#
# ### BEGIN SOLUTION
# When the mean itself carries the class: a bright image and a dark image of the same shape become the same rows.
# ### END SOLUTION
"""

_MODULE_HEAD = '''"""Exercises of unit @UNIT@: what a learner may see. The judges are in judges/@MODULE@.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints

UNIT = "@UNIT@"

'''

SKELETON = '''
def _@NAME@_cases(seed: int) -> list[Case]:
    """Fresh tables for any seed: not square, one row, columns first in memory, double precision."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.randn(4, 7, generator=generator) + 3.0
    return [
        Case("wide", {"x": wide}),
        Case("one_row", {"x": torch.randn(1, 5, generator=generator)}),
        Case("transposed", {"x": torch.randn(6, 3, generator=generator).t()}),
        Case("double", {"x": torch.randn(3, 2, generator=generator, dtype=torch.float64)}),
    ]


def _observe_@NAME@(fn: Callable[..., Any], case: Case) -> dict[str, Any]:
    """Raw values only, never a verdict: what came back, and what became of the input."""
    x = case.inputs["x"]
    value = fn(x)
    return {"value": value, "x_afterwards": x}


@NAME@ = Exercise(
    name="@NAME@",
    unit=UNIT,
    title="@TITLE@",
    signature="@NAME@(x)",
    minutes=10,
    difficulty=1,
    points=3,
    hints=Hints(
        concept="Every row has a mean of its own; take it away from that row.",
        api="`Tensor.mean(dim=..., keepdim=...)`",
        skeleton="row_means = x.mean(dim=..., keepdim=...)\\nreturn ...",
    ),
    takeaway="keepdim leaves a dimension of size 1, and broadcasting does the rest.",
    cases=_@NAME@_cases,
    observe=_observe_@NAME@,
)
'''

_JUDGE_HEAD = '''"""Judges of unit @UNIT@: the reference, criteria with points, known mistakes, other right answers."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Criterion, Judge, Mistake, close

'''

_JUDGE = """
def _@NAME@_reference(x):
    return x - torch.einsum("nd->n", x)[:, None] / x.shape[1]


def _@NAME@_by_column(x):
    return x - x.mean(dim=0, keepdim=True)


def _@NAME@_overall(x):
    return x - x.mean()


def _@NAME@_in_place(x):
    x -= x.mean(dim=1, keepdim=True)
    return x


def _@NAME@_row_by_row(x):
    return torch.stack([row - row.mean() for row in x])


@NAME@ = Judge(
    reference=_@NAME@_reference,
    criteria=(
        Criterion(
            "value",
            points=2,
            title="each row has its own mean taken away",
            passes=lambda case, seen, expected: close(seen["value"], expected["value"]),
        ),
        Criterion(
            "input_kept",
            points=1,
            title="the input is left as it was",
            passes=lambda case, seen, expected: close(seen["x_afterwards"], expected["x_afterwards"]),
        ),
    ),
    mistakes=(
        Mistake(
            "by_column",
            _@NAME@_by_column,
            "You took the mean of each column away; the mean of a row runs over dim=1.",
        ),
        Mistake("overall", _@NAME@_overall, "You took one mean over the whole table; each row has its own."),
        Mistake("in_place", _@NAME@_in_place, "You changed the input itself; make a new tensor, `x - ...`."),
    ),
    alternatives=(_@NAME@_row_by_row,),
)
"""

_TEST = '''"""The proof of unit @UNIT@: mistakes are caught and named, right answers get full marks, blank gets 0."""

import pytest

from course_lib.exercises import exercises_of, judge_of
from course_lib.exercises.checking import check
from course_lib.exercises.messages import template_of

UNIT = "@UNIT@"
EXERCISES = exercises_of(UNIT)
MISTAKES = [(exercise, mistake) for exercise in EXERCISES for mistake in judge_of(exercise).mistakes]
RIGHT = [(e, fn) for e in EXERCISES for fn in (judge_of(e).reference, *judge_of(e).alternatives)]


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[f"{e.name}-{m.name}" for e, m in MISTAKES])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_mistake_is_caught_and_named(exercise, mistake, seed):
    result = check(exercise, mistake.fn, seed=seed)
    assert result.state in ("wrong", "error")
    assert result.score < exercise.points
    assert result.mistake == mistake.name
    assert template_of(result.message.id) == mistake.text


@pytest.mark.parametrize(("exercise", "fn"), RIGHT, ids=[f"{e.name}-{fn.__name__}" for e, fn in RIGHT])
def test_right_answers_get_full_marks(exercise, fn):
    result = check(exercise, fn, seed=3)
    assert (result.state, result.score) == ("right", exercise.points)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_an_exercise_is_finished_and_a_blank_answer_gets_nothing(exercise):
    def stub(*args, **kwargs):
        raise NotImplementedError(f"Exercise {exercise.number}: {exercise.name}")

    judge = judge_of(exercise)
    assert len(judge.mistakes) >= 3 and len(judge.alternatives) >= 1
    assert judge.points == exercise.points
    result = check(exercise, stub)
    assert (result.state, result.score) == ("not_attempted", 0)
'''
