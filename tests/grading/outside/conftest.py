"""A released tiny unit, and a desk that grades of it are recorded at and read back."""

from __future__ import annotations

import shutil

import nbformat
import pytest
import small_class
import tiny_course
from nbgrader.api import Gradebook
from small_class import UNIT

from course_lib.grading.outside import gradebook, gradebook_access, gradebook_rows, pages
from course_lib.grading.outside.gradebook import Report
from course_lib.grading.outside.standings import standings
from course_lib.notebooks import tools_on_path


@pytest.fixture(scope="session", autouse=True)
def _one_schema(schema_asked_once):
    """For every test here."""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        tiny_course.install(patch)
        yield small_class.release_tiny(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def empty_book(tmp_path_factory, released):
    """A gradebook that knows the unit and no student; to copy, since nbgrader takes seconds to make one."""
    path = tmp_path_factory.mktemp("book") / "class" / "gradebook.db"
    with tools_on_path():
        gradebook_rows.prepare(gradebook_access.address(path), UNIT, {UNIT: pages.read_released(released, UNIT, UNIT)})
    return path


@pytest.fixture
def desk(tmp_path, released, empty_book):
    """Where grades go: `desk(submission, ...)` records them; `.grades(student)` reads them back."""

    class Desk:
        folder = tmp_path / "class"
        book = folder / "gradebook.db"

        def __call__(self, *submissions, wait=0.2) -> Report:
            return gradebook.record(
                submissions, gradebook=self.book, autograded=self.folder / "autograded", released=released, wait=wait
            )

        def grades(self, student):
            return {each.name: each for each in standings(self.book, student=student)}

        def page(self, student):
            return nbformat.read(self.folder / "autograded" / student / UNIT / f"{UNIT}.ipynb", as_version=4)

        def by_person(self, student, cell, **values):
            """What a person does in formgrader."""
            with Gradebook(f"sqlite:///{self.book}") as book:
                grade = book.find_grade(cell, UNIT, UNIT, student)
                for name, value in values.items():
                    setattr(grade, name, value)
                book.db.commit()

        def comment(self, student, cell, text):
            with Gradebook(f"sqlite:///{self.book}") as book:
                book.find_comment(cell, UNIT, UNIT, student).manual_comment = text
                book.db.commit()

    Desk.folder.mkdir()
    shutil.copy(empty_book, Desk.book)
    return Desk()
