"""Finds submissions in a folder or a zip archive, whatever lies there. Imports no torch."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from course_lib.grading.inside.protocol import without_surrogates
from course_lib.grading.outside.cells import NOTEBOOK_BYTES
from course_lib.grading.outside.submission import BadSubmissions, Released, Submission

ARCHIVE_ENTRIES = 200_000

_Content = bytes | str  # of a file: its bytes, or a sentence that says why they are not read
_Files = dict[tuple[str, str], dict[str, _Content]]  # by (student, unit), then by the file's name


def find(path: Path, units: Iterable[str], released: dict[str, list[Released]]) -> list[Submission]:
    """All submissions of some units in a folder `student/unit/notebook.ipynb`, or a zip of one; sorted.

    Raises:
        BadSubmissions: there is no such folder or archive, or it holds no submission of these units.
    """
    units = list(units)
    if not path.exists():
        raise BadSubmissions(f"there is no folder or zip archive {path}.")
    if path.is_dir():
        files = _in_folder(path)
    elif zipfile.is_zipfile(path):
        files = _in_archive(path)
    else:
        raise BadSubmissions(f"{path} is neither a folder nor a zip archive.")
    found: list[Submission] = []
    for (student, unit), there in sorted(files.items()):
        if unit in units:
            found += _of_student(student, unit, there, released[unit])
    if not found:
        held = ", ".join(sorted({unit for _, unit in files})[:8])
        what = f"it has {held}" if held else "it is empty, or its folders are not student/unit/notebook.ipynb"
        raise BadSubmissions(f"{path} holds no submission of {', '.join(units)}: {what}.")
    return found


def _of_student(student: str, unit: str, files: dict[str, _Content], released: list[Released]) -> Iterator[Submission]:
    notebooks = {name: content for name, content in files.items() if name.endswith(".ipynb")}
    expected = {f"{r.notebook}.ipynb" for r in released}
    spare = sorted(set(notebooks) - expected)
    for release in released:
        name = f"{release.notebook}.ipynb"
        notes: list[str] = []
        missing = [r for r in released if f"{r.notebook}.ipynb" not in notebooks]
        if name in notebooks:
            content = notebooks[name]
            notes = [f"an extra notebook {other[:80]!r} was handed in and not read" for other in spare]
        elif len(spare) == 1 and len(missing) == 1:
            content = notebooks[spare[0]]
            notes = [f"the notebook is called {spare[0][:80]!r} and not {name!r}"]
        else:
            there = ", ".join(sorted(files)[:5]) or "nothing"
            content = f"the notebook {name} is missing; the student's folder holds {there[:200]}."
        if isinstance(content, str):
            yield Submission(student, unit, release.notebook, problem=without_surrogates(content), notes=tuple(notes))
        else:
            yield Submission(student, unit, release.notebook, data=content, notes=tuple(notes))


def _in_folder(folder: Path) -> _Files:
    found: _Files = {}
    for student in _subfolders(folder):
        for unit in _subfolders(Path(student.path)):
            files: dict[str, _Content] = {}
            try:
                entries = sorted(os.scandir(unit.path), key=lambda e: e.name)
            except OSError as fault:
                entries, files = [], {"": f"the folder cannot be read: {fault.strerror}."}
            for entry in entries:
                name = without_surrogates(entry.name)
                files[name] = _read_file(entry.path) if name.endswith(".ipynb") else ""
            found[without_surrogates(student.name), without_surrogates(unit.name)] = files
    return found


def _subfolders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError as fault:
        if not folder.is_dir():
            raise BadSubmissions(f"{folder} cannot be read: {fault.strerror}.") from None
        return []
    return sorted((e for e in entries if e.is_dir(follow_symlinks=False) and e.name[:1] != "."), key=lambda e: e.name)


def _read_file(path: str) -> _Content:
    """The bytes of a regular file, or why they are not read: a link could lead anywhere, a pipe would never end."""
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return "the notebook is a symbolic link; links are not followed."
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "the notebook is not a regular file."
            return file.read(NOTEBOOK_BYTES + 1)
    except OSError as fault:
        return f"the notebook cannot be read: {fault.strerror}."


def _in_archive(path: Path) -> _Files:
    """Reads a zip without unpacking it anywhere: every path, link and size in it is another person's word."""
    found: _Files = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > ARCHIVE_ENTRIES:
            raise BadSubmissions(f"{path} holds {len(entries)} files; at most {ARCHIVE_ENTRIES} are read.")
        named = [(entry, _safe_parts(entry.filename)) for entry in entries if not entry.is_dir()]
        safe = [(entry, parts) for entry, parts in named if parts]
        deep = bool(safe) and all(len(parts) >= 4 for _, parts in safe) and len({parts[0] for _, parts in safe}) == 1
        for entry, parts in safe:
            parts = parts[1:] if deep else parts  # one folder around all students, as zip tools put it
            if len(parts) < 3:
                continue
            files = found.setdefault((without_surrogates(parts[0]), without_surrogates(parts[1])), {})
            if len(parts) == 3 and parts[2].endswith(".ipynb"):
                files[without_surrogates(parts[2])] = _read_entry(archive, entry)
    return found


def _safe_parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or any(":" in part[:2] for part in path.parts[:1]):
        return ()
    return path.parts


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Content:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "the notebook is a symbolic link; links are not followed."
    try:
        with archive.open(entry) as file:
            return file.read(NOTEBOOK_BYTES + 1)  # what it says of its own size is not believed
    except Exception as fault:  # damaged, encrypted, or packed in a way that is not known here
        return f"the notebook cannot be read from the archive: {str(fault)[:120]}."
