"""A newer version of a notebook, put beside a learner's copy with the answers carried over."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib import files
from course_lib.desk.errors import NotANotebookError
from course_lib.desk.learners_notebook import (
    added_cells,
    answer_cells,
    answer_of,
    as_bytes,
    read_notebook,
    set_source,
)
from course_lib.notebooks import release_of, source_of


@dataclass(frozen=True)
class Offer:
    """A newer version of a notebook.

    Attributes:
        mine: the learner's copy, untouched.
        update: the new file.
        carried: grade_ids of the answers that were taken over.
        no_longer_asked: grade_ids of answers that the new version has no cell for.
        added: the first lines of cells that the learner added; they stay in the learner's copy.
    """

    mine: Path
    update: Path
    carried: tuple[str, ...]
    no_longer_asked: tuple[str, ...]
    added: tuple[str, ...]


def offer_update(released: Path, mine: Path, work: Path) -> Offer | None:
    """Puts the released notebook beside a learner's copy; None when that is not older, or it was offered before.

    Raises:
        NotANotebookError: the learner's copy cannot be read.
        OSError: work/ cannot be written to.
    """
    old, new = read_notebook(mine), read_notebook(released)
    release = release_of(new)
    if release_of(old) == release:
        return None
    update = mine.with_name(f"{mine.stem}.update-{release[:6]}.ipynb")
    offers_made = work / ".kept" / "offered"
    key = f"{mine.parent.name}/{update.name}"
    offered = offers_made.read_text(encoding="utf-8").splitlines() if offers_made.is_file() else []
    # Offered once: a learner who deleted the newer version does not want it.
    if key in offered or os.path.lexists(update):
        return None
    carried, no_longer_asked = _carry_over(old, new)
    added = [source_of(cell).strip() for cell in added_cells(old, new)]
    if not files.create(update, as_bytes(new)):
        return None
    offers_made.parent.mkdir(parents=True, exist_ok=True)
    with open(offers_made, "a", encoding="utf-8") as file:
        file.write(f"{key}\n")
    first_lines = tuple(text.split("\n")[0][:60] for text in added if text)
    return Offer(mine, update, tuple(carried), tuple(no_longer_asked), first_lines)


def first_copy(released: Path, mine: Path) -> bytes:
    """What a learner who lacks this notebook gets: the released one, with the answers from its former names.

    A notebook of the course can be renamed. The learner's copy keeps its old name then and is left as it is.
    """
    names = {path.name for path in released.parent.glob("*.ipynb")}
    former = [p for p in sorted(mine.parent.glob("*.ipynb")) if p.name not in names and ".update-" not in p.name]
    if not former:
        return released.read_bytes()
    new, carried = read_notebook(released), False
    for path in former:
        with contextlib.suppress(NotANotebookError):
            carried = bool(_carry_over(read_notebook(path), new)[0]) or carried
    return as_bytes(new) if carried else released.read_bytes()


def _carry_over(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Puts a learner's answers into a newer notebook; which ones, and which have no cell there."""
    carried, no_longer_asked = [], []
    places = answer_cells(new)
    for grade_id, cell in answer_cells(old).items():
        answer = answer_of(old, grade_id)
        if answer is None:
            continue
        if grade_id in places and places[grade_id].get("cell_type") == cell.get("cell_type"):
            set_source(places[grade_id], answer)
            carried.append(grade_id)
        else:
            no_longer_asked.append(grade_id)
    return carried, no_longer_asked
