"""A notebook that a learner may have changed, as plain JSON data: reading it, and finding the answers in it."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from pathlib import Path
from typing import Any

from course_lib.desk.errors import NotANotebookError
from course_lib.files import text_of
from course_lib.notebooks import grade_id_of, is_from_release, nbgrader_of, source_of

UNFINISHED = "raise NotImplementedError("  # what a stub does
LONGEST = 1_000  # characters by which the texts of two cells are compared


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as plain JSON data.

    Raises:
        FileNotFoundError: no such file.
        NotANotebookError: the file is not a notebook of format 4; the message says why.
    """
    if path.is_dir():
        raise NotANotebookError(f"{path} is a folder, not a notebook.")
    content = path.read_bytes()
    try:
        notebook = json.loads(text_of(content))
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


def answer_of(notebook: dict[str, Any], grade_id: str) -> str | None:
    """What a learner has answered in a notebook, in all cells that belong to it; None where they have not begun.

    A cell that was split or copied counts once per part, in order; a copy that is still the stub does not. A function
    that stands in a cell of the learner's own right below counts too, when the answer's cells do not define it.
    """
    cells = notebook["cells"]
    own = [number for number, cell in enumerate(cells) if _holds_answer(cell, grade_id)]
    if not own:
        return None
    parts = list(dict.fromkeys(source_of(cells[number]).rstrip() for number in own if is_attempted(cells[number])))
    whole = {**cells[own[0]], "source": "\n".join(source_of(cells[number]).rstrip("\n") for number in own)}
    if not is_attempted(whole):  # the stub itself, split
        parts = []
    if cells[own[0]].get("cell_type") == "code" and not any(_defines(part, grade_id) for part in parts):
        below = itertools.takewhile(_is_own_code, cells[own[-1] + 1 :])
        sources = [source_of(cell).rstrip() for cell in below]
        defining = next((n for n, source in enumerate(sources) if _defines(source, grade_id)), None)
        parts += [] if defining is None else sources[: defining + 1]
    parts.sort(key=lambda part: UNFINISHED not in part)  # of two versions, the finished one must count
    return "\n\n".join(part for part in parts if part.strip()) or None


def _holds_answer(cell: dict[str, Any], grade_id: str) -> bool:
    return bool(nbgrader_of(cell).get("solution")) and grade_id_of(cell) == grade_id


def _is_own_code(cell: dict[str, Any]) -> bool:
    return cell.get("cell_type") == "code" and not is_from_release(cell)


def _defines(source: str, name: str) -> bool:
    return re.search(rf"^(?:async def|def|class) {re.escape(name)}\b|^{re.escape(name)}\s*=", source, re.M) is not None


def added_cells(notebook: dict[str, Any], release: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that a learner added, compared with a release of the same notebook.

    Some programs drop the ids of cells or draw new ones. Then a cell is known by its text, or by one much like it.
    """
    cells = notebook["cells"]
    if any(is_from_release(cell) and not grade_id_of(cell) for cell in cells):
        return [cell for cell in cells if not is_from_release(cell)]
    return [cell for cell in cells if not grade_id_of(cell) and not _is_like_one_of(cell, release["cells"])]


def _is_like_one_of(cell: dict[str, Any], released: list[dict[str, Any]]) -> bool:
    text = source_of(cell).strip()
    kind = cell.get("cell_type")
    texts = [source_of(each).strip() for each in released if each.get("cell_type") == kind]
    return text in texts or bool(difflib.get_close_matches(text[:LONGEST], [each[:LONGEST] for each in texts], 1))


def is_attempted(cell: dict[str, Any]) -> bool:
    """Whether an answer cell is no longer its stub: nbgrader keeps the released cell's checksum in it."""
    from nbformat import NotebookNode
    from nbgrader.utils import compute_checksum

    data = nbgrader_of(cell)
    if "checksum" not in data:
        return UNFINISHED not in source_of(cell)
    bare = NotebookNode(source=source_of(cell), cell_type=cell.get("cell_type", "code"))
    bare.metadata = NotebookNode(nbgrader=NotebookNode(data))
    return compute_checksum(bare) != data["checksum"]


def set_source(cell: dict[str, Any], text: str) -> None:
    """Puts a text into a cell, in lines as Jupyter stores it."""
    cell["source"] = text.splitlines(keepends=True)
