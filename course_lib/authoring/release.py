"""From solutions/ to what students get: `course release`.

One source, a py:percent file with the answers in it, becomes the student's notebook (answers replaced by named stubs,
through nbgrader's own converter). The solution notebook is in `conversion`, the students' zip in `bundle`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_lib import files, settings
from course_lib.authoring import assignment
from course_lib.authoring.answers import BEGIN
from course_lib.authoring.conversion import build_notebook
from course_lib.authoring.rules import read_unit
from course_lib.authoring.sources import ReleaseError, exercises_by_name, folder_of, pages_of, pictures_of, unit_folders
from course_lib.notebooks import notebook_text, release_hash, released_files

# Names that moved, for grading/ and its tests until they take them from where they stand: to be deleted then.
from course_lib.authoring.conversion import solution_notebooks  # noqa: F401  isort: skip
from course_lib.files import replace as write_atomically  # noqa: F401  isort: skip
from course_lib.notebooks import COURSE_ID, kind_of, tools_on_path  # noqa: F401  isort: skip


def write_release(units: Sequence[str], *, root: Path | None = None, gradebook: Path | None = None) -> list[Path]:
    """Builds units into notebooks/ and fills nbgrader's gradebook; returns the files that changed.

    Files under notebooks/<unit>/ that no source makes any more are removed: the folder is generated as a whole.

    Raises:
        ReleaseError: a unit cannot be built; then no file of any unit has been written.
    """
    root = root or settings.root()
    gradebook = gradebook or root / "class" / "gradebook.db"
    built = {unit: build_unit(unit, root=root) for unit in units}
    changed = []
    for unit, contents in built.items():
        build_unit(unit, root=root, gradebook=gradebook)
        folder = root / "notebooks" / unit
        for name, content in contents.items():
            path = folder / name
            if not path.is_file() or path.read_bytes() != content:
                files.replace(path, content)
                changed.append(path)
        for name, path in released_files(folder).items():
            if name not in contents:
                path.unlink()
                changed.append(path)
    return changed


def stale_files(units: Sequence[str], *, root: Path | None = None) -> list[str]:
    """The files of notebooks/ that a release would write, change or remove, relative to the project folder."""
    root = root or settings.root()
    stale = []
    for unit in units:
        built = build_unit(unit, root=root)
        present = released_files(root / "notebooks" / unit)
        for name in sorted(built.keys() | present.keys()):
            if name not in built or name not in present or present[name].read_bytes() != built[name]:
                stale.append(f"notebooks/{unit}/{name}")
    known = unit_folders(root)
    for folder in sorted((root / "notebooks").glob("*/")):
        if folder.is_dir() and folder.name not in known and released_files(folder):
            stale.append(f"notebooks/{folder.name}")
    return stale


def build_unit(
    unit: str, *, root: Path | None = None, exercises: Mapping[str, Any] | None = None, gradebook: Path | None = None
) -> dict[str, bytes]:
    """The released files of a unit, name -> bytes: notebooks, the pictures beside their sources, and pages of docs/.

    Such a page is one that a source links to by its bare name, as `prerequisites.md`.

    Args:
        unit: such as "01_autoencoders".
        root: the project folder.
        exercises: by name; default the registered ones.
        gradebook: nbgrader's data base to fill; None fills none.

    Raises:
        ReleaseError: a rule is broken, or nbgrader refuses.
    """
    sources = read_unit(unit, root=root, exercises=exercises)
    exercises = exercises_by_name(unit) if exercises is None else exercises
    with_answers = {source.name: build_notebook(source, exercises) for source in sources}
    contents: dict[str, bytes] = {}
    for stem, notebook in assignment.cleared(with_answers, unit, exercises, gradebook=gradebook).items():
        notebook.metadata["course"]["release"] = release_hash(notebook)
        contents[f"{stem}.ipynb"] = notebook_text(notebook).encode()
    for path in [*pictures_of(folder_of(unit, root)), *pages_of(sources, root)]:
        contents[path.name] = path.read_bytes()
    for name, content in contents.items():
        for mark in (BEGIN, "BEGIN HIDDEN"):
            if mark.encode() in content:
                raise ReleaseError(f"{unit}/{name} would be released with a {mark} in it.")
    return contents
