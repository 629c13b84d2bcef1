"""A unit that is held back until its date, and its solutions page that opens after the deadline."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import tiny_course
from click.testing import CliRunner

from course_lib.authoring import bundle, solution_page
from course_lib.authoring.sources import ReleaseError
from course_lib.desk.cli import cli
from course_lib.grading.outside import dates

UNIT = tiny_course.UNIT
PAST, FUTURE = "2020-01-01 09:00", "2100-01-01 09:00"

pytestmark = pytest.mark.usefixtures("schema_asked_once")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project with the tiny unit alone."""
    tiny_course.install(monkeypatch)
    tiny_course.write_unit(tmp_path)
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    return tmp_path


def release(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["release", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def zipped(project: Path) -> set[str]:
    with zipfile.ZipFile(project / "class" / "course.zip") as archive:
        return {name.partition("/")[2] for name in archive.namelist()}


def test_a_unit_that_is_held_back_is_not_in_the_students_zip_until_its_date(project):
    to = ("--student-bundle", str(project / "class" / "course.zip"))
    assert f"Held back: {UNIT} until Fri 1 Jan 2100" in release(UNIT, "--open", FUTURE, *to)
    assert (project / "notebooks" / UNIT / f"{UNIT}.ipynb").is_file()  # it is built, and the class has it not
    assert not [name for name in zipped(project) if name.startswith(f"notebooks/{UNIT}")]
    assert "Held back" not in release(UNIT, "--open", PAST, *to)
    assert f"notebooks/{UNIT}/{UNIT}.ipynb" in zipped(project)


def test_a_unit_that_is_held_back_is_not_given_to_the_exchange(project, monkeypatch):
    given: list[str] = []
    monkeypatch.setattr(bundle, "to_exchange", lambda unit: given.append(unit) or f"{unit} is in the exchange")
    release(UNIT, "--open", FUTURE, "--exchange")
    assert not given
    assert "is in the exchange" in release(UNIT, "--open", PAST, "--exchange") and given == [UNIT]


@pytest.mark.slow
def test_nbgraders_exchange_has_a_unit_that_is_open(project, tmp_path):
    (tmp_path / "exchange").mkdir(mode=0o777)
    (tmp_path / "exchange").chmod(0o777)
    text = (tiny_course.PROJECT / "nbgrader_config.py").read_text()
    (project / "nbgrader_config.py").write_text(f'{text}\nc.Exchange.root = "{tmp_path / "exchange"}"\n')
    release(UNIT)
    for _ in range(2):  # the second one takes the place of the first
        bundle.to_exchange(UNIT, root=project)
    assert (tmp_path / "exchange" / "few-labels" / "outbound" / UNIT / f"{UNIT}.ipynb").is_file()
    with pytest.raises(ReleaseError, match="was not given"):
        bundle.to_exchange("no_such_unit", root=project)


def test_the_solutions_page_opens_after_the_deadline_and_closes_when_that_moves(project):
    page = project / "class" / "solutions" / f"{UNIT}.html"
    release(UNIT, "--due", FUTURE)
    assert not page.exists()
    assert f"Solutions are open: {page}" in release(UNIT, "--due", PAST)
    text = page.read_text()
    assert "twice_as_much = x + x" in text and "90.1 Twice" in text and "Twice is a sum." in text
    assert "<script" not in text and "SOLUTION" not in text and "halved" not in text
    release(UNIT, "--solutions", "never")
    assert not page.exists()
    release(UNIT, "--solutions", PAST)
    assert page.exists()
    release(UNIT, "--solutions", "", "--due", FUTURE)
    assert not page.exists()


def test_solutions_of_a_unit_that_is_held_back_are_never_shown(project):
    release(UNIT, "--open", FUTURE, "--solutions", PAST)
    assert not (project / "class" / "solutions" / f"{UNIT}.html").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--open", FUTURE], "Name the units"), ([UNIT, "--open", "soon"], "'soon' is not a date"),
     ([UNIT, "--open", FUTURE, "--due", PAST], "due before it opens")],
)  # fmt: skip
def test_dates_that_make_no_sense_are_refused_and_nothing_is_written(project, arguments, sentence):
    done = CliRunner().invoke(cli, ["release", *arguments])
    assert done.exit_code == 2 and sentence in done.output
    assert not (project / "class" / dates.FILE).exists() and not (project / "notebooks").exists()


def test_a_unit_with_dates_and_without_a_source_is_named(project):
    with pytest.raises(ReleaseError, match="99_gone has dates and no source"):
        solution_page.open_pages(project / "class", ["99_gone"], root=project)
