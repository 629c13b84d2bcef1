"""One notebook of the course on its way to a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode


class SiteError(Exception):
    """A site that cannot be built, or must not be shown; the text says why and what to do."""


@dataclass(frozen=True)
class Page:
    """One notebook of the course: with answers, as released, and its outputs (None: not executed)."""

    unit: str
    stem: str
    solution: NotebookNode
    released: NotebookNode
    outputs: list[Any] | None = None

    @property
    def title(self) -> str:
        """The first heading."""
        return self.solution.cells[0].source.split("\n")[0].lstrip("# ")

    @property
    def label(self) -> str:
        """The page's name in lists: number and title up to its colon."""
        return f"{self.unit[:2]} · {self.title.partition(':')[0]}"

    @property
    def document(self) -> str:
        """The page's place in the site, without a suffix."""
        return f"units/{self.unit}/{self.stem}"


def unit_name(unit: str, pages: Sequence[Page]) -> str:
    """The title of a unit; of two notebooks, the name of their folder in words."""
    title = pages[0].title if len(pages) == 1 else unit[3:].replace("_", " ").capitalize()
    return f"{unit[:2]} · {title}"
