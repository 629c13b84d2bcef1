"""From a source to its solution notebook: metadata and cell ids filled in, quoted figures rendered, no outputs.

The conversion is deterministic: an unchanged source gives the same bytes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_lib.authoring import answers
from course_lib.authoring.rules import read_unit
from course_lib.authoring.sources import Problem, ReleaseError, Source, exercises_by_name
from course_lib.notebooks import CHECK, grade_id_of

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def solution_notebooks(
    unit: str, *, root: Path | None = None, exercises: Mapping[str, Any] | None = None
) -> dict[str, NotebookNode]:
    """The solution notebooks of a unit by file stem: the answers in place, their marks taken out.

    Raises:
        ReleaseError: as `read_unit`.
    """
    exercises = exercises_by_name(unit) if exercises is None else exercises
    notebooks = {}
    for source in read_unit(unit, root=root, exercises=exercises):
        notebook = build_notebook(source, exercises)
        for cell in notebook.cells:
            cell.source = answers.solved(cell.source)
        notebooks[source.name] = notebook
    return notebooks


def build_notebook(
    source: Source, exercises: Mapping[str, Any], *, render: Callable[[str], str] | None = None
) -> NotebookNode:
    """The notebook of a source, answers and their marks in it.

    Args:
        source: as read.
        exercises: the unit's exercises by name; checks get their points from here.
        render: turns the text of a markdown cell into what is read; by default the course's records fill {{ }} in.

    Raises:
        ReleaseError: a placeholder has no record.
    """
    notebook = nbformat.v4.new_notebook()
    notebook.nbformat_minor = 5
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    notebook.metadata["course"] = NotebookNode(unit=source.unit, notebook=source.name)
    used: set[str] = set()
    for index, (original, line) in enumerate(zip(source.notebook.cells, source.lines)):
        cell = copy.deepcopy(original)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        elif cell.cell_type == "markdown":
            cell.source = _rendered(cell.source, source, line, render)
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] = _metadata(cell, exercises)
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's note about blank lines in the source
        cell.id = _cell_id(cell, index, used)
        notebook.cells.append(cell)
    return notebook


def _rendered(text: str, source: Source, line: int, render: Callable[[str], str] | None) -> str:
    if "{{" not in text and "{%" not in text:
        return text
    try:
        if render is None:
            from course_lib.authoring import quoting

            return quoting.render(text, unit=source.unit)
        return render(text)
    except Exception as error:  # whatever a placeholder does wrong must be told with its place
        problem = Problem(source.path, line, f"a placeholder cannot be filled in: {error}")
        raise ReleaseError(str(problem)) from error


def _metadata(cell: NotebookNode, exercises: Mapping[str, Any]) -> NotebookNode:
    """nbgrader's metadata in full, from the two or three words that an author writes."""
    given = cell.metadata["nbgrader"]
    grade, solution = bool(given.get("grade", False)), bool(given.get("solution", False))
    full = {
        "schema_version": 3,
        "grade_id": given["grade_id"],
        "grade": grade,
        "solution": solution,
        "locked": bool(given.get("locked", grade and not solution)),
        "task": False,
        "cell_type": cell.cell_type,
    }
    if grade:
        exercise = exercises.get(str(given["grade_id"]).removeprefix(CHECK))
        points = exercise.points if exercise is not None and not solution else given["points"]
        full["points"] = int(points) if float(points).is_integer() else float(points)
    return NotebookNode(full)


def _cell_id(cell: NotebookNode, index: int, used: set[str]) -> str:
    """An id that stays the same while the cell stays: its grade_id, else its position."""
    wanted = grade_id_of(cell) or f"cell-{index:03d}"
    while wanted in used:
        wanted = f"{wanted[:60]}-{index}"
    used.add(wanted)
    return wanted
