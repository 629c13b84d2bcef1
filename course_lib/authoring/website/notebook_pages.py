"""A solution notebook as it is read on a page: outputs in place, answers folded under what was asked."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
import struct
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib.authoring.assignment import TEXT_STUB
from course_lib.authoring.website.page import Page, SiteError
from course_lib.notebooks import CellKind, grade_id_of, kind_of


def as_page(page: Page, files: Path, profile: str) -> NotebookNode:
    """The notebook that Sphinx reads; pictures among its outputs are put into `files`.

    Raises:
        SiteError: the released notebook asks for something else than the solution answers.
    """
    stubs = {grade_id_of(cell): cell.source for cell in page.released.cells if "nbgrader" in cell.metadata}
    outputs = iter(page.outputs or [])
    result = nbformat.v4.new_notebook(metadata=copy.deepcopy(page.solution.metadata))
    for index, original in enumerate(page.solution.cells):
        cell = copy.deepcopy(original)
        kind, stub = kind_of(cell), stubs.get(grade_id_of(cell), "")
        question = stub.replace(TEXT_STUB, "").strip()
        is_old = kind is CellKind.WRITTEN and not cell.source.startswith(question)
        if is_old or (kind in (CellKind.ANSWER, CellKind.WRITTEN) and not stub):
            raise SiteError(f"notebooks/{page.unit}/{page.stem}.ipynb is not up to date: run `course release` first.")
        if cell.cell_type == "code":
            cell.outputs = [without_inline_pictures(output, files) for output in next(outputs, [])]
        if kind is CellKind.ANSWER:
            result.cells.append(nbformat.v4.new_markdown_cell(f"```python\n{stub.rstrip()}\n```"))
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        elif kind is CellKind.WRITTEN:
            answer = cell.source[len(question) :].strip()
            summary = "<summary>Show sample answers and rubric</summary>"
            cell.source = f"{question}\n\n<details>{summary}\n\n{answer}\n\n</details>"
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((\w+\.md)\)", r"](/\1)", cell.source)  # pages stand at the top of the site
        result.cells.append(cell)
        if index == 0:
            result.cells.append(nbformat.v4.new_markdown_cell(_about(page, profile)))
    return result


_ABOUT = """```{{admonition}} This page shows the answers
:class: tip
They are folded: try first, then open. {outputs} To work on it yourself, see [](/learner.md), or download \
<a href="../../files/{stem}.ipynb" download>the notebook without answers</a>.
```"""


def _about(page: Page, profile: str) -> str:
    executed = f"The outputs are those of the profile *{profile}*."
    not_executed = "This notebook was not executed for this page."
    return _ABOUT.format(outputs=not_executed if page.outputs is None else executed, stem=page.stem)


_INLINE_IMAGE = re.compile(r'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)"([^>]*)>')


def without_inline_pictures(output: NotebookNode, files: Path) -> NotebookNode:
    """An output with its pictures in files of their own, which are loaded when they come into view."""
    data = output.get("data", {})
    if "text/html" not in data or not _INLINE_IMAGE.search(data["text/html"]):
        return output
    output = copy.deepcopy(output)

    def in_file(match: re.Match[str]) -> str:
        return image(base64.b64decode(match.group(1)), match.group(2), files, up="../../")

    output.data = NotebookNode({"text/html": _INLINE_IMAGE.sub(in_file, data["text/html"])})
    return output


def image(picture: bytes, attributes: str, files: Path, *, up: str = "") -> str:
    """The HTML of a PNG picture, which is put into `files`; `up` leads from its page to the top of the site."""
    name = f"{hashlib.sha256(picture).hexdigest()[:16]}.png"
    (files / name).write_bytes(picture)
    width, height = struct.unpack(">II", picture[16:24])
    return f'<img src="{up}files/{name}" width="{width}" height="{height}" loading="lazy"{attributes}>'
