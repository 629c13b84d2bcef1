"""Reading solutions/: its units, the notebook sources in them, and the exercises that they ask for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course_lib import settings

# What may lie beside a source and is not for students; other files, such as pictures, are released with the notebook.
_KEPT_BACK = {".py", ".pyc", ".md", ".ipynb"}


def read_source(path: Path) -> Source:
    """Reads a py:percent file.

    Raises:
        ReleaseError: the file is not text that jupytext can read.
    """
    import jupytext

    try:
        text = path.read_text(encoding="utf-8")
        notebook = jupytext.reads(text, fmt="py:percent")
    except (UnicodeDecodeError, ValueError, SyntaxError) as error:
        raise ReleaseError(f"{path} cannot be read as a py:percent notebook: {error}") from error
    starts = [number for number, line in enumerate(text.splitlines(), start=1) if re.match(r"# %%(?!%)", line)]
    lines = starts if len(starts) == len(notebook.cells) else [1] * len(notebook.cells)
    return Source(path, path.parent.name, notebook, lines)


@dataclass
class Source:
    """One py:percent file as read: its notebook, and the line each cell begins at."""

    path: Path
    unit: str
    notebook: NotebookNode
    lines: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.stem


def unit_folders(root: Path | None = None) -> dict[str, Path]:
    """The unit folders under solutions/, by unit id, in order."""
    folder = (root or settings.root()) / "solutions"
    found = sorted(path for path in folder.glob("[0-9][0-9]_*") if path.is_dir())
    return {path.name: path for path in found}


def folder_of(unit: str, root: Path | None = None) -> Path:
    """The source folder of a unit.

    Raises:
        ReleaseError: there is no such unit; the message names those that there are.
    """
    folders = unit_folders(root)
    if unit not in folders:
        known = ", ".join(folders) or "none"
        raise ReleaseError(f"There is no unit {unit!r} under solutions/; the units are: {known}.")
    return folders[unit]


def source_files(folder: Path) -> list[Path]:
    """The notebook sources of a unit's folder: the .py files that begin with the unit's number."""
    return sorted(folder.glob(f"{folder.name[:2]}*.py"))


def pictures_of(folder: Path) -> list[Path]:
    """The files of a unit's folder that are released as they are, beside its notebooks."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return [path for path in files if path.suffix not in _KEPT_BACK]


def pages_of(sources: Sequence[Source], root: Path | None = None) -> list[Path]:
    """The pages of docs/ that sources link to by their bare names: JupyterLab opens no file outside work/.

    Raises:
        ReleaseError: docs/ does not have a page.
    """
    folder = (root or settings.root()) / "docs"
    texts = [cell.source for source in sources for cell in source.notebook.cells if cell.cell_type == "markdown"]
    names = {name for text in texts for name in re.findall(r"\]\((\w+\.md)\)", text)}
    if missing := sorted(name for name in names if not (folder / name).is_file()):
        raise ReleaseError(f"{sources[0].unit} links to {', '.join(missing)}, which docs/ does not have.")
    return [folder / name for name in sorted(names)]


def exercises_by_name(unit: str) -> dict[str, Any]:
    """The registered exercises of a unit, by name."""
    from course_lib.exercises import exercises_of

    return {exercise.name: exercise for exercise in exercises_of(unit)}


def exercise_files(unit: str) -> list[Path]:
    """The files of a unit's exercises: what learners see, the judges and the mistakes."""
    from course_lib.exercises import folders_of

    return sorted(path for folder in folders_of(unit) for path in folder.rglob("*") if path.suffix in {".py", ".md"})


class ReleaseError(Exception):
    """A release that cannot be made; the text says where and what to do."""


@dataclass(frozen=True)
class Problem:
    """One broken rule, at a line of a source file."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        path = self.path
        with contextlib.suppress(ValueError):
            path = path.relative_to(settings.root())
        return f"{path}:{self.line}: {self.text}"
