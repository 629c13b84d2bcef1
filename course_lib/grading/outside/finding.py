"""Finds submissions in a folder or a zip archive, whatever lies there. Imports no torch.

Expected is student/unit/notebook.ipynb. A notebook that lies elsewhere in its student's folder, or has another name, is
taken for what it says it is, with a note; what is not read is listed, so that no student's work is lost in silence.
"""

from __future__ import annotations

import functools
import os
import stat
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from course_lib.grading.inside.protocol import without_surrogates
from course_lib.grading.outside.cells import NOTEBOOK_BYTES
from course_lib.grading.outside.outputs import LARGE, without_outputs
from course_lib.grading.outside.recognizing import (
    Catalogue,
    Which,
    copy_number,
    holds_cells,
    may_be_a_notebook,
)
from course_lib.grading.outside.submission import BadSubmissions, Packed, Released, Submission, packed, unpacked

ARCHIVE_ENTRIES = 200_000
FILE_BYTES = 100 << 20  # of a notebook with its outputs
DEPTH = 6  # folders below that of a student
NOTEBOOKS = 30  # of one student
LARGE_NOTEBOOKS = 12  # of one student; seconds each
FILES = 5_000  # of one student
_OTHERS_FILES = ("__MACOSX", "node_modules", "__pycache__")  # folders that programs put beside what is handed in

_Content = bytes | Packed | str  # of a file: its bytes, or a sentence that says why they are not read


@dataclass(frozen=True)
class Found:
    """What a folder or an archive holds.

    Attributes:
        submissions: sorted by student and unit.
        not_read: a sentence for each file or folder in which a student's work may be and that was not read.
    """

    submissions: list[Submission]
    not_read: tuple[str, ...] = ()


@dataclass
class _Tree:
    """The students' folders as they lie there.

    Attributes:
        files: of each student, by the path below the student's folder; None for what is not a notebook.
        folders: of each student, the folders right below.
        not_read: as in `Found`.
    """

    files: dict[str, dict[tuple[str, ...], _Content | None]] = field(default_factory=dict)
    folders: dict[str, set[str]] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)
    _large: dict[str, int] = field(default_factory=dict)

    def add(self, student: str, path: tuple[str, ...], content: _Content | None) -> None:
        """Takes a file."""
        self.files.setdefault(student, {})[path] = content
        if len(path) > 1:
            self.folders.setdefault(student, set()).add(path[0])

    def read(self, student: str, path: tuple[str, ...], size: int, read: Callable[[], _Content]) -> None:
        """Takes a file that may be a notebook, unless there are too many of this student's."""
        large = self._large.get(student, 0) + (size > LARGE)
        there = sum(content is not None for content in self.files.get(student, {}).values())
        if there >= NOTEBOOKS or large > LARGE_NOTEBOOKS:
            most = (
                f"at most {NOTEBOOKS} notebooks of a student are read, {LARGE_NOTEBOOKS} of them over {LARGE >> 20} MB"
            )
            self.not_read.append(f"{'/'.join((student, *path))}: {most}.")
            return
        self._large[student] = large
        content = read()
        is_one = path[-1].lower().endswith(".ipynb") or holds_cells(content)
        kept = packed(content) if isinstance(content, bytes) else content
        self.add(student, path, kept if is_one else None)


def find(
    path: Path, units: Iterable[str], released: Mapping[str, Sequence[Released]], *, others: Collection[str] = ()
) -> Found:
    """All submissions of some units in a folder `student/unit/notebook.ipynb`, or a zip of one.

    Args:
        others: units of the course that are not graded now: what is handed in of them is passed over.

    Raises:
        BadSubmissions: there is no such folder or archive, or it holds no submission of these units.
    """
    units = list(units)
    if not path.exists():
        raise BadSubmissions(f"there is no folder or zip archive {path}.")
    catalogue = Catalogue({unit: released[unit] for unit in units}, others)
    if path.is_dir():
        tree = _in_folder(path)
    elif zipfile.is_zipfile(path):
        tree = _in_archive(path, catalogue)
    else:
        raise BadSubmissions(f"{path} is neither a folder nor a zip archive.")
    found: list[Submission] = []
    not_read = list(tree.not_read)
    for student in sorted(tree.files.keys() | tree.folders.keys()):
        one = _Student(student, tree, catalogue)
        found += one.submissions()
        not_read += one.not_read
    if not found:
        raise BadSubmissions(_nothing(path, units, tree, not_read))
    return Found(sorted(found, key=lambda each: (each.student, each.unit)), tuple(not_read))


