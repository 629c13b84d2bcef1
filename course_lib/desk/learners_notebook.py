"""A notebook that a learner may have changed, as plain JSON data: reading it, and finding the answers in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from course_lib.desk.errors import NotANotebookError
from course_lib.notebooks import grade_id_of, nbgrader_of, source_of


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as plain JSON data.

    Raises:
        FileNotFoundError: no such file.
        NotANotebookError: the file is no notebook of format 4; the message says why.
    """
    if path.is_dir():
        raise NotANotebookError(f"{path} is a folder, not a notebook.")
    content = path.read_bytes()
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise NotANotebookError(f"{path} is not a notebook: it is not readable as JSON ({error}).") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not isinstance(notebook.get("metadata", {}), dict):
        raise NotANotebookError(f"{path} is not a notebook: it holds no list of cells.")
    if notebook.get("nbformat") != 4:
        raise NotANotebookError(f"{path} is a notebook of format {notebook.get('nbformat')}; format 4 is expected.")
    for number, cell in enumerate(cells, start=1):
        source = cell.get("source") if isinstance(cell, dict) else None
        in_lines = isinstance(source, list) and all(isinstance(line, str) for line in source)
        if not (isinstance(source, str) or in_lines) or not isinstance(cell.get("metadata", {}), dict):
            raise NotANotebookError(f"{path} is not a valid notebook: its cell {number} cannot be read.")
    return notebook


def as_bytes(notebook: dict[str, Any]) -> bytes:
    """The content of a notebook's file, written as Jupyter writes it."""
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def answer_cells(notebook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The cells that a learner answers in, coded and written, by grade_id (the last, should one be duplicated)."""
    return {grade_id_of(cell): cell for cell in notebook["cells"] if nbgrader_of(cell).get("solution")}


def is_attempted(cell: dict[str, Any]) -> bool:
    """Whether an answer cell is no longer its stub: nbgrader keeps the released cell's checksum in it."""
    from nbformat import NotebookNode
    from nbgrader.utils import compute_checksum

    data = nbgrader_of(cell)
    if "checksum" not in data:
        return "raise NotImplementedError(" not in source_of(cell)
    bare = NotebookNode(source=source_of(cell), cell_type=cell.get("cell_type", "code"))
    bare.metadata = NotebookNode(nbgrader=NotebookNode(data))
    return compute_checksum(bare) != data["checksum"]


def set_source(cell: dict[str, Any], text: str) -> None:
    """Puts a text into a cell, in lines as Jupyter stores it."""
    cell["source"] = text.splitlines(keepends=True)
