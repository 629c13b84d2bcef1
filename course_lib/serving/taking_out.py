"""Everything that was handed in, as a zip that the other commands read.

The attempts that count lie as student/unit/notebook.ipynb, which `course grade` reads. All attempts lie as nbgrader's
exchange has them, which `course collect` reads with their times.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside.recognizing import Which


def write(folder: Path, file: IO[bytes], *, every: bool = False) -> int:
    """Writes the zip; returns how many notebooks are in it.

    Args:
        folder: the class folder.
        every: every attempt, not only those that count.

    Raises:
        OSError: it cannot be written.
    """
    count = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in _every(folder) if every else _counting(folder):
            archive.writestr(name, path if isinstance(path, str) else path.read_bytes())
            count += name.endswith(".ipynb")
    return count


def _counting(folder: Path) -> Iterator[tuple[str, Path | str]]:
    submitted = folder / "submitted"
    for path in sorted(submitted.glob("*/*/*")) if submitted.is_dir() else ():
        if path.is_file() and not path.is_symlink() and (path.suffix == ".ipynb" or path.name == kept.STAMP):
            yield path.relative_to(submitted).as_posix(), path


def _every(folder: Path) -> Iterator[tuple[str, Path | str]]:
    for (student, unit, notebook), theirs in kept.records(folder).items():
        shelf = kept.Shelf(folder, student, Which(unit, notebook))
        for each in theirs:
            path = shelf.path(each.number)
            if not path.is_file():
                continue
            stamp = kept.stamp_of(each.time) if each.time else ""
            # As the exchange names its folders: student+unit+time+a word; the number keeps two of one second apart.
            place = f"{student}+{unit}+{stamp or '1970-01-01 00:00:00 UTC'}+{notebook}-{each.number:03}"
            yield f"{unit}/inbound/{place}/{notebook}.ipynb", path
            if stamp:
                yield f"{unit}/inbound/{place}/{kept.STAMP}", stamp + "\n"