def _nothing(path: Path, units: Sequence[str], tree: _Tree, not_read: Sequence[str]) -> str:
    held = ", ".join(sorted({name for names in tree.folders.values() for name in names})[:8])
    what = f"it has {held}" if held else "it is empty, or its folders are not student/unit/notebook.ipynb"
    more = "".join(f"\n  not read: {sentence}" for sentence in not_read[:5])
    return f"{path} holds no submission of {', '.join(units)}: {what}.{more}"


# --- one student ------------------------------------------------------------------------------------------------------


class _Student:
    """What one student handed in: which file is which notebook.

    Attributes:
        not_read: a sentence for each notebook that was not taken for any of the course.
    """

    def __init__(self, name: str, tree: _Tree, catalogue: Catalogue) -> None:
        self.name, self._catalogue = name, catalogue
        self._files = tree.files.get(name, {})
        self._claims: dict[Which, list[tuple[str, ...]]] = {}
        self._spare: dict[str, list[tuple[str, ...]]] = {}  # notebooks in a unit's folder that say nothing, by unit
        self._units = {unit for unit in map(catalogue.unit_called, tree.folders.get(name, ())) if unit}
        self.not_read: list[str] = []
        why_not_one = self._why_not_one()
        self._is_one = not why_not_one
        for path, content in sorted(self._files.items()):
            if content is not None and self._is_one:
                self._claim(path, content)
        if why_not_one:  # also where one of its folders is called like a unit
            self.not_read.append(why_not_one)
        elif not (self._units or self._claims or self.not_read):
            self.not_read.append(f"{name}: the folder holds no notebook.")

    def _why_not_one(self) -> str:
        """Why a folder is not that of one student, if it is not: it is that of a unit, or of a whole class."""
        unit = self._catalogue.unit_called(self.name)
        if unit is not None and not self._units:
            return (
                f"{self.name}: it is called like a unit. Expected is a student's folder: student/{unit}/notebook.ipynb."
            )
        students: dict[str, set[str]] = {}
        for first, second, *_ in (path for path in self._files if len(path) > 2):
            unit = self._catalogue.unit_called(second)
            if unit is not None and self._catalogue.unit_called(first) is None:
                students.setdefault(unit, set()).add(first)
        if any(len(each) > 1 for each in students.values()):
            return f"{self.name}: it holds the folders of several students. Grade that folder by itself."
        return ""

    def _claim(self, path: tuple[str, ...], content: _Content) -> None:
        unit = self._unit_of(path)
        which = None if isinstance(content, str) else self._catalogue.by_content(unpacked(content))
        which = which or self._catalogue.by_name(path[-1], unit)
        if which is not None:
            self._claims.setdefault(which, []).append(path)
        elif unit is not None:
            self._spare.setdefault(unit, []).append(path)
        else:
            place = "/".join((self.name, *path))
            self.not_read.append(f"{place}: it does not say which notebook of the course it is, nor does its name.")

    def _unit_of(self, path: tuple[str, ...]) -> str | None:
        """The unit in whose folder a file lies."""
        return next((unit for unit in map(self._catalogue.unit_called, path[:-1]) if unit), None)

    def submissions(self) -> Iterator[Submission]:
        """The notebooks that are graded, and those that are missing from a unit of which anything is there."""
        begun = self._units | {which.unit for which in self._claims} | self._spare.keys()
        begun = begun if self._is_one else set()
        missing = [each for each in self._catalogue.notebooks if each.unit in begun and each not in self._claims]
        for which in self._catalogue.notebooks:
            if which.unit not in begun:
                continue
            spare = self._spare.get(which.unit, [])
            alone = len(spare) == 1 and [each for each in missing if each.unit == which.unit] == [which]
            candidates = sorted(self._claims.get(which, spare if alone else []), key=lambda p: self._order(p, which))
            if not candidates:
                yield self._submission(which, self._why_missing(which), [])
                continue
            path, *extra = candidates
            content = self._files[path]
            assert content is not None
            notes = _how_it_lies(path, which)
            for other in extra + (spare if not alone else []):
                notes.append(f"an extra notebook {_shown(other, which)!r} was handed in and not read")
            yield self._submission(which, content, notes)

    def _order(self, path: tuple[str, ...], which: Which) -> tuple[bool, bool, int, tuple[str, ...]]:
        """Which of several copies counts: one that can be read, in its place; else the last that was downloaded."""
        return not holds_cells(self._files[path]), path != _expected(which), -copy_number(path[-1]), path

    def _why_missing(self, which: Which) -> str:
        name = f"{which.notebook}.ipynb"
        foreign = next((other for other, paths in self._claims.items() if _expected(which) in paths), None)
        if foreign is not None:
            other = foreign.notebook or foreign.unit
            return f"the notebook {name} is missing; the file of that name is a copy of {other}."
        in_unit = [path for path in self._files if self._unit_of(path) == which.unit]
        names = sorted(path[-1] for path in in_unit or self._files)
        there = ", ".join(names[:5]) or "nothing"
        return f"the notebook {name} is missing; the student's folder holds {there[:200]}."

    def _submission(self, which: Which, content: _Content, notes: Sequence[str]) -> Submission:
        if isinstance(content, str):
            return Submission(
                self.name, which.unit, which.notebook, problem=without_surrogates(content), notes=tuple(notes)
            )
        return Submission(self.name, which.unit, which.notebook, data=content, notes=tuple(notes))


