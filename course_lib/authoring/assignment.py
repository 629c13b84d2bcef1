"""What students get of a notebook, made by nbgrader's own converter, which also fills its gradebook.

nbgrader has one stub for all answers that it clears; ours names the exercise.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import preprocessors
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from course_lib.authoring.answers import starting_code
from course_lib.authoring.sources import ReleaseError
from course_lib.notebooks import COURSE_ID, grade_id_of, notebook_text, tools_on_path

TEXT_STUB = "*Your answer goes here: replace this line.*"


def cleared(
    notebooks: Mapping[str, NotebookNode], unit: str, exercises: Mapping[str, Any], *, gradebook: Path | None = None
) -> dict[str, NotebookNode]:
    """A unit's notebooks without their answers, by file stem.

    Args:
        notebooks: by file stem, with the answers between their marks.
        unit: the unit's id.
        exercises: the unit's exercises by name.
        gradebook: nbgrader's data base to fill; None fills none.

    Raises:
        ReleaseError: nbgrader refuses.
    """
    with tempfile.TemporaryDirectory(prefix="course-release-") as name:
        course = Path(name).resolve()
        source, release = course / "source" / unit, course / "release" / unit
        source.mkdir(parents=True)
        for stem, notebook in notebooks.items():
            (source / f"{stem}.ipynb").write_text(notebook_text(notebook), encoding="utf-8")
        _convert(course, unit, exercises, gradebook)
        paths = sorted(release.glob("*.ipynb"))
        return {path.stem: nbformat.read(path, as_version=nbformat.NO_CONVERT) for path in paths}


def _convert(course: Path, unit: str, exercises: Mapping[str, Any], gradebook: Path | None) -> None:
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.course_id = COURSE_ID
    config.CourseDirectory.source_directory = "source"
    config.CourseDirectory.release_directory = "release"
    config.CourseDirectory.assignment_id = unit
    config.ClearSolutions.text_stub = TEXT_STUB
    if gradebook is None:
        config.GenerateAssignment.no_database = True
        config.CourseDirectory.db_url = f"sqlite:///{course / 'unused.db'}"
    else:
        gradebook.parent.mkdir(parents=True, exist_ok=True)
        config.CourseDirectory.db_url = f"sqlite:///{gradebook.resolve()}"
    messages: list[str] = []
    log = logging.Logger("nbgrader-release")
    log.addHandler(_Collector(messages))
    converter_class = _WithoutGradebook if gradebook is None else GenerateAssignment
    converter = converter_class(coursedir=CourseDirectory(config=config, log=log), config=config, log=log)
    converter.preprocessors = _steps(exercises, with_gradebook=gradebook is not None)
    try:
        with tools_on_path():
            converter.start()
    except (Exception, SystemExit) as error:
        if any("submissions associated" in message for message in messages):
            raise ReleaseError(_HAS_SUBMISSIONS.format(gradebook=gradebook, unit=unit)) from error
        raise ReleaseError(f"nbgrader cannot release {unit}: {error}\n" + "\n".join(messages[-20:])) from error


_HAS_SUBMISSIONS = (
    "{gradebook} holds submissions of {unit}, and cells were added to it or taken from it since. Nothing was changed. "
    "Finish grading with the release that they were written for, then move class/ away and release again."
)


class _WithoutGradebook(GenerateAssignment):
    """nbgrader looks for removed notebooks in the data base even when it is told to use none."""

    def _clean_old_notebooks(self, assignment_id: str, student_id: str) -> None:
        pass


def _steps(exercises: Mapping[str, Any], *, with_gradebook: bool) -> list[type]:
    """nbgrader's preprocessors, in its own order, with named stubs."""
    stubs = {
        name: f'raise NotImplementedError("Exercise {exercise.number}: {name}")' for name, exercise in exercises.items()
    }

    class NamedStubs(preprocessors.ClearSolutions):
        """Clears an answer, and leaves a stub that names the exercise."""

        def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> tuple[NotebookNode, Any]:
            start = starting_code(cell.source)
            lines = [stubs.get(grade_id_of(cell), "raise NotImplementedError()"), *([start] if start else [])]
            self.code_stub = {"python": "\n".join(lines)}
            cell, resources = super().preprocess_cell(cell, resources, cell_index)
            if start:  # nbgrader indents empty lines too
                cell.source = "\n".join(line.rstrip() for line in cell.source.split("\n"))
            return cell, resources

    steps = [
        preprocessors.LockCells, NamedStubs, preprocessors.ClearOutput, preprocessors.CheckCellMetadata,
        preprocessors.ComputeChecksums, preprocessors.SaveCells, preprocessors.ClearHiddenTests,
        preprocessors.ClearMarkScheme, preprocessors.ComputeChecksums, preprocessors.CheckCellMetadata,
    ]  # fmt: skip
    return steps if with_gradebook else [step for step in steps if step is not preprocessors.SaveCells]


class _Collector(logging.Handler):
    """Keeps what nbgrader says, for the message of an error."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(level=logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
