"""`course new unit` and `course new exercise`: a skeleton that releases and passes the tests of all exercises at once.

The skeleton's exercise, in the folder `skeleton`, is a real one (center the rows of a table), with criteria, mistakes
and right answers, so that an author changes something that works instead of filling in blanks.
"""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

from course_lib import files, settings
from course_lib.authoring.sources import source_files, unit_folders

PACKAGE = Path(__file__).resolve().parents[1]
SKELETON = Path(__file__).resolve().parent / "skeleton"
RESERVED = {"contract", "observing", "judging", "messages", "card", "checking", "progress", "answers"}


class AuthoringError(Exception):
    """A skeleton that cannot be written; the text says why."""


def new_unit(unit: str, *, root: Path | None = None, package: Path = PACKAGE) -> list[Path]:
    """Writes a unit with one exercise: its source, and the three files of its exercise. Returns the new files.

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
    room = package / "exercises" / module
    return _write_new(
        {
            root / "solutions" / unit / f"{unit}.py": _filled(_SOURCE_HEAD + _SOURCE_EXERCISE + _SOURCE_END, fields),
            room / "__init__.py": _filled(_PACKAGE, fields),
            **_three_files(room, name),
        }
    )


def new_exercise(unit: str, name: str, *, root: Path | None = None, package: Path = PACKAGE) -> list[Path]:
    """Adds an exercise to a unit: cells at the end of its source, an entry in its list, and the exercise's three files.

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
    room = package / "exercises" / source.stem.partition("_")[2]  # a unit of two notebooks has a folder for each
    listing = room / "__init__.py"
    if not listing.is_file():
        raise AuthoringError(f"{listing} is missing; it lists the unit's exercises.")
    for path in sorted((package / "exercises").glob("*/*/exercise.py")):
        if re.search(rf'\bname="{name}"', path.read_text(encoding="utf-8")):
            raise AuthoringError(f"{path} has the name {name} already; names are unique in the course.")
    new = _three_files(room, name)
    fields = {"UNIT": unit, "NAME": name, "TITLE": name.replace("_", " ").capitalize()}
    changed = {
        source: source.read_text(encoding="utf-8").rstrip("\n") + "\n\n" + _filled(_SOURCE_EXERCISE, fields),
        listing: _listed(listing, name),
    }
    written = _write_new(new)
    for path, text in changed.items():
        files.replace(path, text)
    return [*changed, *written]


def folder_of(name: str) -> str:
    """The folder of an exercise: its name in lower case, `early_stopping` for EarlyStopping."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _three_files(room: Path, name: str) -> dict[Path, str]:
    """The skeleton's exercise under another name."""
    title = name.replace("_", " ").capitalize()
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(SKELETON.iterdir()) if path.is_file()}
    return {
        room / folder_of(name) / file: text.replace("center_rows", name).replace("Center rows", title)
        for file, text in texts.items()
    }


def _listed(listing: Path, name: str) -> str:
    """The text of a unit's `__init__.py` with an exercise added at the end of EXERCISES.

    Raises:
        AuthoringError: EXERCISES is not written as a tuple of strings.
    """
    text = listing.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXERCISES":
            folders = (*ast.literal_eval(node.value), folder_of(name))
            lines = text.splitlines()
            lines[node.lineno - 1 : node.end_lineno] = ["EXERCISES = (", *(f'    "{each}",' for each in folders), ")"]
            return "\n".join(lines) + "\n"
    raise AuthoringError(f"{listing} defines no EXERCISES, a tuple of the names of folders.")


def _filled(text: str, fields: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: fields[match[1]], text)


def _write_new(texts: dict[Path, str]) -> list[Path]:
    for path in texts:
        if path.exists():
            raise AuthoringError(f"{path} is there already; nothing was written.")
    for path, text in texts.items():
        files.create(path, text)
    return list(texts)


# ---------------------------------------------------------------------------------------------------------------------
# The skeletons. @UNIT@, @MODULE@, @NAME@ and @TITLE@ are filled in.

_SOURCE_HEAD = """# %% [markdown]
# # @TITLE@
#
# *A question that this unit answers with numbers.*
#
# **You will** implement one function, see it work, and see it fail.
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

_PACKAGE = '''"""Unit @UNIT@: its exercises, in the notebook's order."""

UNIT = "@UNIT@"
EXERCISES = (
    "@NAME@",
)
'''
