"""A submitted notebook beside the released one: what of it is run, and what was changed. Imports no torch."""

from __future__ import annotations

import ast
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from course_lib.grading.inside.protocol import without_surrogates
from course_lib.grading.outside.cells import Cell, Malformed, read_cells
from course_lib.notebooks import CellKind

PLAIN = 1 << 16  # bytes; a file up to this size is kept as it is


@dataclass(frozen=True)
class Packed:
    """A large file, compressed: all notebooks of a class are held together, and one that is large repeats itself."""

    content: bytes

    def unpacked(self) -> bytes:
        """The file's bytes."""
        return zlib.decompress(self.content)


def packed(data: bytes) -> bytes | Packed:
    """A file's bytes as they are kept."""
    return data if len(data) <= PLAIN else Packed(zlib.compress(data, 1))


def unpacked(data: bytes | Packed) -> bytes:
    """A file's bytes again."""
    return data.unpacked() if isinstance(data, Packed) else data


@dataclass(frozen=True)
class Submission:
    """One notebook of one student; `problem` says why there is nothing to read, when there is not."""

    student: str
    unit: str
    notebook: str
    data: bytes | Packed = b""
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.student}/{self.unit}/{self.notebook}"


class BadSubmissions(ValueError):
    """The folder or archive of submissions itself is of no use; the text says what to do."""


@dataclass(frozen=True)
class Parsed:
    """What of a submission is run, and what was changed that should not have been.

    Attributes:
        cells: (id, code) in order: answers, setup cells that the student edited, and cells that the student added.
        answer_cells: for each exercise, the ids among `cells` that hold its answer.
        experiments: the ids of cells of the student's own that do more than define something; answers can do without.
        tampered: one sentence for each change to what was locked.
    """

    cells: tuple[tuple[str, str], ...]
    answer_cells: dict[str, tuple[str, ...]]
    experiments: tuple[str, ...]
    tampered: tuple[str, ...]


def parse(data: bytes, released: Released) -> Parsed:
    """Reads a submitted notebook and compares it with the released one.

    Raises:
        Malformed: it cannot be read.
    """
    cells = read_cells(data)
    theirs = {cell.key: cell for cell in released.cells if cell.grade_id or cell.id}
    sources = {cell.source: cell for cell in released.cells if not cell.grade_id and cell.type == "code"}
    run: list[tuple[str, str]] = []
    answers: dict[str, list[str]] = {name: [] for name in released.answers}
    experiments: list[str] = []
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
        if original is not None and original.kind == CellKind.ANSWER:
            answers[original.grade_id].append(name)
        elif (original is None or original.kind == CellKind.UNTAGGED) and not _only_defines(cell.source):
            experiments.append(name)
    answer_cells = {name: tuple(ids) for name, ids in answers.items()}
    return Parsed(tuple(run), answer_cells, tuple(experiments), tuple(_tampering(cells, released)))


def _runs(cell: Cell, original: Cell | None) -> bool:
    """Whether a cell's code is run. The release's own setup has run before; its demo and train cells are left out."""
    if original is None:  # added by the student
        return cell.type == "code" and cell.kind in (CellKind.UNTAGGED, CellKind.SETUP, CellKind.ANSWER)
    if original.kind == CellKind.ANSWER:
        return True  # also when it was turned into text by a slip of the keyboard
    if original.kind == CellKind.SETUP:
        return cell.source != original.source
    return original.kind == CellKind.UNTAGGED and cell.source != original.source


def _only_defines(source: str) -> bool:
    """Whether a cell holds only definitions, imports and plain values, so that an answer may need it."""
    try:
        lines = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # commands of the notebook's own, such as `!ls`
        return False
    return all(isinstance(line, _DEFINITIONS) or _is_plain(line) for line in lines)


def _is_plain(line: ast.stmt) -> bool:
    plain = isinstance(line, (ast.Assign, ast.AnnAssign, ast.Expr))
    return plain and not any(isinstance(part, (ast.Call, ast.Await, ast.comprehension)) for part in ast.walk(line))


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)


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
            keys = ", ".join(without_surrogates(key)[:40] for key in changed[:5])
            yield f"cell {cell.grade_id!r} has other metadata: {keys}"
        if original.nbgrader.get("locked") and cell.source.strip() != original.source.strip():
            yield f"locked cell {cell.grade_id!r} was edited"
    for cell in cells:
        if cell.grade_id and cell.grade_id not in locked:
            yield f"cell {cell.grade_id[:60]!r} was not in the released notebook"


# --- what was released ------------------------------------------------------------------------------------------------


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
        return [cell.source for cell in self.cells if cell.kind == CellKind.SETUP]

    @property
    def answers(self) -> list[str]:
        """The grade_ids of the cells that hold answers: the names of the exercises."""
        return [cell.grade_id for cell in self.cells if cell.kind == CellKind.ANSWER]

    @property
    def written(self) -> list[Cell]:
        """The cells that a person grades."""
        return [cell for cell in self.cells if cell.kind == CellKind.WRITTEN and cell.nbgrader.get("grade")]


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
            cells = tuple(read_cells(data))
        except Malformed as fault:
            raise BadSubmissions(f"the released notebook {path} cannot be read: {fault}") from None
        released.append(Released(unit, path.stem, cells, hashlib.sha256(data).hexdigest()))
    return released
