"""From solutions/ to what students get: `course release`.

One source, a py:percent file with the answers in it, becomes the student's notebook (answers replaced by named stubs,
through nbgrader's own converter) and the solution notebook. The conversion is deterministic: an unchanged source gives
the same bytes. The cell rules of the course are enforced here, since nowhere else sees every cell.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import copy
import gzip
import json
import logging
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_lib import settings
from course_lib.files import replace as write_atomically
from course_lib.notebooks import (
    COURSE_ID,
    TAGS,
    kind_of,
    notebook_text,
    release_hash,
    released_files,
    tools_on_path,
)

TEXT_STUB = "*Your answer goes here: replace this line.*"
MAX_CODE_LINES = 25
MAX_TEXT_WORDS = 150
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# Split, so that a search of a student's files for the markers finds none.
BEGIN, END = "BEGIN " + "SOLUTION", "END " + "SOLUTION"
# Between this line and the end marker: code that a learner is given to begin with, such as a loop to repair, each line
# commented out so that the source runs. It comes after the stub, which is deleted when work begins.
START = "STARTING " + "CODE"
# What a student's copy leaves out: the parts that need solutions/ or that grade, and what was measured of those.
NOT_FOR_STUDENTS = (
    "course_lib/authoring",
    "course_lib/grading",
    "results/benchmarks",
    "results/pictures",
)
NOT_COPIED = {".py", ".pyc", ".md", ".ipynb"}


class ReleaseError(Exception):
    """A release that cannot be made; the text says where and what to do."""


@dataclass(frozen=True)
class Problem:
    """One broken rule, at a line of a source file."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        path = self.path
        with contextlib.suppress(ValueError):
            path = path.relative_to(settings.root())
        return f"{path}:{self.line}: {self.text}"


@dataclass
class Source:
    """One py:percent file as read: its notebook, and the line each cell begins at."""

    path: Path
    unit: str
    notebook: NotebookNode
    lines: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.stem


# ---------------------------------------------------------------------------------------------------------------------
# Reading the sources


def unit_folders(root: Path | None = None) -> dict[str, Path]:
    """The unit folders under solutions/, by unit id, in order."""
    folder = (root or settings.root()) / "solutions"
    found = sorted(path for path in folder.glob("[0-9][0-9]_*") if path.is_dir())
    return {path.name: path for path in found}


def source_files(folder: Path) -> list[Path]:
    """The notebook sources of a unit's folder: the .py files that begin with the unit's number."""
    return sorted(folder.glob(f"{folder.name[:2]}*.py"))


def folder_of(unit: str, root: Path | None = None) -> Path:
    """The source folder of a unit.

    Raises:
        ReleaseError: there is no such unit; the message names those that there are.
    """
    folders = unit_folders(root)
    if unit not in folders:
        known = ", ".join(folders) or "none"
        raise ReleaseError(f"There is no unit {unit!r} under solutions/; the units are: {known}.")
    return folders[unit]


def exercises_by_name(unit: str) -> dict[str, Any]:
    """The registered exercises of a unit, by name."""
    from course_lib.exercises import exercises_of

    return {exercise.name: exercise for exercise in exercises_of(unit)}


def read_source(path: Path) -> Source:
    """Reads a py:percent file.

    Raises:
        ReleaseError: the file is not text that jupytext can read.
    """
    import jupytext

    try:
        text = path.read_text(encoding="utf-8")
        notebook = jupytext.reads(text, fmt="py:percent")
    except (UnicodeDecodeError, ValueError, SyntaxError) as error:
        raise ReleaseError(f"{path} cannot be read as a py:percent notebook: {error}") from error
    starts = [number for number, line in enumerate(text.splitlines(), start=1) if re.match(r"# %%(?!%)", line)]
    lines = starts if len(starts) == len(notebook.cells) else [1] * len(notebook.cells)
    return Source(path, path.parent.name, notebook, lines)


# ---------------------------------------------------------------------------------------------------------------------
# The rules


