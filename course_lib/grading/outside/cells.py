"""The cells of a notebook file, read as data and never executed. Imports no torch.

Nothing in a file can raise anything but `Malformed`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from course_lib.files import text_of
from course_lib.grading.inside.protocol import without_surrogates
from course_lib.notebooks import CellKind, kind_of, nbgrader_of

NOTEBOOK_BYTES = 20 << 20
SOURCE_BYTES = 1 << 20  # all code of a notebook together
CELLS = 2_000


class Malformed(ValueError):
    """A submission that cannot be read; the text says why, for the instructor and the student."""


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook; `key` is what it is recognized by."""

    kind: CellKind
    type: str
    source: str
    id: str = ""
    grade_id: str = ""
    nbgrader: dict[str, Any] = field(default_factory=dict)
    points: float = 0.0

    @property
    def key(self) -> str:
        return f"nbgrader:{self.grade_id}" if self.grade_id else f"id:{self.id}"


def read_cells(data: bytes) -> list[Cell]:
    """The cells of a notebook file.

    Raises:
        Malformed: it is not a notebook that can be read.
    """
    notebook = _json_of(data)
    if not isinstance(notebook, dict):
        raise Malformed(f"the file is not a notebook: it holds a {type(notebook).__name__} and not a notebook's keys.")
    version = notebook.get("nbformat")
    if version == 3:
        notebook = from_format_3(notebook)
    elif version != 4:
        raise Malformed(f"the notebook has format {version!r:.40}; Jupyter's formats 3 and 4 can be read.")
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise Malformed("the notebook has no list of cells.")
    if len(cells) > CELLS:
        raise Malformed(f"the notebook has {len(cells)} cells; at most {CELLS} are read.")
    read = [_cell(cell) for cell in cells]
    if sum(len(cell.source) for cell in read) > SOURCE_BYTES:
        raise Malformed(f"the notebook's cells hold more than {SOURCE_BYTES >> 10} KB of text.")
    return read


def _json_of(data: bytes) -> Any:
    if not data.strip():
        raise Malformed("the file is empty.")
    if len(data) > NOTEBOOK_BYTES:
        raise Malformed(f"the file holds more than {NOTEBOOK_BYTES >> 20} MB, its outputs not counted.")
    try:
        text = text_of(data)
    except UnicodeDecodeError as fault:
        raise Malformed(f"the file is not UTF-8 text (byte {fault.start}).") from None
    try:
        return json.loads(text)
    except RecursionError:
        raise Malformed("the file is JSON nested too deep to be a notebook.") from None
    except ValueError as fault:
        raise Malformed(f"the file is not valid JSON: {str(fault)[:120]}.") from None


def from_format_3(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A notebook of the old format as one of format 4.

    Raises:
        Malformed: it cannot be converted.
    """
    import nbformat

    try:
        converted: dict[str, Any] = json.loads(json.dumps(nbformat.convert(nbformat.from_dict(dict(notebook)), 4)))
        for cell in converted["cells"]:
            cell.pop("id", None)  # format 3 has none; nbformat draws other ones each time
    except Exception as fault:
        raise Malformed(f"the notebook has the old format 3 and cannot be converted: {str(fault)[:120]}") from None
    return converted


def _cell(cell: Any) -> Cell:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise Malformed("one of the notebook's cells is not a cell.")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise Malformed("one of the notebook's cells has no text as its source.")
    nbgrader = dict(nbgrader_of(cell))
    grade_id = nbgrader.get("grade_id")
    return Cell(
        kind=kind_of(cell),
        type=without_surrogates(cell["cell_type"]),
        source=without_surrogates(source),
        id=without_surrogates(cell["id"]) if isinstance(cell.get("id"), str) else "",
        grade_id=without_surrogates(grade_id) if isinstance(grade_id, str) else "",
        nbgrader=nbgrader,
        points=_number(nbgrader.get("points")),
    )


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else 0.0
    except OverflowError:  # an integer of hundreds of digits
        return 0.0
