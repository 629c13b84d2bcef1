"""What is handed in, and what it must get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What is handed in, and what it must get.

    Attributes:
        notebook: as a dict, or the bytes of the file.
        double: verdict and score out of 3.
        scale: verdict and score out of 2.
        tampered: words that the report of what was changed holds; nothing must be reported where it is empty.
        fill: fills the student's folder instead of writing the notebook to it.
        student: the folder's name, where that is what is odd.
        disputed: more points could be defended too: the values are right, the manner is not.
    """

    name: str
    notebook: Any
    double: tuple[str, float]
    scale: tuple[str, float] = ("right", 2.0)
    tampered: str = ""
    fill: Callable[[Path], None] | None = None
    student: str = ""
    disputed: bool = False


RIGHT = ("right", 3.0)
TRIPLES = "def double(x):\n    return 3 * x\n"


def body(*lines: str, before: str = "") -> str:
    """The answer `double` with these lines; `before` stands above it in its cell."""
    return before + "def double(x):\n" + "".join(f"    {line}\n" for line in lines)
