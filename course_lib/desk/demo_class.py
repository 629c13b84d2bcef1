"""`course demo`: a class of three goes from release to grades, through both graders, in class/demo/.

One student hands in the solutions, one a mix of right, half-right and blank answers, one the notebooks as they were
released. All hand in the first unit, which stock nbgrader grades too, in stock/; of the others there are the solutions
alone, so that a first look takes a minute and a half. With `--all`, and where units are named, the class hands in
everything. `course grade` grades all that is handed in. What stands in their gradebooks must be exactly what the judges
say about the same answers.
"""

from __future__ import annotations

import copy
import functools
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import files, settings
from course_lib.desk.demo_answers import STUDENTS, Line, Recorded, plan_for
from course_lib.desk.demo_commands import PAUSE, Command, stopped_at_the_end
from course_lib.desk.demo_tables import differences, gradebook_table, totals_table
from course_lib.desk.errors import DemoError
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

NBGRADER, COURSE_GRADE = "nbgrader", "course grade"  # the two graders
Say = Callable[[str], None]


def run(
    *,
    units: Sequence[str] | None = None,
    everything: bool = False,
    root: Path | None = None,
    say: Say | None = None,
) -> int:
    """Plays the class and prints its gradebook; 0 when every score is what the judges say, else 1.

    Args:
        units: the units to play, by the whole class; None plays all, the first one by the whole class.
        everything: the whole class plays every unit, stock nbgrader grades every one, and each exercise is printed.
        root: the project folder.
        say: gets a line for every step.

    Raises:
        DemoError: a grader failed; the message holds its last lines.
        ReleaseError: a unit cannot be released.
    """
    from course_lib.authoring import release  # which a student's copy does not have

    root = root or settings.root()
    say = say or functools.partial(print, flush=True)
    began = time.monotonic()
    whole = everything or units is not None
    units = list(release.unit_folders(root)) if units is None else list(units)
    if not units:
        raise DemoError("There are no units under solutions/ to play with.")
    demo = _Demo(root / "class" / "demo", root, began, say, has_course_grade())
    demo.begin()
    lines = demo.play(units, everything=everything, whole_class=units if whole else units[:1])

    say("")
    grader = COURSE_GRADE if demo.has_course_grade and not everything else NBGRADER
    graded = [line for line in lines if grader in line.recorded]
    for text in (gradebook_table if everything else totals_table)(graded, grader):
        say(text)
    problems = differences(lines)
    say("")
    for problem in problems:
        say(f"DIFFERS: {problem}")
    if not problems:
        say("As it must be: reference full marks, blank 0 and not attempted, half-right what its criteria add up to.")
    demo.where_to_look(units[0])
    say(f"Took {time.monotonic() - began:.0f} seconds.")
    return 1 if problems else 0


def has_course_grade() -> bool:
    """Whether `course grade` can work here; it needs Linux, for its isolation and its processes."""
    return sys.platform == "linux"


