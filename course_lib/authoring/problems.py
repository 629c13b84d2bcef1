"""What an author has to put right: a place and a sentence, the same for sources, records and quoted numbers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from course_lib import settings


class Level(StrEnum):
    """How bad a problem is."""

    ERROR = "error"  # stops a release, or fails a test
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """Something wrong at a place, and what to do about it."""

    place: str
    text: str
    level: Level = Level.ERROR

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def place_in(path: Path, line: int) -> str:
    """A line of a file, by its path in the project folder where it is in it."""
    with contextlib.suppress(ValueError):
        path = path.relative_to(settings.root())
    return f"{path}:{line}"
