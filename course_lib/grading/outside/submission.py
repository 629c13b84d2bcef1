"""Submitted notebooks: found in a folder or a zip, read as data and never executed, compared with what was released.

Nothing here imports torch, and nothing that a student hands in can raise anything but `Malformed`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

NOTEBOOK_BYTES = 20 << 20
SOURCE_BYTES = 1 << 20  # all code of a notebook together
CELLS = 2_000
TAGS = ("setup", "demo", "train")
ARCHIVE_ENTRIES = 200_000


class Malformed(ValueError):
    """A submission that cannot be read; the text says why, for the instructor and the student."""


class BadSubmissions(ValueError):
    """The folder or archive of submissions itself is of no use; the text says what to do."""


# --- what was released ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook.

    `kind` is text, written, answer, check, setup, demo, train, or untagged; `key` is what it is recognised by.
    """

    kind: str
    type: str
    source: str
    id: str = ""
    grade_id: str = ""
    nbgrader: dict[str, Any] = field(default_factory=dict)
    points: float = 0.0

    @property
    def key(self) -> str:
        return f"nbgrader:{self.grade_id}" if self.grade_id else f"id:{self.id}"


@dataclass(frozen=True)
class Released:
    """A notebook as students were given it."""

    unit: str
    notebook: str
    cells: tuple[Cell, ...]
    digest: str

    @property
    def setup(self) -> list[str]:
        """The code of the setup cells."""
        return [cell.source for cell in self.cells if cell.kind == "setup"]

    @property
    def answers(self) -> list[str]:
        """The grade_ids of the cells that hold answers: the names of the exercises."""
        return [cell.grade_id for cell in self.cells if cell.kind == "answer"]

    @property
    def written(self) -> list[Cell]:
        """The cells that a person grades."""
        return [cell for cell in self.cells if cell.kind == "written" and cell.nbgrader.get("grade")]


def read_release(folder: Path, unit: str) -> list[Released]:
    """The released notebooks of a unit.

    Args:
        folder: the folder of all units, such as `notebooks/`.

    Raises:
        BadSubmissions: there are none, or one cannot be read.
    """
    paths = sorted((folder / unit).glob("*.ipynb")) if (folder / unit).is_dir() else []
    if not paths:
        known = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
        there = f"there are {', '.join(known)}" if known else "there is none; run `course release` first"
        raise BadSubmissions(f"no unit {unit!r} was released in {folder}: {there}.")
    released = []
    for path in paths:
        data = path.read_bytes()
        try:
            cells = tuple(_cells(data))
        except Malformed as fault:
            raise BadSubmissions(f"the released notebook {path} cannot be read: {fault}") from None
        released.append(Released(unit, path.stem, cells, hashlib.sha256(data).hexdigest()))
    return released


# --- reading a notebook ---------------------------------------------------------------------------------------------


def _cells(data: bytes) -> list[Cell]:
    """The cells of a notebook file.

    Raises:
        Malformed: it is not a notebook that can be read.
    """
    notebook = _json_of(data)
    if not isinstance(notebook, dict):
        raise Malformed(f"the file is not a notebook: it holds a {type(notebook).__name__} and not a notebook's keys.")
    version = notebook.get("nbformat")
    if version == 3:
        notebook = _converted(notebook)
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
        raise Malformed(f"the file has {len(data) >> 20} MB; at most {NOTEBOOK_BYTES >> 20} MB are read.")
    try:
        text = data.decode("utf-8-sig")  # some editors put a byte order mark in front
    except UnicodeDecodeError as fault:
        raise Malformed(f"the file is not UTF-8 text (byte {fault.start}).") from None
    try:
        return json.loads(text)
    except RecursionError:
        raise Malformed("the file is JSON nested too deep to be a notebook.") from None
    except ValueError as fault:
        raise Malformed(f"the file is not valid JSON: {str(fault)[:120]}.") from None


def _converted(notebook: dict[str, Any]) -> dict[str, Any]:
    import nbformat

    try:
        return json.loads(json.dumps(nbformat.convert(nbformat.from_dict(notebook), 4)))
    except Exception as fault:
        raise Malformed(f"the notebook has the old format 3 and cannot be converted: {str(fault)[:120]}") from None


