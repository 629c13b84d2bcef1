"""A result as its student may see it: cards, their own code, and what it printed. Made by the worker, as plain data.

The page stands on the autograded notebook that formgrader and nbgrader's feedback show. Of it, cards are the course's
own HTML, in which everything else is escaped. All other parts are text, and are escaped where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from course_lib.exercises.messages import said
from course_lib.grading.outside import pages
from course_lib.grading.outside.pages import GradedNotebook
from course_lib.grading.outside.results import Verdict
from course_lib.notebooks import CHECK, CellKind, grade_id_of, kind_of, nbgrader_of

MOST_SHOWN = 20_000  # characters of a cell


def blocks(graded: GradedNotebook, released: Mapping[str, Any]) -> list[dict[str, str]]:
    """The parts of the page in the notebook's order.

    Each has a "kind": "note", "card" with "html", "written" with "name" and "source", or "answer" and "own" with
    "name", "source" and "printed".

    Args:
        released: the released notebook, as `pages.read_released` gives it.
    """
    result = graded.result
    found = [{"kind": "note", "text": said(str(text)[:300])} for text in list(result.get("tampered") or ())[:20]]
    if result.get("verdict") == Verdict.MALFORMED:
        found.insert(0, {"kind": "note", "text": said(str(result.get("problem") or "")[:500])})
    for cell in pages.page_of(graded, released)["cells"]:
        block = _block(cell)
        if block is not None:
            found.append(block)
    return found


def _block(cell: Mapping[str, Any]) -> dict[str, str] | None:
    about, name = nbgrader_of(cell), grade_id_of(cell)
    source = str(cell["source"])[:MOST_SHOWN]
    if kind_of(cell) == CellKind.CHECK:
        shown = [output["data"]["text/html"] for output in cell.get("outputs", ()) if "data" in output]
        return {"kind": "card", "name": name.removeprefix(CHECK), "html": shown[0]} if shown else None
    if about.get("solution"):
        if cell["cell_type"] == "markdown":
            return {"kind": "written", "name": name, "source": source}
        return {"kind": "answer", "name": name, "source": source, "printed": _printed(cell)}
    if str(cell.get("id", "")).startswith(pages.OWN):
        return {"kind": "own", "name": "", "source": source, "printed": _printed(cell)}
    return None


def _printed(cell: Mapping[str, Any]) -> str:
    return "".join(str(output.get("text", "")) for output in cell.get("outputs", ()))[:MOST_SHOWN]