@dataclass
class _Demo:
    """A class in the making. `stock` is a course folder of its own, so that the two graders can work side by side."""

    folder: Path
    root: Path
    began: float
    tell: Say
    has_course_grade: bool
    running: list[Command] = field(default_factory=list)

    @property
    def stock(self) -> Path:
        return self.folder / "stock"

    def say(self, text: str) -> None:
        self.tell(f"{time.monotonic() - self.began:4.0f} s  {text}")

    def begin(self) -> None:
        """Empties the folder of the demo and writes the settings of its two courses."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for folder in (self.folder, self.stock):
            folder.mkdir(parents=True)
            (folder / "nbgrader_config.py").write_text(CONFIG.format(root=str(self.root)), encoding="utf-8")
        # Not the instructor's own secret: the same inputs each time, and nothing of value in a demo.
        (self.folder / "secret").write_text("the demo's inputs need not be hidden\n", encoding="utf-8")

    def play(self, units: Sequence[str], *, everything: bool, whole_class: Sequence[str]) -> list[Line]:
        """Hands in, grades with both graders, writes feedback; returns all lines with what was recorded.

        nbgrader grades its first unit while the others are released: on two cores that saves a third of the time.
        """
        lines: list[Line] = []
        by_nbgrader = units if everything else units[:1]
        with stopped_at_the_end() as self.running:
            for unit in units:
                students = STUDENTS if unit in whole_class else STUDENTS[:1]
                self.say(f"releasing {unit}, handed in by {', '.join(students)}")
                lines += self._hand_in(unit, students, for_nbgrader=unit in by_nbgrader)
                if unit == by_nbgrader[0]:
                    first = self._autograde(unit)
                first.goes_on()  # tells what it did meanwhile
            if self.has_course_grade:
                self._course_grade(beside=first)
            else:
                self.say("course grade needs Linux or WSL2: only nbgrader grades here")
            first.wait()
            for unit in by_nbgrader[1:]:
                self._autograde(unit).wait()
            self.say("writing feedback pages with nbgrader")
            self._nbgrader(self._for_pages(), "generate_feedback", units[0]).wait()
            if everything:
                for unit in by_nbgrader:
                    self._nbgrader(self.stock, "generate_feedback", unit).wait()
            if everything or not self.has_course_grade:
                self._nbgrader(self.stock, "export", "--to=grades.csv").wait()
        _read_back([line for line in lines if line.unit in by_nbgrader], self.stock, NBGRADER)
        if self.has_course_grade:
            _read_back(lines, self.folder, COURSE_GRADE)
        return lines

    def _for_pages(self) -> Path:
        return self.folder if self.has_course_grade else self.stock

    def where_to_look(self, unit: str) -> None:
        """Says which files a person may open now."""
        folder = self._for_pages()
        page = next(iter(sorted((folder / "feedback" / "half-right" / unit).glob("*.html"))), folder / "feedback")
        self.tell("Look at:")
        self.tell(f"  what a student gets back   {page}")
        self.tell(f"  grades as a table          {folder / 'grades.csv'}")
        if self.has_course_grade:
            self.tell(f"  what the class got wrong   course report --class {folder} writes a page")
        self.tell(f"  nbgrader's own pages       jupyter lab in {folder}, menu Nbgrader, Formgrader")

    # --- handing in ---

    def _hand_in(self, unit: str, students: Sequence[str], *, for_nbgrader: bool) -> list[Line]:
        import nbformat

        from course_lib.authoring import release

        exercises = release.exercises_by_name(unit)
        gradebook = self.stock / "gradebook.db" if for_nbgrader else None
        released = release.build_unit(unit, root=self.root, gradebook=gradebook)
        for name, content in released.items():
            files.replace(self.folder / "release" / unit / name, content)
        lines: list[Line] = []
        turn = 0
        for name, solved in release.solution_notebooks(unit, root=self.root).items():
            blank = nbformat.reads(released[f"{name}.ipynb"].decode(), as_version=4)
            for student in students:
                plan = plan_for(student, unit, solved, exercises, first_turn=turn)
                lines += plan.lines
                notebook = copy.deepcopy(blank)
                for cell in notebook.cells:
                    cell.source = plan.answers.get(grade_id_of(cell), cell.source)
                for folder in (self.folder, self.stock) if for_nbgrader else (self.folder,):
                    files.replace(folder / "submitted" / student / unit / f"{name}.ipynb", notebook_text(notebook))
            turn += sum(kind_of(cell) == CellKind.ANSWER for cell in solved.cells)
        return lines

    # --- the two graders ---

    def _autograde(self, unit: str) -> Command:
        self.say(f"autograding {unit} with nbgrader, which runs each notebook")
        return self._nbgrader(self.stock, "autograde", unit, tell=self._each_student)

    def _nbgrader(self, folder: Path, *arguments: str, tell: Say = lambda line: None) -> Command:
        return self._start("nbgrader", arguments, folder, tell)

    def _each_student(self, line: str) -> None:
        found = re.search(r"Autograding .*?autograded[\\/](?P<student>[^\\/]+)[\\/](?P<rest>.+\.ipynb)", line)
        if found:
            self.say(f"    nbgrader: {found['student']}, {Path(found['rest']).name}")

    def _course_grade(self, *, beside: Command) -> None:
        """Grades all with `course grade`: isolated, or, where this machine has no isolation, without."""
        notebooks = len(list((self.folder / "submitted").glob("*/*/*.ipynb")))
        self.say(f"grading all {notebooks} notebooks with course grade")
        words = ["grade", "submitted", "--release", "release", "--out", "results"]
        graded = self._start("course_lib", words, self.folder)
        self._tell_results(graded, beside, notebooks)
        if graded.status and "isolation" in graded.last_lines():
            self.say("no isolation here (`course doctor` says why): grading without, for the answers are the course's")
            graded = self._start("course_lib", [*words, "--isolation", "none"], self.folder)
            self._tell_results(graded, beside, notebooks)
        graded.wait()

    def _tell_results(self, graded: Command, beside: Command, notebooks: int) -> None:
        told = 0
        while graded.goes_on():
            beside.goes_on()
            count = len(list((self.folder / "results").rglob("[!.]*.json")))
            if count // 6 > told // 6:
                self.say(f"    course grade: {count} of {notebooks}")
                told = count
            time.sleep(PAUSE)

    def _start(self, module: str, words: Sequence[str], folder: Path, tell: Say = lambda line: None) -> Command:
        log = self.folder / "logs" / f"{len(self.running):02}-{words[0]}.txt"
        command = Command(module, words, folder=folder, log=log, variables=self._variables(), tell=tell)
        self.running.append(command)
        return command

    def _variables(self) -> dict[str, str]:
        variables = {**os.environ, "COURSE_PROFILE": "smoke", "OMP_NUM_THREADS": "1", "COURSE_THREADS": "1"}
        variables |= {"COURSE_ROOT": str(self.root), "COURSE_DEVICE": "cpu", **QUIET_DEBUGGER}
        variables["COURSE_SECRET"] = str(self.folder / "secret")
        variables.pop("COURSE_WORK", None)
        # The package that plays the demo is the one that the notebooks import, installed or not.
        package = str(Path(__file__).resolve().parents[2])
        variables["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        with tools_on_path():
            variables["PATH"] = os.environ["PATH"]
        return variables


# The course's own settings, in a course folder of the demo's own.
CONFIG = """c = get_config()
load_subconfig("nbgrader_config.py", path={root!r})
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.autograded_directory = "autograded"
c.CourseDirectory.feedback_directory = "feedback"
c.CourseDirectory.db_url = "sqlite:///gradebook.db"
"""


# --- what was recorded ------------------------------------------------------------------------------------------------


def _read_back(lines: Sequence[Line], folder: Path, grader: str) -> None:
    """Fills in what a grader recorded: points from its gradebook, states from the cards in its autograded notebooks."""
    from nbgrader.api import Gradebook, MissingEntry

    with tools_on_path(), Gradebook(f"sqlite:///{folder / 'gradebook.db'}", COURSE_ID) as book:
        for line in lines:
            cell = line.exercise if line.written else f"{CHECK}{line.exercise}"
            line.recorded[grader] = Recorded()
            for notebook in book.find_assignment(line.unit).notebooks:
                try:
                    grade = book.find_grade(cell, notebook.name, line.unit, line.student)
                except MissingEntry:
                    continue
                if line.written:
                    state = "awaiting a person" if grade.needs_manual_grade else "no answer"
                else:
                    path = folder / "autograded" / line.student / line.unit / f"{notebook.name}.ipynb"
                    state = states_in(path).get(line.exercise, "no card")
                line.recorded[grader] = Recorded(grade.auto_score, state)


def states_in(path: Path) -> dict[str, str]:
    """The states of the cards in an autograded notebook, by exercise."""
    import nbformat

    states = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html", "")
            found = re.search(r'data-state="(\w+)" data-exercise="(\w+)"', page)
            if found:
                states[found[2]] = found[1]
    return states
