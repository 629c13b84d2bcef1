"""Which notebook of which unit a file is, whatever it is called and wherever it lies. Imports no torch.

The notebook's own metadata say it first, then the grade_ids of its cells, then the names of file and folder. Files are
searched as bytes and never parsed here: broken ones are recognized too, and no content costs more than its length.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from course_lib.grading.outside.submission import Packed, Released, unpacked

_COURSE = re.compile(rb'"course"\s*:\s*(\{[^{}]{0,1000}\})')
_GRADE_ID = re.compile(rb'"grade_id"\s*:\s*"([^"\\]{1,100})"')
_NOTEBOOK = re.compile(r"\.ipynb(\.[a-z0-9]{1,8})?\s*(\(\d+\))?$|\.json(\.txt)?$", re.IGNORECASE)
_WITH_CELLS = re.compile(rb'"(cells|worksheets)"\s*:\s*\[')
# What programs add to the name of a second copy: "x (1)", "x-1", "x 2", "x-Copy1", "x - Copy", "Copy of x".
_COPY_MARK = re.compile(r"(?:\s*\((\d+)\)|[-\s]+(\d+)|[-_\s]+copy\s*(\d*))$|^copy (?:\(\d+\) )?of ", re.IGNORECASE)


class Which(NamedTuple):
    """A notebook of the course; "" stands for any of a unit that is not graded now."""

    unit: str
    notebook: str


class Catalogue:
    """The notebooks that there are.

    Args:
        released: the notebooks of each unit that is graded.
        others: units of the course that are not graded now.
    """

    def __init__(self, released: Mapping[str, Sequence[Released]], others: Collection[str] = ()) -> None:
        self.notebooks = [Which(unit, each.notebook) for unit, group in released.items() for each in group]
        self._others = set(others) - set(released)
        self._units = {_plain(unit): unit for unit in [*released, *self._others]}
        self._owners = {
            cell.grade_id: Which(unit, each.notebook)
            for unit, group in released.items()
            for each in group
            for cell in each.cells
            if cell.grade_id
        }

    def unit_called(self, name: str) -> str | None:
        """The unit that a folder's name means, however it is written."""
        return next((self._units[plain] for plain in _spellings(name) if plain in self._units), None)

    def by_content(self, content: bytes) -> Which | None:
        """The notebook that a file says it is."""
        for found in _COURSE.finditer(content):
            about = _course_of(found[1])
            if about in self.notebooks:
                return about
            if about is not None and about.unit in self._others:
                return Which(about.unit, "")
        ids = (found[1].decode("utf-8", "replace") for found in _GRADE_ID.finditer(content))
        counted = Counter(self._owners[each] for each in ids if each in self._owners)
        return max(counted, key=lambda which: counted[which], default=None)

    def by_name(self, name: str, unit: str | None) -> Which | None:
        """The notebook that a file's name means, in the folder of a unit or in none."""
        for plain in _spellings(without_ending(name)):
            for which in self.notebooks:
                if unit in (None, which.unit) and _plain(which.notebook) == plain:
                    return which
        return None


def may_be_a_notebook(name: str) -> bool:
    """Whether a file's name is one that browsers and mail programs give to notebooks."""
    return _NOTEBOOK.search(name) is not None


def holds_cells(content: bytes | Packed | str | None) -> bool:
    """Whether a file looks like a notebook, from within."""
    if content is None or isinstance(content, str):
        return False
    return _WITH_CELLS.search(unpacked(content)) is not None


def copy_number(name: str) -> int:
    """The number that a program gave to a copy: 2 for "x (2).ipynb"; 0 without one."""
    found = _COPY_MARK.search(without_ending(name))
    digits = next((each for each in found.groups() if each), "") if found else ""
    return int(digits[:9] or 0)


def without_ending(name: str) -> str:
    """A notebook's file name without ".ipynb" and what may follow it."""
    return _NOTEBOOK.sub("", name)


def _spellings(name: str) -> Iterator[str]:
    """A name in plain letters, as it is, and without the marks of a copy, however many there are."""
    for _ in range(4):
        yield _plain(name)
        shorter = _COPY_MARK.sub("", name)
        if shorter == name:
            return
        name = shorter


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")


def _course_of(text: bytes) -> Which | None:
    try:
        about = json.loads(text)
        return Which(str(about["unit"]), str(about["notebook"]))
    except (ValueError, KeyError, RecursionError):
        return None
