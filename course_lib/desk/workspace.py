"""The learner's own folder, work/: copies of the notebooks, and newer versions beside them.

A learner's answers are sacred. Nothing overwrites a file in work/, with one exception that is asked for by name:
`resetting.reset` rewrites one answer cell, after the old answer was kept in work/.kept/.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib import files, settings
from course_lib.desk.errors import NotANotebookError, WorkspaceError
from course_lib.desk.updates import Offer, first_copy, offer_update


@dataclass(frozen=True)
class Preparation:
    """What `prepare` did: files copied, updates offered, and sentences about what could not be read."""

    copied: tuple[Path, ...]
    offers: tuple[Offer, ...]
    problems: tuple[str, ...]


def prepare(root: Path | None = None) -> Preparation:
    """Copies the notebooks that work/ lacks and puts newer versions beside the copies that it has.

    Raises:
        WorkspaceError: there is nothing to copy, or work/ cannot be written to.
    """
    root = root or settings.root()
    work = work_folder(root)
    released = sorted(path for path in (root / "notebooks").glob("*/*") if path.is_file())
    if not any(path.suffix == ".ipynb" for path in released):
        raise WorkspaceError(f"There are no notebooks under {root / 'notebooks'}; `course release` builds them.")
    copied, offers, problems = [], [], []
    with writing_to(work):
        for path in released:
            if path.name.startswith("."):
                continue
            mine = work / path.parent.name / path.name
            if not os.path.lexists(mine):
                if files.create(mine, first_copy(path, mine) if path.suffix == ".ipynb" else path.read_bytes()):
                    copied.append(mine)
            elif path.suffix == ".ipynb":
                try:
                    offer = offer_update(path, mine, work)
                except NotANotebookError as error:
                    problems.append(f"{error} It was left as it is.")
                else:
                    offers += [offer] if offer else []
    return Preparation(tuple(copied), tuple(offers), tuple(problems))


def work_folder(root: Path | None = None) -> Path:
    """The learner's folder: `COURSE_WORK`, else work/ in the project folder."""
    named = os.environ.get("COURSE_WORK", "").strip()
    return Path(named).expanduser().resolve() if named else (root or settings.root()) / "work"


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns an error of the disk into one that says how to go on.

    Raises:
        WorkspaceError: something could not be read or written.
    """
    try:
        yield
    except OSError as error:
        what = f"Cannot write to {error.filename or folder}: {error.strerror or error}."
        way_out = f"Make {folder} writable (is the disk full?), or choose another folder: COURSE_WORK=/some/folder"
        raise WorkspaceError(f"{what} {way_out}") from error


def overview(root: Path | None = None) -> list[dict[str, Any]]:
    """How far a learner is: one row per exercise, in course order.

    Its keys: unit, number, exercise, title, state, best, points, tries, borrowed.
    """
    from course_lib.exercises import exercises, progress

    standings = progress.read(work_folder(root))
    rows = []
    for name, exercise in exercises().items():
        standing = standings.get(name) or progress.Standing(name)
        row: dict[str, Any] = {"unit": exercise.unit, "number": exercise.number}
        row |= {"exercise": name, "title": exercise.title}
        row |= {"state": standing.state, "best": standing.best, "points": exercise.points}
        rows.append(row | {"tries": standing.tries, "borrowed": standing.borrowed})
    return rows
