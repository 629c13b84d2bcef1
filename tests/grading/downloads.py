"""Hand-ins as platforms give them out, as small zip archives and folders."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import class_notebooks
from class_notebooks import UNIT

from course_lib.grading.outside import collecting
from course_lib.grading.outside.attempts import Shelf
from course_lib.grading.outside.collecting import Outcome, Report
from course_lib.grading.outside.recognizing import Catalogue, Which
from course_lib.grading.outside.roster import read_mapping, read_roster

WHICH = Which(UNIT, UNIT)


def page(answer: str = "") -> bytes:
    """A notebook that a student handed in; another one for each answer."""
    return class_notebooks.as_bytes(class_notebooks.answered(double=class_notebooks.RIGHT_DOUBLE + f"# {answer}\n"))


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    """A zip archive with these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def zip_bytes(files: dict[str, bytes | str]) -> bytes:
    """The bytes of a zip archive with these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def laid_out(folder: Path, files: dict[str, bytes | str]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


class Class:
    """A class folder to collect into."""

    def __init__(self, folder: Path, release) -> None:
        self.folder, self._catalogue = folder, Catalogue({UNIT: [release]})
        self.mapping, self.roster = folder / "mapping.csv", folder / "roster.csv"

    def collect(self, *paths: Path, **options) -> Report:
        return collecting.collect(
            paths,
            catalogue=self._catalogue,
            folder=self.folder,
            roster=read_roster(self.roster) if self.roster.exists() else None,
            mapping=read_mapping(self.mapping),
            mapping_file=self.mapping,
            **options,
        )

    def list_students(self, text: str) -> None:
        laid_out(self.folder, {"roster.csv": text})

    def answer_of(self, student: str) -> str:
        """The mark of the notebook that is graded."""
        notebook = json.loads((self.folder / "submitted" / student / UNIT / f"{UNIT}.ipynb").read_bytes())
        source = next(cell["source"] for cell in notebook["cells"] if cell["id"] == "double")
        return source.rpartition("# ")[2].strip()

    def stamp(self, student: str) -> str | None:
        path = self.folder / "submitted" / student / UNIT / "timestamp.txt"
        return path.read_text().strip() if path.exists() else None

    def attempts(self, student: str) -> int:
        return len(Shelf(self.folder, student, WHICH).attempts)

    def students(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "submitted").glob("*"))


def fates(report: Report) -> dict[str, str]:
    """What became of each file, by the last part of its path."""
    return {outcome.path.rpartition("/")[2]: outcome.fate.name for outcome in report.outcomes}


def why(report: Report, part: str) -> str:
    """Why a file was not collected."""
    return next(outcome for outcome in report.outcomes if part in outcome.path and outcome.why).why


def by_student(report: Report) -> dict[str, Outcome]:
    return {outcome.student: outcome for outcome in report.outcomes if outcome.student}