def lint(source: Source, exercises: Mapping[str, Any], *, in_other_notebooks: Sequence[str] = ()) -> list[Problem]:
    """The broken rules of one source: cell rules, nbgrader's metadata, and exercises without a cell.

    Args:
        source: as `read_source` gives it, before metadata is filled in.
        exercises: the unit's exercises by name (each with .points, .number and .minutes).
        in_other_notebooks: exercises answered in the unit's other notebooks.
    """
    problems: list[Problem] = []
    kinds = [kind_of(cell) for cell in source.notebook.cells]
    seen_ids: set[str] = set()

    for index, (cell, kind, line) in enumerate(zip(source.notebook.cells, kinds, source.lines)):

        def report(text: str, offset: int = 0, line: int = line) -> None:
            problems.append(Problem(source.path, line + offset, text))

        grade_id = str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if "nbgrader" in cell.metadata:
            for text in _metadata_faults(cell, kind, grade_id, exercises, seen_ids):
                report(text)
            seen_ids.add(grade_id)
        if cell.cell_type == "code":
            before = kinds[index - 1] if index else "text"
            above = source.notebook.cells[index - 1] if index else None
            if kind == "untagged":
                report(f"code cell without a kind; tag it {', '.join(TAGS)}, or make it an answer or a check")
            if kind == "check":
                above_id = above.metadata.get("nbgrader", {}).get("grade_id") if above is not None else None
                if before != "answer" or f"check_{above_id}" != grade_id:
                    report(f"check cell {grade_id!r} must stand directly under its answer cell")
            elif before not in ("text", "written") and not (before == kind == "setup"):
                report("two code cells in a row; say between them, in a line or two, what is seen and what comes next")
            shown = without_starting_code(cell.source), _with_starting_code(cell.source)
            count = max(len([t for t in text.splitlines() if t.strip() and not _is_marker(t)]) for text in shown)
            if count > MAX_CODE_LINES:
                report(
                    f"code cell of {count} lines; {MAX_CODE_LINES} at most: move plumbing into course_lib or split it"
                )
        elif cell.cell_type == "markdown":
            count = word_count(_without_answer(cell.source))
            if count > MAX_TEXT_WORDS:
                report(f"text cell of {count} words; {MAX_TEXT_WORDS} at most: cut it, or split it by a cell of code")
            for offset, text in _heading_faults(cell.source, exercises):
                report(text, offset + 1)
            for offset, number in typed_numbers(cell.source):
                report(
                    f"the figure {number!r} is typed by hand; quote a record, {{{{ result(...) }}}}, put it in a "
                    "formula or code, or cite its source in brackets, (Lee 2013)",
                    offset + 1,
                )

    for index, text in _missing_needs(source.notebook.cells, kinds, exercises):
        problems.append(Problem(source.path, source.lines[index], text))
    answered = {
        cell.metadata["nbgrader"].get("grade_id")
        for cell, kind in zip(source.notebook.cells, kinds)
        if kind == "answer"
    }
    checked = {
        cell.metadata["nbgrader"].get("grade_id") for cell, kind in zip(source.notebook.cells, kinds) if kind == "check"
    }
    for name in sorted(answered):
        if f"check_{name}" not in checked:
            problems.append(Problem(source.path, 1, f"answer cell {name!r} has no check cell check_{name}"))
    for name in exercises:
        if name not in answered and name not in in_other_notebooks:
            problems.append(Problem(source.path, 1, f"exercise {name!r} has no answer cell in this unit"))
    return problems


_HEADING = re.compile(r"#+ Exercise ([\d.]+): (\w+)(?: \((\d+) minutes\))?")


