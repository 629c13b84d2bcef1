"""One exercise back to its stub, the old answer kept."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

from course_lib import files, settings
from course_lib.desk.errors import WorkspaceError
from course_lib.desk.learners_notebook import answer_cells, as_bytes, read_notebook, set_source
from course_lib.desk.workspace import work_folder, writing_to
from course_lib.notebooks import CHECK, grade_id_of, source_of


def reset(exercise: str, *, root: Path | None = None) -> tuple[Path, Path | None]:
    """Puts one answer cell back to its stub; the old answer is kept in work/.kept/ first.

    Returns:
        The notebook, and the file that the old answer is kept in (None when the cell was its stub already).

    Raises:
        WorkspaceError: no notebook in work/ has that exercise, or work/ cannot be written to.
    """
    root = root or settings.root()
    work = work_folder(root)
    released, stub = _released_with(exercise, root)
    path = work / released.parent.name / released.name
    if not path.is_file():
        raise WorkspaceError(f"{path} is not there yet; `course lab` copies it.")
    notebook = read_notebook(path)
    cell = answer_cells(notebook).get(exercise)
    if cell is None:
        raise WorkspaceError(f"{path} has no answer cell for {exercise!r} any more. A fresh copy is {released}.")
    old = source_of(cell)
    if old == stub:
        return path, None
    with writing_to(work):
        kept = _keep(work, exercise, old, suffix=".py" if cell.get("cell_type") == "code" else ".md")
        set_source(cell, stub)
        for each in notebook["cells"]:
            if grade_id_of(each) in (exercise, CHECK + exercise) and each.get("cell_type") == "code":
                each["outputs"], each["execution_count"] = [], None
        files.replace(path, as_bytes(notebook), mode=path.stat().st_mode & 0o777)
        _forget_progress(work, exercise)
    return path, kept


def _released_with(exercise: str, root: Path) -> tuple[Path, str]:
    """The released notebook that asks for an answer, and the answer's stub."""
    known: list[str] = []
    for path in sorted((root / "notebooks").glob("*/*.ipynb")):
        stubs = answer_cells(read_notebook(path))
        if exercise in stubs:
            return path, source_of(stubs[exercise])
        known += stubs
    listed = ", ".join(sorted(known)) or "none"
    raise WorkspaceError(f"There is no exercise {exercise!r}; those with an answer cell are: {listed}.")


def _keep(work: Path, exercise: str, text: str, *, suffix: str) -> Path:
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        path = work / ".kept" / f"{exercise}-{stamp}{f'-{number}' if number else ''}{suffix}"
        if files.create(path, f"{text}\n"):
            return path
    raise WorkspaceError(f"{work / '.kept'} holds a thousand answers of this second.")


def _forget_progress(work: Path, exercise: str) -> None:
    from course_lib.exercises import contract, progress

    standing = progress.read(work).get(exercise)
    if standing is not None:
        progress.write(
            work, dataclasses.replace(standing, state=contract.State.NOT_ATTEMPTED, score=0.0, borrowed=False)
        )