def _expected(which: Which) -> tuple[str, ...]:
    return which.unit, f"{which.notebook}.ipynb"


def _how_it_lies(path: tuple[str, ...], which: Which) -> list[str]:
    """A note where a notebook has another name or another place than expected."""
    if path == _expected(which):
        return []
    if path[:-1] == (which.unit,):
        return [f"the notebook is called {path[-1][:80]!r} and not {_expected(which)[-1]!r}"]
    return [f"the notebook lies at {'/'.join(path)[-120:]!r} and not at {'/'.join(_expected(which))!r}"]


def _shown(path: tuple[str, ...], which: Which) -> str:
    return (path[-1] if path[:-1] == (which.unit,) else "/".join(path))[-80:]


# --- folders ----------------------------------------------------------------------------------------------------------


def _in_folder(folder: Path) -> _Tree:
    tree = _Tree()
    try:
        entries = _listed(folder)
    except OSError as fault:
        raise BadSubmissions(f"{folder} cannot be read: {fault.strerror}.") from None
    for entry in entries:
        student = without_surrogates(entry.name)
        if entry.is_symlink():
            tree.not_read.append(f"{student}: it is a symbolic link; links are not followed.")
        elif entry.is_dir(follow_symlinks=False) and student in tree.folders:
            tree.not_read.append(f"{student}: two folders have this name, apart from characters that are not UTF-8.")
        elif entry.is_dir(follow_symlinks=False):
            tree.folders[student] = set()
            _walk(tree, student, entry.path, ())
        elif may_be_a_notebook(entry.name):
            tree.not_read.append(f"{student}: it lies in no student's folder; expected is student/unit/notebook.ipynb.")
    return tree


def _walk(tree: _Tree, student: str, folder: str, above: tuple[str, ...]) -> None:
    """Takes what lies in a folder of a student, and below it."""
    try:
        entries = _listed(folder)
    except OSError as fault:
        why = f"the folder cannot be read: {fault.strerror}."
        if above:
            tree.add(student, (*above, "notebook.ipynb"), why)
        else:
            tree.not_read.append(f"{student}: {why}")
        return
    for entry in entries:
        path = (*above, without_surrogates(entry.name))
        if may_be_a_notebook(entry.name):
            size = entry.stat(follow_symlinks=False).st_size
            tree.read(student, path, size, functools.partial(_read_file, entry.path))
        elif entry.is_dir(follow_symlinks=False):
            if not above:
                tree.folders[student].add(path[0])
            if len(path) < DEPTH and entry.name not in _OTHERS_FILES:
                _walk(tree, student, entry.path, path)
        elif entry.is_symlink() and entry.is_dir():
            tree.not_read.append(f"{'/'.join((student, *path))}: it is a symbolic link; links are not followed.")
        elif len(tree.files.get(student, ())) < FILES:
            tree.add(student, path, None)