def _cell(cell: Any) -> Cell:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise Malformed("one of the notebook's cells is not a cell.")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise Malformed("one of the notebook's cells has no text as its source.")
    metadata = _of(dict, cell.get("metadata"))
    nbgrader = _of(dict, metadata.get("nbgrader"))
    tags = _of(list, metadata.get("tags"))
    grade_id, points = nbgrader.get("grade_id"), nbgrader.get("points")
    return Cell(
        kind=_kind(cell["cell_type"], nbgrader, tags),
        type=_clean(cell["cell_type"]),
        source=_clean(source),
        id=_clean(cell["id"]) if isinstance(cell.get("id"), str) else "",
        grade_id=_clean(grade_id) if isinstance(grade_id, str) else "",
        nbgrader=nbgrader,
        points=float(points) if isinstance(points, (int, float)) else 0.0,
    )


def _of(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) else kind()


def _kind(cell_type: str, nbgrader: dict[str, Any], tags: list[Any]) -> str:
    if cell_type != "code":
        return "written" if nbgrader.get("solution") else "text"
    if nbgrader.get("solution"):
        return "answer"
    if nbgrader.get("grade"):
        return "check"
    return next((tag for tag in TAGS if tag in tags), "untagged")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # JSON may hold halves of characters, which no file can


# --- comparing with the release -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parsed:
    """What of a submission is run, and what was changed that should not have been.

    Attributes:
        cells: (id, code) in order: answers, setup cells that the student edited, and cells that the student added.
        answer_cells: for each exercise, the ids among `cells` that hold its answer.
        tampered: one sentence for each change to what was locked.
    """

    cells: tuple[tuple[str, str], ...]
    answer_cells: dict[str, tuple[str, ...]]
    tampered: tuple[str, ...]


def parse(data: bytes, released: Released) -> Parsed:
    """Reads a submitted notebook and compares it with the released one.

    Raises:
        Malformed: it cannot be read.
    """
    cells = _cells(data)
    theirs = {cell.key: cell for cell in released.cells if cell.grade_id or cell.id}
    sources = {cell.source: cell for cell in released.cells if not cell.grade_id and cell.type == "code"}
    run: list[tuple[str, str]] = []
    answers: dict[str, list[str]] = {name: [] for name in released.answers}
    used: set[str] = set()
    for number, cell in enumerate(cells):
        original = theirs.get(cell.key) or (sources.get(cell.source) if not cell.grade_id else None)
        if original is not None and not original.grade_id and original.type != cell.type:
            original = None
        if not _runs(cell, original):
            continue
        name = cell.id if cell.id and cell.id not in used else f"#{number}"
        used.add(name)
        run.append((name, cell.source))
        if original is not None and original.kind == "answer":
            answers[original.grade_id].append(name)
    return Parsed(tuple(run), {k: tuple(v) for k, v in answers.items()}, tuple(_tampering(cells, released)))


def _runs(cell: Cell, original: Cell | None) -> bool:
    """Whether a cell's code is run. The release's own setup has run before; its demo and train cells are left out."""
    if original is None:  # added by the student
        return cell.type == "code" and cell.kind in ("untagged", "setup", "answer")
    if original.kind == "answer":
        return True  # also when it was turned into text by a slip of the keyboard
    if original.kind == "setup":
        return cell.source != original.source
    return original.kind == "untagged" and cell.source != original.source


def _tampering(cells: Sequence[Cell], released: Released) -> Iterator[str]:
    locked = {cell.grade_id: cell for cell in released.cells if cell.grade_id}
    handed_in = [cell for cell in cells if cell.grade_id in locked]
    counts = Counter(cell.grade_id for cell in handed_in)
    for grade_id in locked:
        if not counts[grade_id]:
            yield f"cell {grade_id!r} is missing"
        elif counts[grade_id] > 1:
            yield f"cell {grade_id!r} is there {counts[grade_id]} times"
    order = list(dict.fromkeys(cell.grade_id for cell in handed_in))
    for here, there in zip(order, [grade_id for grade_id in locked if counts[grade_id]]):
        if here != there:
            yield f"cells were moved: {here!r} stands where {there!r} was"
            break
    for cell in handed_in:
        original = locked[cell.grade_id]
        if cell.type != original.type:
            yield f"cell {cell.grade_id!r} was turned from {original.type} into {cell.type[:20]}"
        changed = sorted(
            key
            for key in {*cell.nbgrader, *original.nbgrader}
            if cell.nbgrader.get(key) != original.nbgrader.get(key) and key not in ("cell_type", "schema_version")
        )
        if changed:
            yield f"cell {cell.grade_id!r} has other metadata: {', '.join(_clean(key)[:40] for key in changed[:5])}"
        if original.nbgrader.get("locked") and cell.source.strip() != original.source.strip():
            yield f"locked cell {cell.grade_id!r} was edited"
    for cell in cells:
        if cell.grade_id and cell.grade_id not in locked:
            yield f"cell {cell.grade_id[:60]!r} was not in the released notebook"


