"""The rules that a source must keep before it is released: its cells, its wording, nbgrader's metadata.

They are enforced here, since nowhere else sees every cell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course_lib.authoring import answers, predictions, prose, wording
from course_lib.authoring.sources import (
    Problem,
    ReleaseError,
    Source,
    exercise_files,
    exercises_by_name,
    folder_of,
    read_source,
    source_files,
)
from course_lib.exercises.contract import DIFFICULTY
from course_lib.exercises.predicting.questions import questions_of
from course_lib.notebooks import CHECK, TAGS, CellKind, grade_id_of, kind_of

MAX_CODE_LINES = 25
MAX_TEXT_WORDS = 150
# A broken rule of one cell: lines below the cell's first one, and what to do.
Fault = tuple[int, str]


def read_unit(unit: str, *, root: Path | None = None, exercises: Mapping[str, Any] | None = None) -> list[Source]:
    """Reads and checks the sources of a unit.

    Raises:
        ReleaseError: no such unit, no source in it, or a rule is broken (every breach is listed with file and line).
    """
    folder = folder_of(unit, root)
    problems = _wording_of_files(exercise_files(unit)) if exercises is None else []
    exercises = exercises_by_name(unit) if exercises is None else exercises
    sources = [read_source(path) for path in source_files(folder)]
    if not sources:
        raise ReleaseError(
            f"{folder} holds no notebook source; it is named {unit}.py (or {unit[:2]}a_part.py, {unit[:2]}b_other.py)."
        )
    answered = {
        source.name: [cell.grade_id for cell in _cells(source) if cell.kind is CellKind.ANSWER] for source in sources
    }
    for source in sources:
        others = [name for other, names in answered.items() if other != source.name for name in names]
        # An exercise that no notebook answers is reported once, for the first.
        others += list(exercises) if source is not sources[0] else []
        problems += lint(source, exercises, in_other_notebooks=others)
    if problems:
        raise ReleaseError("\n".join(str(problem) for problem in problems))
    return sources


def lint(source: Source, exercises: Mapping[str, Any], *, in_other_notebooks: Sequence[str] = ()) -> list[Problem]:
    """The broken rules of one source.

    Args:
        source: as `read_source` gives it, before metadata is filled in.
        exercises: the unit's exercises by name (each with .points, .number, .minutes and .difficulty).
        in_other_notebooks: exercises answered in the unit's other notebooks.
    """
    cells = _cells(source)
    found: list[tuple[int, str]] = []
    for cell in cells:
        rules: Sequence[_Rule] = (_metadata, *_RULES.get(cell.node.cell_type, ()))
        found += [(cell.line + offset, text) for rule in rules for offset, text in rule(cell, exercises)]
        found += [(cell.line + 1 + offset, text) for offset, text in _wording(cell)]
    found += _missing_needs(cells, exercises)
    found += [(1, text) for text in _missing_cells(cells, exercises, in_other_notebooks)]
    predicted = predictions.faults(source.notebook.cells, questions_of(source.name), source.name)
    found += [(source.lines[place], text) for place, text in predicted]
    return [Problem(source.path, line, text) for line, text in found]


def _wording(cell: _Cell) -> Iterator[Fault]:
    for rule in wording.for_cells(cell.node.cell_type):
        yield from rule.broken_in(cell.node.source)


def _wording_of_files(paths: Sequence[Path]) -> list[Problem]:
    return [
        Problem(path, 1 + offset, text)
        for path in paths
        for rule in wording.WORDS
        for offset, text in rule.broken_in(path.read_text(encoding="utf-8"))
    ]


@dataclass(frozen=True)
class _Cell:
    """A cell as rules see it: what it is, and the cells above it."""

    node: NotebookNode
    line: int
    above: tuple[_Cell, ...]

    @property
    def kind(self) -> CellKind:
        return kind_of(self.node)

    @property
    def grade_id(self) -> str:
        return grade_id_of(self.node)


def _cells(source: Source) -> list[_Cell]:
    cells: list[_Cell] = []
    for node, line in zip(source.notebook.cells, source.lines):
        cells.append(_Cell(node, line, tuple(cells)))
    return cells


# --- code cells ---


def _place_of_code(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    above = cell.above[-1] if cell.above else None
    if cell.kind is CellKind.UNTAGGED:
        yield 0, f"code cell without a kind; tag it {', '.join(TAGS)}, or make it an answer or a check"
    if cell.kind is CellKind.CHECK:
        if above is None or above.kind is not CellKind.ANSWER or CHECK + above.grade_id != cell.grade_id:
            yield 0, f"check cell {cell.grade_id!r} must stand directly under its answer cell"
    elif above is not None and above.node.cell_type == "code" and not _belong_together(above.kind, cell.kind):
        yield 0, "two code cells in a row; say between them, in a line or two, what is seen and what comes next"


def _belong_together(above: CellKind, below: CellKind) -> bool:
    """Cells of code that need no text between them: the setup, and a prediction above what is predicted."""
    return above is below is CellKind.SETUP or above is CellKind.PREDICT is not below


def _length_of_code(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    written, given = answers.without_starting_code(cell.node.source), answers.as_given(cell.node.source)
    count = max(
        len([line for line in text.splitlines() if line.strip() and not answers.is_mark(line)])
        for text in (written, given)
    )
    if count > MAX_CODE_LINES:
        yield 0, f"code cell of {count} lines; {MAX_CODE_LINES} at most: move plumbing into course_lib or split it"


# --- text cells ---


def _length_of_text(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    count = prose.word_count(answers.without_answer(cell.node.source))
    if count > MAX_TEXT_WORDS:
        yield 0, f"text cell of {count} words; {MAX_TEXT_WORDS} at most: cut it, or split it by a cell of code"


_HEADING = re.compile(r"#+ Exercise ([\d.]+): (\w+)(?: \((?:([\w-]+), )?(\d+) minutes\))?")


def _headings(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    """Headings like `### Exercise 0.1: accuracy (warm-up, 2 minutes)` that are not what the exercise says.

    The difficulty may be left out, and what stands in brackets as a whole.
    """
    for offset, line in enumerate(cell.node.source.split("\n")):
        match = _HEADING.match(line)
        if match is None or match[2] not in exercises:
            continue
        exercise = exercises[match[2]]
        level = DIFFICULTY[exercise.difficulty]
        said = (match[1], match[3] or level, match[4] or str(exercise.minutes))
        if said != (exercise.number, level, str(exercise.minutes)):
            wanted = f"Exercise {exercise.number}: {exercise.name} ({level}, {exercise.minutes} minutes)"
            yield offset + 1, f"the heading says {match[0].lstrip('# ')!r}; it must say {wanted!r}"


def _figures(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    instead = (
        "quote a record, {{ result(...) }}, put it in a formula or code, or cite its source in brackets, (Lee 2013)"
    )
    for offset, number in prose.typed_numbers(cell.node.source):
        yield offset + 1, f"the figure {number!r} is typed by hand; {instead}"


_Rule = Callable[[_Cell, Mapping[str, Any]], Iterator[Fault]]
_RULES: dict[str, tuple[_Rule, ...]] = {
    "code": (_place_of_code, _length_of_code),
    "markdown": (_length_of_text, _headings, _figures),
}


# --- nbgrader's metadata ---


def _metadata(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    if "nbgrader" not in cell.node.metadata:
        return
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", cell.grade_id):
        yield 0, f"grade_id {cell.grade_id!r} must be 1 to 64 letters, digits, _ or -"
    if cell.grade_id in [each.grade_id for each in cell.above if "nbgrader" in each.node.metadata]:
        yield 0, f"grade_id {cell.grade_id!r} is used twice"
    if cell.kind is CellKind.ANSWER:
        yield from _answer(cell, exercises)
    elif answers.BEGIN in cell.node.source and cell.kind is not CellKind.WRITTEN:
        yield 0, f"a {answers.BEGIN} outside an answer cell would be released"
    if cell.kind is CellKind.CHECK:
        yield from _check(cell, exercises)
    if cell.kind is CellKind.WRITTEN and "points" not in cell.node.metadata["nbgrader"]:
        yield 0, f"written answer {cell.grade_id!r} needs points"


def _answer(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    source, name = cell.node.source, cell.grade_id
    if name not in exercises:
        known = ", ".join(exercises) or "none"
        yield 0, f"answer cell {name!r} is not an exercise of this unit (known: {known})"
    if source.count(answers.BEGIN) == 0 or source.count(answers.BEGIN) != source.count(answers.END):
        yield 0, f"answer cell {name!r} needs lines ### {answers.BEGIN} and ### {answers.END} around what is cleared"
    elif answers.stops_when_run(source):
        where = "what is cleared must stand inside a function, of a class inside each method"
        why = "so that the name is there and its check can say not attempted"
        yield 0, f"answer cell {name!r} would stop while it is run: {where}, {why}"
    elif answers.START in source and (fault := answers.starting_code_fault(source)):
        yield 0, f"the starting code of {name!r} {fault}"


def _check(cell: _Cell, exercises: Mapping[str, Any]) -> Iterator[Fault]:
    if cell.grade_id.removeprefix(CHECK) not in exercises and "points" not in cell.node.metadata["nbgrader"]:
        yield 0, f"check cell {cell.grade_id!r} names no exercise of this unit: call it check_ and the exercise's name"
    last = cell.node.source.strip().splitlines()[-1] if cell.node.source.strip() else ""
    # nbgrader reads the score from the value that the cell shows; a `;` or an assignment hides it: full marks.
    if not re.match(r"check\.\w+\(", last) or last.rstrip().endswith(";"):
        yield 0, f"check cell {cell.grade_id!r} must end with a bare call, check.name(name)"


# --- the notebook as a whole ---


def _missing_cells(cells: Sequence[_Cell], exercises: Mapping[str, Any], elsewhere: Sequence[str]) -> Iterator[str]:
    answered = {cell.grade_id for cell in cells if cell.kind is CellKind.ANSWER}
    checked = {cell.grade_id for cell in cells if cell.kind is CellKind.CHECK}
    for name in sorted(answered):
        if CHECK + name not in checked:
            yield f"answer cell {name!r} has no check cell {CHECK}{name}"
    for name in exercises:
        if name not in answered and name not in elsewhere:
            yield f"exercise {name!r} has no answer cell in this unit"


def _missing_needs(cells: Sequence[_Cell], exercises: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Cells that build on an answer, or on what another cell made with one, and do not ask for it by check.needs.

    A learner who is stuck must meet one clear sentence, not a NameError three cells later.
    """
    built_on: dict[str, set[str]] = {name: {name} for name in exercises}
    for cell in cells:
        names = _names_in(cell.node.source) if cell.kind in (*TAGS, CellKind.UNTAGGED) else None
        if names is None:
            continue
        needed = {name: built_on[name] for name in sorted(names.used & built_on.keys() - names.made)}
        missing = set().union(*needed.values()) - names.asked
        if missing:
            because = ", ".join(name for name, origin in needed.items() if origin & missing)
            wanted = ", ".join(f'"{name}"' for name in exercises if name in names.asked | missing)
            what_to_do = f"begin it with check.needs({wanted})"
            yield cell.line, f"uses {because}, which a learner without an answer lacks; {what_to_do}"
        for name in names.made:
            built_on.pop(name, None)
            if names.asked | missing:
                built_on[name] = names.asked | missing


@dataclass(frozen=True)
class _Names:
    """What a cell's code uses, what it makes, and what it asks for by check.needs."""

    used: set[str]
    made: set[str]
    asked: set[str]


def _names_in(source: str) -> _Names | None:
    """The names in a cell; None for a cell that is not Python, lines of IPython's own aside."""
    lines = [line for line in source.split("\n") if not line.lstrip().startswith(("%", "!"))]
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:
        return None
    names = _Names(set(), set(), set())
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.used.add(node.id)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.made.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.made.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "check.needs":
            names.asked.update(str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))
    return names