def _heading_faults(text: str, exercises: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Headings like `### Exercise 0.1: accuracy (2 minutes)` that are not what the exercise says; with their line."""
    for offset, line in enumerate(text.split("\n")):
        match = _HEADING.match(line)
        if match is None or match[2] not in exercises:
            continue
        exercise = exercises[match[2]]
        minutes = match[3] or exercise.minutes
        if (match[1], str(minutes)) != (exercise.number, str(exercise.minutes)):
            wanted = f"Exercise {exercise.number}: {exercise.name} ({exercise.minutes} minutes)"
            yield offset, f"the heading says {match[0].lstrip('# ')!r}; it must say {wanted!r}"


def _missing_needs(
    cells: Sequence[NotebookNode], kinds: Sequence[str], exercises: Mapping[str, Any]
) -> Iterator[tuple[int, str]]:
    """Cells that build on an answer, or on what another cell made with one, and do not ask for it by check.needs.

    A learner who is stuck must meet one clear sentence, not a NameError three cells later.
    """
    built_on: dict[str, set[str]] = {name: {name} for name in exercises}
    for index, (cell, kind) in enumerate(zip(cells, kinds)):
        if kind not in TAGS and kind != "untagged":
            continue
        lines = [line for line in cell.source.split("\n") if not line.lstrip().startswith(("%", "!"))]
        try:
            tree = ast.parse("\n".join(lines))
        except SyntaxError:
            continue
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        asked: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "check.needs":
                asked |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
        made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        made |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        needed: dict[str, set[str]] = {name: built_on[name] for name in sorted(used & built_on.keys() - made)}
        missing = set().union(*needed.values()) - asked if needed else set()
        if missing:
            because = ", ".join(name for name, origin in needed.items() if origin & missing)
            wanted = ", ".join(f'"{name}"' for name in exercises if name in asked | missing)
            yield index, f"uses {because}, which a learner without an answer lacks; begin it with check.needs({wanted})"
        for name in made:
            built_on.pop(name, None)
            if asked | missing:
                built_on[name] = asked | missing


def _metadata_faults(
    cell: NotebookNode, kind: str, grade_id: str, exercises: Mapping[str, Any], seen_ids: set[str]
) -> Iterator[str]:
    nbgrader = cell.metadata["nbgrader"]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", grade_id):
        yield f"grade_id {grade_id!r} must be 1 to 64 letters, digits, _ or -"
    if grade_id in seen_ids:
        yield f"grade_id {grade_id!r} is used twice"
    if kind == "answer":
        if grade_id not in exercises:
            known = ", ".join(exercises) or "none"
            yield f"answer cell {grade_id!r} is not an exercise of this unit (known: {known})"
        if cell.source.count(BEGIN) == 0 or cell.source.count(BEGIN) != cell.source.count(END):
            yield f"answer cell {grade_id!r} needs lines ### {BEGIN} and ### {END} around what is cleared"
        elif not _stub_waits_for_a_call(cell.source):
            yield (
                f"answer cell {grade_id!r} would stop while it is run: what is cleared must stand inside a function, "
                "of a class inside each method, so that the name is there and its check can say not attempted"
            )
        elif START in cell.source and (fault := _starting_code_fault(cell.source)):
            yield f"the starting code of {grade_id!r} {fault}"
    elif BEGIN in cell.source and kind != "written":
        yield f"a {BEGIN} outside an answer cell would be released"
    if kind == "check":
        if grade_id.removeprefix("check_") not in exercises and "points" not in nbgrader:
            yield f"check cell {grade_id!r} names no exercise of this unit: call it check_ and the exercise's name"
        last = cell.source.strip().splitlines()[-1] if cell.source.strip() else ""
        # nbgrader reads the score from the value that the cell shows; a `;` or an assignment hides it: full marks.
        if not re.match(r"check\.\w+\(", last) or last.rstrip().endswith(";"):
            yield f"check cell {grade_id!r} must end with a bare call, check.name(name)"
    if kind == "written" and "points" not in nbgrader:
        yield f"written answer {grade_id!r} needs points"


def _stub_waits_for_a_call(source: str) -> bool:
    """Whether a cleared cell still runs: its stubs are in functions, and what remains is Python."""
    cleared = re.sub(
        rf"^([ \t]*)[^\n]*{BEGIN}.*?{END}[^\n]*", r"\1raise NotImplementedError", source, flags=re.M | re.S
    )
    try:
        waiting: list[ast.AST] = list(ast.parse(cleared).body)
    except SyntaxError:
        return False
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise):
            return False
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)
    return True


def _is_marker(line: str) -> bool:
    return BEGIN in line or END in line or START in line


_STARTING = re.compile(rf"^[ \t]*#+ *{START}[^\n]*\n(.*?)(?=^[ \t]*#+ *{END})", re.MULTILINE | re.DOTALL)


def starting_code(source: str) -> str:
    """What a learner is given to begin with in an answer cell, uncommented and without its indentation; "" for none.

    >>> starting_code("    ### STARTING" + " CODE\\n    # for x in y:\\n    #     x\\n    ### END" + " SOLUTION")
    'for x in y:\\n    x'
    """
    found = _STARTING.search(source)
    lines = found.group(1).splitlines() if found else []
    return "\n".join(re.sub(r"^[ \t]*# ?", "", line) for line in lines)


def without_starting_code(source: str) -> str:
    """The cell as it is solved."""
    return _STARTING.sub("", source)


def _with_starting_code(source: str) -> str:
    """The cell as a learner is given it, with a `raise` for its stub."""

    def given(match: re.Match[str]) -> str:
        lines = ["raise NotImplementedError", *starting_code(match.group()).splitlines()]
        return "\n".join(match.group(1) + line for line in lines)

    return re.sub(rf"^([ \t]*)[^\n]*{BEGIN}.*?{END}[^\n]*", given, source, flags=re.MULTILINE | re.DOTALL)


def _starting_code_fault(source: str) -> str:
    """What is wrong with starting code, in words; "" when nothing is."""
    found = _STARTING.search(source)
    if found is None or any(line.strip() and not line.lstrip().startswith("#") for line in found.group(1).splitlines()):
        return "must be comments, each line behind a #, and stand last before the end of the solution"
    try:
        ast.parse(_with_starting_code(source))
    except SyntaxError as error:
        return f"is no Python once it is uncommented: {error.msg}"
    return ""


def _without_answer(text: str) -> str:
    """What a student reads of a written answer's cell: rubric and sample answers are not for them, nor their length."""
    return re.sub(rf"{BEGIN}.*?{END}", "", text, flags=re.DOTALL)


_CODE_OR_FORMULA = re.compile(
    r"```.*?```|\$\$.*?\$\$|`[^`\n]*`|\$[^$\n]+\$|\{\{.*?\}\}|\{%.*?%\}|<!--.*?-->|\]\([^)\n]*\)|<[^>\n]+>", re.DOTALL
)
_CITATION = re.compile(r"\([^()]*[A-Z][^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)")
_FIGURE = re.compile(r"(?<![\w.])\d+(?:\.\d+)?\s?%|(?<![\w.])\d*\.\d+(?![\w]|\.\d)")
_NUMBERING = re.compile(
    r"\b(?:Exercise|Exercises|Section|Unit|Python|Part|Question)\s+\d+\.\d+|^#+\s*\d+(\.\d+)*\b", re.MULTILINE
)


def _blanked(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def word_count(text: str) -> int:
    """Words a reader reads: code blocks, formulas and addresses aside."""
    plain = re.sub(r"```.*?```|\$\$.*?\$\$|<!--.*?-->|\]\([^)\n]*\)|<[^>\n]+>", " ", text, flags=re.DOTALL)
    return len([word for word in plain.split() if re.search(r"\w", word)])


def typed_numbers(text: str) -> list[tuple[int, str]]:
    """Decimal numbers and percentages typed in prose, as (line offset, number).

    Those in code, formulas, placeholders and addresses are not prose; neither is the number of an exercise. A paragraph
    (in a table: a row) that cites a source in brackets may quote that source's figures.

    >>> typed_numbers("It reaches 71.5 % here.")
    [(0, '71.5 %')]
    >>> typed_numbers("Error 16.15 % (Lee 2013); Exercise 1.2 has `0.5` and $0.1$.")
    []
    """
    plain = _blanked(_blanked(text, _CODE_OR_FORMULA), _NUMBERING)
    found: list[tuple[int, str]] = []
    for first, block in _paragraphs(plain):
        if _CITATION.search(block):
            continue
        for match in _FIGURE.finditer(block):
            found.append((first + block.count("\n", 0, match.start()), match.group().strip()))
    return found


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Blocks of consecutive lines with their first line's offset; a table's row or a list's item stands alone."""
    block: list[str] = []
    start = 0
    for number, line in enumerate([*text.split("\n"), ""]):
        new_block = not line.strip() or line.lstrip().startswith("|") or re.match(r"\s*([-*]|\d+\.)\s", line)
        if new_block and block:
            yield start, "\n".join(block)
            block = []
        if line.strip():
            start = number if not block else start
            block.append(line)
    if block:
        yield start, "\n".join(block)


# ---------------------------------------------------------------------------------------------------------------------
# Building


def build_notebook(
    source: Source, exercises: Mapping[str, Any], *, render: Callable[[str], str] | None = None
) -> NotebookNode:
    """The solution notebook of a source: metadata and cell ids filled in, quoted figures rendered, no outputs.

    Args:
        source: as read.
        exercises: the unit's exercises by name; checks get their points from here.
        render: turns the text of a markdown cell into what is read; by default the course's records fill {{ }} in.

    Raises:
        ReleaseError: a placeholder has no record.
    """
    notebook = nbformat.v4.new_notebook()
    notebook.nbformat_minor = 5
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    notebook.metadata["course"] = NotebookNode(unit=source.unit, notebook=source.name)
    used: set[str] = set()
    for index, (original, line) in enumerate(zip(source.notebook.cells, source.lines)):
        cell = copy.deepcopy(original)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        elif cell.cell_type == "markdown":
            cell.source = _rendered(cell.source, source, line, render)
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] = _filled(cell, exercises)
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's note about blank lines in the source
        cell.id = _cell_id(cell, index, used)
        notebook.cells.append(cell)
    return notebook


def _rendered(text: str, source: Source, line: int, render: Callable[[str], str] | None) -> str:
    if "{{" not in text and "{%" not in text:
        return text
    try:
        if render is None:
            from course_lib import records

            return records.render(text, unit=source.unit)
        return render(text)
    except Exception as error:  # whatever a placeholder does wrong must be told with its place
        raise ReleaseError(str(Problem(source.path, line, f"a placeholder cannot be filled in: {error}"))) from error


def _filled(cell: NotebookNode, exercises: Mapping[str, Any]) -> NotebookNode:
    given = cell.metadata["nbgrader"]
    grade, solution = bool(given.get("grade", False)), bool(given.get("solution", False))
    full = {
        "schema_version": 3,
        "grade_id": given["grade_id"],
        "grade": grade,
        "solution": solution,
        "locked": bool(given.get("locked", grade and not solution)),
        "task": False,
        "cell_type": cell.cell_type,
    }
    if grade:
        exercise = exercises.get(str(given["grade_id"]).removeprefix("check_"))
        points = exercise.points if exercise is not None and not solution else given["points"]
        full["points"] = int(points) if float(points).is_integer() else float(points)
    return NotebookNode(full)


def _cell_id(cell: NotebookNode, index: int, used: set[str]) -> str:
    wanted = cell.metadata.get("nbgrader", {}).get("grade_id") or f"cell-{index:03d}"
    while wanted in used:
        wanted = f"{wanted[:60]}-{index}"
    used.add(wanted)
    return wanted


def read_unit(unit: str, *, root: Path | None = None, exercises: Mapping[str, Any] | None = None) -> list[Source]:
    """Reads and checks the sources of a unit.

    Raises:
        ReleaseError: no such unit, no source in it, or a rule is broken (every breach is listed with file and line).
    """
    folder = folder_of(unit, root)
    exercises = exercises_by_name(unit) if exercises is None else exercises
    sources = [read_source(path) for path in source_files(folder)]
    if not sources:
        raise ReleaseError(f"{folder} holds no notebook source; it is named {unit}.py (or {unit}_1.py, {unit}_2.py).")
    answers = {
        source.name: [
            c.metadata["nbgrader"]["grade_id"]
            for c in source.notebook.cells
            if kind_of(c) == "answer" and "grade_id" in c.metadata["nbgrader"]
        ]
        for source in sources
    }
    problems: list[Problem] = []
    for source in sources:
        others = [name for other, names in answers.items() if other != source.name for name in names]
        # An exercise that no notebook answers is reported once, for the first.
        others += list(exercises) if source is not sources[0] else []
        problems += lint(source, exercises, in_other_notebooks=others)
    if problems:
        raise ReleaseError("\n".join(str(problem) for problem in problems))
    return sources


def solution_notebooks(
    unit: str, *, root: Path | None = None, exercises: Mapping[str, Any] | None = None
) -> dict[str, NotebookNode]:
    """The solution notebooks of a unit by file stem: the answers in place, their markers taken out.

    Raises:
        ReleaseError: as `read_unit`.
    """
    exercises = exercises_by_name(unit) if exercises is None else exercises
    notebooks = {}
    for source in read_unit(unit, root=root, exercises=exercises):
        notebook = build_notebook(source, exercises)
        for cell in notebook.cells:
            solved = without_starting_code(cell.source)
            cell.source = "\n".join(line for line in solved.split("\n") if not _is_marker(line))
        notebooks[source.name] = notebook
    return notebooks


def build_unit(
    unit: str, *, root: Path | None = None, exercises: Mapping[str, Any] | None = None, gradebook: Path | None = None
) -> dict[str, bytes]:
    """The released files of a unit, name -> bytes: its notebooks and whatever pictures lie beside the source.

    Args:
        unit: such as "01_autoencoders".
        root: the project folder.
        exercises: by name; default the registered ones.
        gradebook: nbgrader's data base to fill; None fills none.

    Raises:
        ReleaseError: a rule is broken, or nbgrader refuses.
    """
    exercises = exercises_by_name(unit) if exercises is None else exercises
    sources = read_unit(unit, root=root, exercises=exercises)
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="course-release-") as name:
        course = Path(name).resolve()
        (course / "source" / unit).mkdir(parents=True)
        for source in sources:
            text = notebook_text(build_notebook(source, exercises))
            (course / "source" / unit / f"{source.name}.ipynb").write_text(text, encoding="utf-8")
        _generate_assignment(course, unit, exercises, gradebook)
        for path in sorted((course / "release" / unit).glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
            notebook.metadata["course"]["release"] = release_hash(notebook)
            files[path.name] = notebook_text(notebook).encode()
    for path in sorted(folder_of(unit, root).iterdir()):
        if path.is_file() and path.suffix not in NOT_COPIED and not path.name.startswith("."):
            files[path.name] = path.read_bytes()
    for file, content in files.items():
        for marker in (BEGIN, "BEGIN " + "HIDDEN"):
            if marker.encode() in content:
                raise ReleaseError(f"{unit}/{file} would be released with a {marker} in it.")
    return files


def _generate_assignment(course: Path, unit: str, exercises: Mapping[str, Any], gradebook: Path | None) -> None:
    from nbgrader import preprocessors
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    stubs = {
        name: f'raise NotImplementedError("Exercise {exercise.number}: {name}")' for name, exercise in exercises.items()
    }

    class NamedStubs(preprocessors.ClearSolutions):
        """nbgrader has one stub for all answers; ours names the exercise."""

        def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> tuple[NotebookNode, Any]:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            lines = [stubs.get(grade_id, "raise NotImplementedError()"), starting_code(cell.source)]
            self.code_stub = {"python": "\n".join(line for line in lines if line)}
            cell, resources = super().preprocess_cell(cell, resources, cell_index)
            if lines[1]:  # nbgrader indents empty lines too
                cell.source = "\n".join(line.rstrip() for line in cell.source.split("\n"))
            return cell, resources

    steps = [
        preprocessors.LockCells, NamedStubs, preprocessors.ClearOutput, preprocessors.CheckCellMetadata,
        preprocessors.ComputeChecksums, preprocessors.SaveCells, preprocessors.ClearHiddenTests,
        preprocessors.ClearMarkScheme, preprocessors.ComputeChecksums, preprocessors.CheckCellMetadata,
    ]  # fmt: skip
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.course_id = COURSE_ID
    config.CourseDirectory.source_directory = "source"
    config.CourseDirectory.release_directory = "release"
    config.CourseDirectory.assignment_id = unit
    config.ClearSolutions.text_stub = TEXT_STUB
    config.NamedStubs.text_stub = TEXT_STUB
    if gradebook is None:
        steps.remove(preprocessors.SaveCells)
        config.GenerateAssignment.no_database = True
        config.CourseDirectory.db_url = f"sqlite:///{course / 'unused.db'}"
    else:
        gradebook.parent.mkdir(parents=True, exist_ok=True)
        config.CourseDirectory.db_url = f"sqlite:///{gradebook.resolve()}"
    messages: list[str] = []
    log = logging.Logger("nbgrader-release")
    log.addHandler(_Collector(messages))
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config, log=log), config=config, log=log)
    converter.preprocessors = steps
    if gradebook is None:
        # nbgrader looks for removed notebooks in the data base even when it is told to use none.
        converter._clean_old_notebooks = lambda assignment_id, student_id: None
    try:
        with tools_on_path():
            converter.start()
    except (Exception, SystemExit) as error:
        if any("submissions associated" in message for message in messages):
            raise ReleaseError(
                f"{gradebook} holds submissions of {unit}, and cells were added to it or taken from it since. "
                "Nothing was changed. Finish grading with the release that they were written for, then move class/ "
                "away and release again."
            ) from error
        raise ReleaseError(f"nbgrader cannot release {unit}: {error}\n" + "\n".join(messages[-20:])) from error


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(level=logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


# ---------------------------------------------------------------------------------------------------------------------
# Writing, checking, handing out


def write_release(units: Sequence[str], *, root: Path | None = None, gradebook: Path | None = None) -> list[Path]:
    """Builds units into notebooks/ and fills nbgrader's gradebook; returns the files that changed.

    Files under notebooks/<unit>/ that no source makes any more are removed: the folder is generated as a whole.

    Raises:
        ReleaseError: a unit cannot be built; then no file of any unit has been written.
    """
    root = root or settings.root()
    gradebook = gradebook or root / "class" / "gradebook.db"
    built = {unit: build_unit(unit, root=root) for unit in units}
    changed = []
    for unit, files in built.items():
        build_unit(unit, root=root, gradebook=gradebook)
        folder = root / "notebooks" / unit
        for name, content in files.items():
            path = folder / name
            if not path.is_file() or path.read_bytes() != content:
                write_atomically(path, content)
                changed.append(path)
        for name, path in released_files(folder).items():
            if name not in files:
                path.unlink()
                changed.append(path)
    return changed


def stale_files(units: Sequence[str], *, root: Path | None = None) -> list[str]:
    """The files of notebooks/ that a release would write, change or remove, relative to the project folder."""
    root = root or settings.root()
    stale = []
    for unit in units:
        files = build_unit(unit, root=root)
        present = released_files(root / "notebooks" / unit)
        for name in sorted(files.keys() | present.keys()):
            if name not in files or name not in present or present[name].read_bytes() != files[name]:
                stale.append(f"notebooks/{unit}/{name}")
    known = unit_folders(root)
    for folder in sorted((root / "notebooks").glob("*/")):
        if folder.is_dir() and folder.name not in known and released_files(folder):
            stale.append(f"notebooks/{folder.name}")
    return stale


def sealed(source: str, *, name: str) -> str:
    """A module that runs `source` in its own namespace without showing it.

    This keeps an answer from being read by accident or found by a search. It does not keep it from a determined reader;
    grades do not rest on it, since grading draws fresh inputs and never runs a judge beside a student's code.
    """
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    lines = "\n".join(f"    {json.dumps(packed[start : start + 100])}" for start in range(0, len(packed), 100))
    return (
        f'"""The checks of {name}, sealed so that no answer is read by accident. This is not protection: grading uses\n'
        'fresh inputs and does not rely on it. You learn more by trying; the hints open one at a time."""\n\n'
        "import base64\nimport zlib\n\n"
        f"_SEALED = (\n{lines}\n)\n"
        "SEALED = True\n"
        'exec(compile(zlib.decompress(base64.b85decode(_SEALED)), __file__, "exec"), globals())\n'
    )


def student_bundle(path: Path, *, root: Path | None = None) -> list[str]:
    """Writes what an instructor hands out as a zip; returns the names in it. The same project gives the same bytes.

    It holds notebooks/, course_lib/ with its judges sealed, its translations packed and without the parts that need
    the sources, results/ and what the set-up needs; no solutions, no tests.

    Raises:
        ReleaseError: notebooks/ is not what the sources give, so students would get an old release.
    """
    root = root or settings.root()
    stale = stale_files(list(unit_folders(root)), root=root)
    if stale:
        raise ReleaseError("notebooks/ is not up to date (" + ", ".join(stale) + "): run `course release` first.")
    files: dict[str, bytes] = {}
    for unit in unit_folders(root):
        for name, file in released_files(root / "notebooks" / unit).items():
            files[f"notebooks/{unit}/{name}"] = file.read_bytes()
    for folder in ("course_lib", "results"):
        for file in sorted((root / folder).rglob("*")):
            inner = file.relative_to(root / folder)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in inner.parts)
            if not file.is_file() or hidden or file.suffix == ".pyc":
                continue
            if f"{folder}/{inner.parts[0]}" in NOT_FOR_STUDENTS:
                continue
            files[f"{folder}/{inner.as_posix()}"] = file.read_bytes()
    for name in [name for name in files if re.fullmatch(r"course_lib/exercises/judges/(?!__init__).*\.py", name)]:
        files[name] = sealed(files[name].decode(), name=Path(name).stem).encode()
    for name in [name for name in files if re.fullmatch(r"course_lib/locale/.*\.po", name)]:
        files[f"{name}.gz"] = gzip.compress(
            files.pop(name), mtime=0
        )  # they hold what the judges say, as sealed as these
    for name in ("pyproject.toml", "environment.yml", "Makefile", "LICENSE"):
        if (root / name).is_file():
            files[name] = (root / name).read_bytes()
    files["README.md"] = STUDENT_README.encode()
    prefix = "learning-with-few-labels"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(files):
                info = zipfile.ZipInfo(f"{prefix}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                info.create_system = 3
                info.external_attr = 0o100644 << 16
                archive.writestr(info, files[name])
        os.chmod(temporary, 0o644)
        shutil.move(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return sorted(files)


STUDENT_README = """# Learning with Few Labels: your copy

A course in notebooks: you write the parts that matter, and a check on the next line says at once whether they are
right.

You need Python 3.11, 3.12 or 3.13. In this folder, start with

```
python3 -m course_lib lab      # Windows: py -m course_lib lab
```

It makes a Python environment in `.venv` (once; some minutes, about 7 GB), copies the notebooks into `work/`, and opens
JupyterLab there. Work in `work/`: nothing ever overwrites a file in it. `make lab` does the same. With conda:
`conda env create -f environment.yml`, `conda activate few-labels`, `course lab`.

In the same way, with `progress` instead of `lab` and so on:

- `progress` shows how far you are.
- `check work/00_first_steps/00_first_steps.ipynb` checks a whole notebook before you hand it in.
- `reset EXERCISE` puts one answer back to its start; your old answer is kept in `work/.kept/`.
- `doctor` says what is wrong with the set-up and how to fix it.
- Checks and cards speak the language of your system if they can; `COURSE_LANGUAGE=en` or `zh_CN` chooses one.

To hand in, give your instructor the .ipynb files from `work/` under the names they have.

The checks in this copy are sealed so that nobody reads an answer by accident. They could be unsealed; there is nothing
to gain by it, because grading runs your code on fresh inputs.
"""
