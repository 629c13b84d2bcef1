"""The solutions of a unit as one page: opened by the deadline, for `course serve` and for any place that shows a file.

The page has no script and needs nothing else. It shows the right answers and what is to be learned from them. The
sentences of known mistakes stay where they are: a class may be graded by them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_lib import exercises as registry
from course_lib import files, settings
from course_lib.authoring.conversion import solution_notebooks
from course_lib.authoring.sources import ReleaseError, unit_folders
from course_lib.exercises.messages import said_by
from course_lib.notebooks import CellKind, grade_id_of, kind_of

TEMPLATE = Path(__file__).with_name("solution_page.html")
FOLDER = "solutions"  # in the class folder


@dataclass(frozen=True)
class Solution:
    """A right answer.

    Attributes:
        heading: the exercise's number and title.
        source: its code.
        takeaway: what is to be learned from it, in the exercise's words.
    """

    heading: str
    source: str
    takeaway: str = ""


def page(unit: str, *, root: Path | None = None) -> str:
    """The page of a unit.

    Raises:
        ReleaseError: its source breaks a rule.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from course_lib.exercises.card import marked_up

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["marked_up"] = lambda text: Markup(marked_up(str(text)))
    return environment.get_template(TEMPLATE.name).render(unit=unit, solutions=_solutions(unit, root))


def _solutions(unit: str, root: Path | None) -> list[Solution]:
    known = {exercise.name: exercise for exercise in registry.exercises_of(unit)}
    found = []
    for notebook in solution_notebooks(unit, root=root).values():
        for cell in notebook.cells:
            exercise = known.get(grade_id_of(cell))
            if kind_of(cell) == CellKind.ANSWER and exercise is not None:
                heading = f"{exercise.number} {said_by(exercise, 'title')}"
                found.append(Solution(heading, cell.source, said_by(exercise, "takeaway")))
    return found


def kept_page(unit: str, folder: Path, *, root: Path | None = None) -> str | None:
    """The page of a unit as it lies in the class folder, made when it is not there; None without its source.

    Args:
        folder: the class folder.
    """
    path = folder / FOLDER / f"{unit}.html"
    if not path.is_file():
        if unit not in unit_folders(root or settings.root()):
            return None
        files.replace(path, page(unit, root=root))
    return path.read_text(encoding="utf-8")


def open_pages(folder: Path, shown: Sequence[str], *, root: Path | None = None) -> list[Path]:
    """Writes the pages of units whose solutions are shown, and takes out all others; returns those written.

    Args:
        shown: the units.

    Raises:
        ReleaseError: a source breaks a rule; OSError: a page cannot be written.
    """
    there = folder / FOLDER
    for path in there.glob("*.html") if there.is_dir() else ():
        if path.stem not in shown:
            path.unlink()
    written = []
    for unit in shown:
        if unit not in unit_folders(root or settings.root()):
            raise ReleaseError(f"{unit} has dates and no source under solutions/. Correct its name in dates.csv.")
        path, text = there / f"{unit}.html", page(unit, root=root)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            files.replace(path, text)
            written.append(path)
    return written