def _listed(folder: str | Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name; what programs hide is left out."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _read_file(path: str) -> _Content:
    """The bytes of a regular file, or why they are not read: a link could lead anywhere, a pipe would never end."""
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return "the notebook is a symbolic link; links are not followed."
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "the notebook is not a regular file."
            return _lean(file.read(FILE_BYTES + 1))
    except OSError as fault:
        return f"the notebook cannot be read: {fault.strerror}."


def _lean(data: bytes) -> bytes:
    """A notebook without its outputs; of one that is too large all the same, enough to tell."""
    return (without_outputs(data) if len(data) <= FILE_BYTES else data)[: NOTEBOOK_BYTES + 1]


# --- archives ---------------------------------------------------------------------------------------------------------


def _in_archive(path: Path, catalogue: Catalogue) -> _Tree:
    """Reads a zip without unpacking it anywhere: every path, link and size in it is another person's word."""
    tree = _Tree()
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > ARCHIVE_ENTRIES:
            raise BadSubmissions(f"{path} holds {len(entries)} files; at most {ARCHIVE_ENTRIES} are read.")
        named = [(entry, _safe_parts(entry.filename)) for entry in entries if not entry.is_dir()]
        for entry, _ in (each for each in named if not each[1]):
            tree.not_read.append(f"{entry.filename[:100]!r}: its path leads out of the archive.")
        safe = [(entry, parts) for entry, parts in named if parts and not _is_hidden(parts)]
        around = around_all([parts for _, parts in safe if may_be_a_notebook(parts[-1])], catalogue)
        for entry, parts in safe:
            below = parts[len(around) :] if parts[: len(around)] == around else parts[-1:]  # beside the students
            _take(tree, archive, entry, tuple(map(without_surrogates, below)))
    return tree


def around_all(notebooks: Sequence[tuple[str, ...]], catalogue: Catalogue) -> tuple[str, ...]:
    """The folders in each other that are around all students' folders, as zip tools put them; () when there are none.

    Args:
        notebooks: the paths of all notebooks.
    """
    around: tuple[str, ...] = ()
    inside = [path for path in notebooks if len(path) > 1]  # a notebook on top of all belongs to no student
    while len({path[: len(around) + 1] for path in inside}) == 1:
        below = [path[len(around) + 1 :] for path in inside]
        if not _are_students(below, catalogue) and not catalogue.unit_called(inside[0][len(around)]):
            break
        around = inside[0][: len(around) + 1]
        inside = [path for path in inside if len(path) > len(around) + 1]
    return around


def _are_students(paths: Sequence[tuple[str, ...]], catalogue: Catalogue) -> bool:
    """Whether the notebooks below a folder lie in folders of students, rather than in those of one student."""
    with_unit = {path[0] for path in paths if len(path) > 2 and catalogue.unit_called(path[1])}
    if len({name for name in with_unit if not catalogue.unit_called(name)}) > 1:
        return True
    if any(len(path) < 2 or catalogue.unit_called(path[0]) for path in paths):
        return False
    same_names = len(paths) > len({path[-1] for path in paths}) and len({path[0] for path in paths}) > 1
    return bool(with_unit) or same_names or all(len(path) > 2 for path in paths)


def _take(tree: _Tree, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: tuple[str, ...]) -> None:
    is_notebook = bool(path) and may_be_a_notebook(path[-1])
    if len(path) < 2:
        if is_notebook:
            tree.not_read.append(f"{path[0]}: it lies in no student's folder; expected is student/unit/notebook.ipynb.")
        return
    student, *below = path
    if not is_notebook or len(below) > DEPTH:
        if len(tree.files.get(student, ())) < FILES:
            tree.add(student, tuple(below), None)
    else:
        tree.read(student, tuple(below), entry.file_size, functools.partial(_read_entry, archive, entry))


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part in _OTHERS_FILES for part in parts)


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
            return _lean(file.read(FILE_BYTES + 1))  # what it says of its own size is not believed
    except Exception as fault:  # damaged, encrypted, or packed in a way that is not known here
        return f"the notebook cannot be read from the archive: {str(fault)[:120]}."
