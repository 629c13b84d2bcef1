"""`course demo`: a class of three goes from release to grades through stock nbgrader, in class/demo/.

One student hands in the solutions, one a mix of right, half-right and blank answers, one the notebooks as they were
released. What nbgrader then has in its gradebook must be exactly what the judges say about the same answers.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib import files, settings
from course_lib.notebooks import (
    CHECK,
    COURSE_ID,
    QUIET_DEBUGGER,
    CellKind,
    grade_id_of,
    kind_of,
    notebook_text,
    tools_on_path,
)

STUDENTS = ("reference", "half-right", "blank")
WRITTEN = "It fails because the two goals differ: what helps the one does not have to help the other."
PREAMBLE = "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"


class DemoError(Exception):
    """The demo could not be played to its end."""


@dataclass
class Line:
    """One exercise of one student: what the judge says, and what nbgrader recorded (None: no grade)."""

    student: str
    unit: str
    exercise: str
    points: float
    plan: str
    expected: float
    awarded: float | None = None
    state: str = ""
    written: bool = False


@dataclass
class Plan:
    """What one student answers in one notebook: the source of each answer cell, and what it must earn."""

    answers: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


def run(
    *, units: Sequence[str] | None = None, root: Path | None = None, say: Callable[[str], None] | None = None
) -> int:
    """Plays the class and prints its gradebook; 0 when every total is what the judges say, else 1.

    Args:
        units: the units to play; None plays all.
        root: the project folder.
        say: gets a line for every step.

    Raises:
        DemoError: nbgrader failed; the message holds its last lines.
        ReleaseError: a unit cannot be released.
    """
    from course_lib.authoring import release  # which a student's copy does not have

    root = root or settings.root()
    say = say or functools.partial(print, flush=True)
    began = time.monotonic()
    units = list(release.unit_folders(root)) if units is None else units
    if not units:
        raise DemoError("There are no units under solutions/ to play with.")
    folder = root / "class" / "demo"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(_CONFIG.format(root=str(root)), encoding="utf-8")

    lines: list[Line] = []
    for unit in units:
        say(f"Releasing {unit} and handing it in three times ...")
        lines += _hand_in(unit, folder, root)
    for number, unit in enumerate(units, start=1):
        say(f"Autograding {unit} ({number} of {len(units)}): nbgrader runs three notebooks ...")
        _nbgrader(folder, "autograde", unit, say=_each_student(say))
    say("Writing feedback and grades ...")
    for unit in units:
        _nbgrader(folder, "generate_feedback", unit)
    _nbgrader(folder, "export", "--to=grades.csv")
    _read_back(lines, folder)

    say("")
    for text in gradebook_table(lines):
        say(text)
    problems = differences(lines)
    say("")
    for problem in problems:
        say(f"DIFFERS: {problem}")
    if not problems:
        say("As it must be: reference full marks, blank 0 and not attempted, half-right what its criteria add up to.")
    say(f"Feedback pages: {folder / 'feedback' / 'half-right'}{os.sep}<unit>{os.sep}<notebook>.html")
    say(f"Grades:         {folder / 'grades.csv'}")
    say(f"Took {time.monotonic() - began:.0f} seconds.")
    return 1 if problems else 0


# --- handing in -------------------------------------------------------------------------------------------------------


def _hand_in(unit: str, folder: Path, root: Path) -> list[Line]:
    import nbformat

    from course_lib.authoring import release

    exercises = release.exercises_by_name(unit)
    released = release.build_unit(unit, root=root, gradebook=folder / "gradebook.db")
    solutions = release.solution_notebooks(unit, root=root)
    lines: list[Line] = []
    turn = 0
    for name, solved in solutions.items():
        blank = nbformat.reads(released[f"{name}.ipynb"].decode(), as_version=4)
        coded = [cell for cell in solved.cells if kind_of(cell) == CellKind.ANSWER]
        for student in STUDENTS:
            plan = plan_for(student, unit, solved, exercises, first_turn=turn)
            lines += plan.lines
            notebook = copy.deepcopy(blank)
            for cell in notebook.cells:
                grade_id = grade_id_of(cell)
                cell.source = plan.answers.get(grade_id, cell.source)
            path = folder / "submitted" / student / unit / f"{name}.ipynb"
            files.replace(path, notebook_text(notebook))
        turn += len(coded)
    return lines


def plan_for(student: str, unit: str, solved: Any, exercises: Mapping[str, Any], *, first_turn: int = 0) -> Plan:
    """What a student answers in a notebook. The half-right one takes turns: right, a known mistake, blank.

    Args:
        student: one of `STUDENTS`.
        unit: the unit's id.
        solved: the solution notebook.
        exercises: the unit's exercises by name.
        first_turn: where the turns begin, so that a unit of two notebooks goes on with them.
    """
    plan, turn = Plan(), first_turn
    company = _Company(solved)
    for cell in solved.cells:
        kind = kind_of(cell)
        if kind not in (CellKind.ANSWER, CellKind.WRITTEN):
            continue
        grade_id = cell.metadata.nbgrader.grade_id
        if kind == CellKind.WRITTEN:
            points = float(cell.metadata.nbgrader.points)
            if student != "blank":
                plan.answers[grade_id] = cell.source if student == "reference" else WRITTEN
            plan.lines.append(Line(student, unit, grade_id, points, "written", 0.0, written=True))
            continue
        exercise = exercises[grade_id]
        what = {"reference": "right", "blank": "blank"}.get(student) or ("right", "mistake", "blank")[turn % 3]
        turn += 1
        expected, told = 0.0, what
        if what == "right":
            plan.answers[grade_id] = cell.source
            expected = company.points_of(exercise, cell.source)
        elif what == "mistake":
            name, source, expected = partly_right(exercise)
            plan.answers[grade_id], told = source, f"mistake {name}"
            company.add_wrong(grade_id, source)
        plan.lines.append(Line(student, unit, grade_id, float(exercise.points), told, expected))
    return plan


class _Company:
    """The answers of one notebook: a right one may call a wrong one above it, and then earns less than all.

    Args:
        solved: the solution notebook; answers may rely on what its setup cells import.
    """

    def __init__(self, solved: Any) -> None:
        setup = "\n".join(cell.source for cell in solved.cells if kind_of(cell) == CellKind.SETUP)
        imports = re.findall(r"^(?:import|from) [\w.]+.*[^(\s]$", setup, re.M)
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._wrong: list[str] = []
        exec(PREAMBLE + "\n".join(imports), self._names)

    def add_wrong(self, exercise: str, source: str) -> None:
        """Takes a wrong answer."""
        self._wrong.append(exercise)
        exec(source, self._names)

    def points_of(self, exercise: Any, source: str) -> float:
        """Takes a right answer: what it earns here."""
        from course_lib.exercises import checking

        exec(source, self._names)
        if not any(re.search(rf"\b{name}\b", source) for name in self._wrong):
            return float(exercise.points)
        return float(checking.check(exercise, self._names[exercise.name]).score)


def partly_right(exercise: Any) -> tuple[str, str, float]:
    """The known mistake that earns most without being right: its name, the source of an answer cell, and its score."""
    from course_lib.exercises import checking, judge_of

    found: list[tuple[str, str, float]] = []
    for mistake in judge_of(exercise).mistakes:
        source = as_answer(mistake.fn, exercise.name)
        namespace: dict[str, Any] = {"__name__": "__main__"}
        try:
            exec(compile(source, f"<{mistake.name}>", "exec"), namespace)
            answer = namespace[exercise.name]
        except Exception:  # a mistake that leans on its module cannot be pasted into a notebook
            continue
        result = checking.check(exercise, answer)
        if result.state == "wrong":
            found.append((mistake.name, source, float(result.score)))
    if not found:
        raise DemoError(f"No known mistake of {exercise.name} can be pasted into a notebook and is judged wrong.")
    return max(found, key=lambda each: each[2])


def as_answer(fn: Callable[..., Any], name: str) -> str:
    """A function's or class's source under another name, with the imports that answers may rely on."""
    source = textwrap.dedent(inspect.getsource(fn)).rstrip()
    renamed = re.sub(rf"(?<![\w.]){re.escape(fn.__name__)}\b", name, source)
    return f"{PREAMBLE}{renamed}\n"


# --- nbgrader ---------------------------------------------------------------------------------------------------------

# The course's own settings, in a course folder of the demo's own.
_CONFIG = """c = get_config()
load_subconfig("nbgrader_config.py", path={root!r})
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.autograded_directory = "autograded"
c.CourseDirectory.feedback_directory = "feedback"
c.CourseDirectory.db_url = "sqlite:///gradebook.db"
"""


def _nbgrader(folder: Path, *arguments: str, say: Callable[[str], None] = lambda line: None) -> None:
    variables = {**os.environ, "COURSE_PROFILE": "smoke", "OMP_NUM_THREADS": "1", "COURSE_THREADS": "1"}
    variables |= {"COURSE_ROOT": str(settings.root()), "COURSE_DEVICE": "cpu", **QUIET_DEBUGGER}
    variables.pop("COURSE_WORK", None)
    # The package that plays the demo is the one that the notebooks import, installed or not.
    package = str(Path(__file__).resolve().parents[2])
    variables["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    last: list[str] = []
    with tools_on_path():
        variables["PATH"] = os.environ["PATH"]
        process = subprocess.Popen(
            command, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            last = [*last[-39:], line.rstrip()]
            say(line)
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status:
        text = "\n".join(last)
        raise DemoError(f"nbgrader {' '.join(arguments)} ended with status {status}:\n{text}")


def _each_student(say: Callable[[str], None]) -> Callable[[str], None]:
    def look(line: str) -> None:
        found = re.search(r"Autograding .*?autograded[\\/](?P<student>[^\\/]+)[\\/](?P<rest>.+\.ipynb)", line)
        if found:
            say(f"    {found['student']:<11} {Path(found['rest']).name}")

    return look


def _read_back(lines: Sequence[Line], folder: Path) -> None:
    """Fills in what nbgrader recorded: points from its gradebook, states from the cards in the autograded notebooks."""
    from nbgrader.api import Gradebook, MissingEntry

    with tools_on_path(), Gradebook(f"sqlite:///{folder / 'gradebook.db'}", COURSE_ID) as book:
        for line in lines:
            cell = line.exercise if line.written else f"{CHECK}{line.exercise}"
            for notebook in book.find_assignment(line.unit).notebooks:
                try:
                    grade = book.find_grade(cell, notebook.name, line.unit, line.student)
                except MissingEntry:
                    continue
                line.awarded = grade.auto_score
                if line.written:
                    line.state = "awaiting a person" if grade.needs_manual_grade else "no answer"
                else:
                    path = folder / "autograded" / line.student / line.unit / f"{notebook.name}.ipynb"
                    line.state = _states(path).get(line.exercise, "no card")


def _states(path: Path) -> dict[str, str]:
    import nbformat

    states = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html", "")
            found = re.search(r'data-state="(\w+)" data-exercise="(\w+)"', page)
            if found:
                states[found[2]] = found[1]
    return states


# --- the gradebook ----------------------------------------------------------------------------------------------------


def gradebook_table(lines: Sequence[Line]) -> list[str]:
    """The gradebook as text: one line per exercise, one total per unit and one per student; autograded points only."""
    width = max(len(line.exercise) for line in lines)
    text = []
    for student in dict.fromkeys(line.student for line in lines):
        mine = [line for line in lines if line.student == student]
        text.append(student)
        for unit in dict.fromkeys(line.unit for line in mine):
            here = [line for line in mine if line.unit == unit]
            text.append(f"  {unit:<{width + 2}}  {_sum(here)}")
            for line in here:
                if line.written:
                    text.append(f"    {line.exercise:<{width}}  {'-':>5} /{line.points:>4g}  {line.state}")
                else:
                    awarded = "none" if line.awarded is None else f"{line.awarded:g}"
                    handed_in = f"  (handed in: {line.plan})" if student == "half-right" else ""
                    text.append(
                        f"    {line.exercise:<{width}}  {awarded:>5} /{line.points:>4g}  {line.state}{handed_in}"
                    )
        text.append(f"  {'autograded':<{width + 2}}  {_sum(mine)}")
    return text


def _sum(lines: Sequence[Line]) -> str:
    coded = [line for line in lines if not line.written]
    return f"{sum(line.awarded or 0.0 for line in coded):>5g} /{sum(line.points for line in coded):>4g}"


def differences(lines: Sequence[Line]) -> list[str]:
    """Where nbgrader's gradebook and the judges disagree, in sentences; empty when nowhere."""
    found = []
    for line in lines:
        where = f"{line.student}, {line.unit}, {line.exercise}"
        if line.written:
            wanted = "no answer" if line.student == "blank" else "awaiting a person"
            if line.state != wanted:
                found.append(f"{where}: the written answer is {line.state or 'not graded'}, expected {wanted}")
            continue
        if line.awarded is None:
            found.append(f"{where}: nbgrader recorded no grade, expected {line.expected:g}")
        elif abs(line.awarded - line.expected) > 0.005:
            found.append(f"{where}: nbgrader recorded {line.awarded:g} points, the judge gives {line.expected:g}")
        wanted = {"right": "right", "blank": "not_attempted"}.get(line.plan, "wrong")
        wanted = "wrong" if wanted == "right" and line.expected < line.points else wanted
        if line.state != wanted:
            found.append(f"{where}: the card says {line.state}, expected {wanted}")
    return found