# --- finding submissions --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Submission:
    """One notebook of one student; `problem` says why there is nothing to read, when there is not."""

    student: str
    unit: str
    notebook: str
    data: bytes = b""
    problem: str = ""
    notes: tuple[str, ...] = ()


def find(place: Path, units: Iterable[str], released: dict[str, list[Released]]) -> list[Submission]:
    """All submissions of some units in a folder `student/unit/notebook.ipynb`, or a zip of one; sorted.

    Raises:
        BadSubmissions: there is no such folder or archive, or it holds no submission of these units.
    """
    units = list(units)
    if not place.exists():
        raise BadSubmissions(f"there is no folder or zip archive {place}.")
    if place.is_dir():
        files = _in_folder(place)
    elif zipfile.is_zipfile(place):
        files = _in_archive(place)
    else:
        raise BadSubmissions(f"{place} is neither a folder nor a zip archive.")
    found: list[Submission] = []
    for (student, unit), there in sorted(files.items()):
        if unit in units:
            found += _of_student(student, unit, there, released[unit])
    if not found:
        held = sorted({unit for _, unit in files})
        what = (
            f"it has {', '.join(held[:8])}"
            if held
            else "it is empty, or its folders are not student/unit/notebook.ipynb"
        )
        raise BadSubmissions(f"{place} holds no submission of {', '.join(units)}: {what}.")
    return found


_Files = dict[tuple[str, str], dict[str, Any]]  # (student, unit) -> {file name: bytes, or a sentence that says why not}


def _of_student(student: str, unit: str, files: dict[str, Any], released: list[Released]) -> Iterator[Submission]:
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
            yield Submission(student, unit, release.notebook, problem=_clean(content), notes=tuple(notes))
        else:
            yield Submission(student, unit, release.notebook, data=content, notes=tuple(notes))


def _in_folder(place: Path) -> _Files:
    found: _Files = {}
    for student in _subfolders(place):
        for unit in _subfolders(Path(student.path)):
            files: dict[str, Any] = {}
            try:
                entries = sorted(os.scandir(unit.path), key=lambda e: e.name)
            except OSError as fault:
                entries, files = [], {"": f"the folder cannot be read: {fault.strerror}."}
            for entry in entries:
                name = _clean(entry.name)
                files[name] = _read_file(entry.path) if name.endswith(".ipynb") else ""
            found[_clean(student.name), _clean(unit.name)] = files
    return found


def _subfolders(place: Path) -> list[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(place))
    except OSError as fault:
        if not place.is_dir():
            raise BadSubmissions(f"{place} cannot be read: {fault.strerror}.") from None
        return []
    return sorted((e for e in entries if e.is_dir(follow_symlinks=False) and e.name[:1] != "."), key=lambda e: e.name)


def _read_file(path: str) -> bytes | str:
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


def _in_archive(place: Path) -> _Files:
    """Reads a zip without unpacking it anywhere: every path, link and size in it is somebody else's word."""
    found: _Files = {}
    with zipfile.ZipFile(place) as archive:
        entries = archive.infolist()
        if len(entries) > ARCHIVE_ENTRIES:
            raise BadSubmissions(f"{place} holds {len(entries)} files; at most {ARCHIVE_ENTRIES} are read.")
        named = [(entry, _safe_parts(entry.filename)) for entry in entries if not entry.is_dir()]
        safe = [(entry, parts) for entry, parts in named if parts]
        deep = bool(safe) and all(len(parts) >= 4 for _, parts in safe) and len({parts[0] for _, parts in safe}) == 1
        for entry, parts in safe:
            parts = parts[1:] if deep else parts  # one folder around all students, as zip tools put it
            if len(parts) < 3:
                continue
            files = found.setdefault((_clean(parts[0]), _clean(parts[1])), {})
            if len(parts) == 3 and parts[2].endswith(".ipynb"):
                files[_clean(parts[2])] = _read_entry(archive, entry)
    return found


def _safe_parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or any(":" in part[:2] for part in path.parts[:1]):
        return ()
    return path.parts


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | str:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "the notebook is a symbolic link; links are not followed."
    try:
        with archive.open(entry) as file:
            return file.read(NOTEBOOK_BYTES + 1)  # what it says of its own size is not believed
    except Exception as fault:  # damaged, encrypted, or packed in a way that is not known here
        return f"the notebook cannot be read from the archive: {str(fault)[:120]}."
