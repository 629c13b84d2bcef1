"""What a notebook of the course says of itself: the kinds of its cells, nbgrader's metadata, its release.

Cells are read as plain data, from a notebook of nbformat or from JSON. Nothing here raises on a notebook that makes no
sense, because learners and graders read notebooks that others have written.
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any

from course_lib import settings

COURSE_ID = "few-labels"  # the course's name in nbgrader's gradebook
CHECK = "check_"  # the grade_id of a check is this and the exercise's name
# Without it, the debugger of a kernel warns on the terminal that modules are frozen.
QUIET_DEBUGGER = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


class CellKind(StrEnum):
    """What a cell is for."""

    TEXT = "text"
    WRITTEN = "written"  # an answer in words, which a person grades
    ANSWER = "answer"
    CHECK = "check"
    SETUP = "setup"
    PREDICT = "predict"  # where a learner stores a prediction, before the cell that measures
    DEMO = "demo"
    TRAIN = "train"
    UNTAGGED = "untagged"  # code that nothing names, such as a cell that a learner added


TAGS = (CellKind.SETUP, CellKind.PREDICT, CellKind.DEMO, CellKind.TRAIN)  # kinds that an author writes as a tag


def kind_of(cell: Mapping[str, Any]) -> CellKind:
    """What a cell is for, from its type, nbgrader's metadata and its tags."""
    nbgrader = nbgrader_of(cell)
    if cell.get("cell_type") != "code":
        return CellKind.WRITTEN if nbgrader.get("solution") else CellKind.TEXT
    if nbgrader.get("solution"):
        return CellKind.ANSWER
    if nbgrader.get("grade"):
        return CellKind.CHECK
    return next((kind for kind in TAGS if kind in _tags_of(cell)), CellKind.UNTAGGED)


def _tags_of(cell: Mapping[str, Any]) -> list[Any]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return tags if isinstance(tags, list) else []


def nbgrader_of(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """A cell's nbgrader metadata; {} when there is none or it makes no sense."""
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def grade_id_of(cell: Mapping[str, Any]) -> str:
    """The name that nbgrader knows a cell by; "" for a cell that it does not know."""
    return str(nbgrader_of(cell).get("grade_id") or "")


def source_of(cell: Mapping[str, Any]) -> str:
    """A cell's text; notebooks store it as a string or as a list of lines."""
    source = cell.get("source")
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str))


def notebook_text(notebook: Any) -> str:
    """A notebook of nbformat as the text of its file: keys sorted, one line end at its end."""
    import nbformat

    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def release_hash(notebook: Any) -> str:
    """Sixteen hex digits that change when anything in a released notebook does."""
    bare = copy.deepcopy(notebook)
    bare.metadata.get("course", {}).pop("release", None)
    return hashlib.sha256(notebook_text(bare).encode()).hexdigest()[:16]


def release_of(notebook: Mapping[str, Any]) -> str:
    """The release that a notebook was copied from, as `release_hash` gave it; "" when it does not say."""
    metadata = notebook.get("metadata")
    course = metadata.get("course") if isinstance(metadata, Mapping) else None
    return str(course.get("release", "")) if isinstance(course, Mapping) else ""


def is_from_release(cell: Mapping[str, Any]) -> bool:
    """Whether a cell came with a release; cells that a learner adds in Jupyter have random ids."""
    return bool(re.fullmatch(r"cell-\d{3}(-\d+)?", str(cell.get("id", "")))) or bool(grade_id_of(cell))


def released_files(folder: Path) -> dict[str, Path]:
    """The files of a released unit by name; hidden ones and Jupyter's checkpoints aside."""
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_file() and not path.name.startswith(".")}


def tools_on_path() -> AbstractContextManager[None]:
    """Puts this environment's commands first: nbgrader starts `alembic` by name, and .venv need not be activated."""
    folder = str(Path(sys.executable).parent)
    return settings.variables(PATH=os.pathsep.join([folder, os.environ.get("PATH", "")]))
