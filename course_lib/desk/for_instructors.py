"""What instructors do besides grading, which is in course_lib/grading/: collect, export, report, explain, demo."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from course_lib.desk.sources import only_with_sources, units_named


@click.command()
@click.argument("unit", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every unit through stock nbgrader too, and every exercise.")
def demo(unit: tuple[str, ...], everything: bool) -> None:
    """Play a small class from release to grades, in class/demo/ (all units, or those named).

    The whole class hands in the first unit, one student the others; `course grade` grades all, stock nbgrader the first
    unit. With --all the whole class hands in every unit, and both grade all of it, which takes many minutes.
    """
    only_with_sources()
    from course_lib.desk import demo_class

    sys.exit(demo_class.run(units=units_named(unit) if unit else None, everything=everything))


@click.command()
@click.argument("student")
@click.argument("exercise")
def explain(student: str, exercise: str) -> None:
    """Why a point was lost: what `course grade` found of STUDENT's EXERCISE, in the words of the card."""
    only_with_sources()
    from course_lib.grading.outside import explain as explaining

    click.echo(explaining.run(student, exercise))


@click.command()
@click.argument("download", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--roster", type=click.Path(path_type=Path, dir_okay=False),
              help="CSV of the students; default: class/roster.csv, where it is there.")  # fmt: skip
@click.option("--mapping", type=click.Path(path_type=Path, dir_okay=False),
              help="CSV that says whose an unclear upload is; default: class/mapping.csv.")  # fmt: skip
@click.option("--class", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: class.")
@click.option("--release", type=click.Path(path_type=Path, file_okay=False), help="Default: notebooks.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of every file as JSON.")
def collect(download: tuple[Path, ...], dry_run: bool, as_json: bool, **options: Any) -> None:
    """Collect hand-ins from what your platform gives out: DOWNLOAD is its zip as you got it, or a folder.

    Read are Moodle's and Canvas' downloads, Gradescope's exports, Google Classroom's folders in Drive, GitHub
    Classroom's clones, nbgrader's exchange, and folders student/unit/notebook.ipynb. Which notebook a file is stands in
    the file, so it may have any name. Every attempt is kept in class/attempts, and the last one is put into
    class/submitted, which `course grade` reads. Nothing that was collected is ever overwritten.

    A roster is any CSV with your students: Moodle's grading worksheet, Canvas' gradebook, Gradescope's or GitHub
    Classroom's roster, or one of your own with the columns student, name, email. Where a student is not clear, the
    upload is listed in the mapping file: fill in its column student, and run the command again.

    \b
    Examples:
      course collect ~/Downloads/unit01.zip --dry-run
      course collect ~/Downloads/unit01.zip --roster ~/Downloads/Grades-unit01.csv
      course collect /srv/nbgrader/exchange/few-labels/inbound

    \b
    Ends with
      0  every notebook was collected, now or before;
      1  some upload is not clear or could not be read, or the run was stopped
         by a full disk: the last lines say what, all others are collected;
      2  nothing was collected: the message says why.
    """
    only_with_sources()
    from course_lib import settings
    from course_lib.grading.outside import collected_lines, collecting, roster
    from course_lib.grading.outside.recognizing import Catalogue
    from course_lib.grading.outside.submission import BadSubmissions, read_release

    folder = options["folder"] or settings.root() / "class"
    release = options["release"] or settings.root() / "notebooks"
    mapping = options["mapping"] or folder / "mapping.csv"
    listed = options["roster"] or folder / "roster.csv"
    units = sorted(path.name for path in release.glob("*/") if any(path.glob("*.ipynb")))
    try:
        if not units:
            raise BadSubmissions(f"there are no released notebooks in {release}; run `course release` first.")
        report = collecting.collect(
            download,
            catalogue=Catalogue({unit: read_release(release, unit) for unit in units}),
            folder=folder,
            roster=roster.read_roster(listed) if options["roster"] or listed.exists() else None,
            mapping=roster.read_mapping(mapping),
            mapping_file=mapping,
            dry_run=dry_run,
        )
    except BadSubmissions as fault:
        raise click.UsageError(str(fault)) from None
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1, ensure_ascii=False))
    else:
        for line in collected_lines.as_lines(report, dry_run=dry_run):
            click.echo(line)
    for line in collected_lines.problems(report, dry_run=dry_run):
        click.echo(line, err=True)
    sys.exit(1 if report.needs_a_person else 0)


@click.command()
@click.option("--for", "target", type=click.Choice(["moodle", "canvas", "gradescope", "csv"]), default="csv",
              show_default=True, help="What is to take the grades in.")  # fmt: skip
@click.option("--unit", "chosen", multiple=True, help="A unit, by its folder's name; default: all that were graded.")
@click.option("--fill", type=click.Path(path_type=Path, dir_okay=False),
              help="Moodle's grading worksheet or Canvas' gradebook as exported: a copy of it is filled.")  # fmt: skip
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: class/export.")
@click.option("--class", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: class.")
@click.option("--with-waiting", is_flag=True, help="Also grades whose written answers still wait for a person.")
@click.option("--json", "as_json", is_flag=True, help="Print the names of the files and the notes as JSON.")
def grades(target: str, chosen: tuple[str, ...], fill: Path | None, as_json: bool, **options: Any) -> None:
    """Write the grades as Moodle, Canvas or Gradescope import them, or as a plain table.

    With --fill, students are found in the platform's own table by number, address or name. Without it, they are known
    by what `course collect` saw of them there. Late work costs what nbgrader's plugin says.

    \b
    Examples:
      course grades --for moodle --unit 01_autoencoders --fill Grades-unit01.csv
      course grades --for canvas --fill 2026-03-01T1200_Grades-ML.csv
      course grades --for gradescope --unit 01_autoencoders
      course grades

    \b
    Ends with
      0  the files are written, with every grade that there is;
      1  they are written, and some student or grade is not in them: the
         last lines say which and why;
      2  nothing was written: the message says why.
    """
    only_with_sources()
    from course_lib import files, settings
    from course_lib.grading.outside import attempts, grades_for, late, roster
    from course_lib.grading.outside.standings import standings
    from course_lib.grading.outside.submission import BadSubmissions

    folder = options["folder"] or settings.root() / "class"
    book, listed = folder / "gradebook.db", folder / "roster.csv"
    found = standings(book)
    late.assign(book, {each.unit for each in found}, folder)  # a person may have given points since
    try:
        klass = grades_for.Class(
            grades_for.grades_of(found, late.penalties(book)),
            attempts.records(folder),
            roster.read_roster(listed) if listed.exists() else roster.Roster(),
            options["with_waiting"],
        )
        units = list(chosen) or klass.units
        if target == "gradescope":
            exported = _for_gradescope(klass, units, folder)
        else:
            exported = grades_for.export(klass, target, units, fill)
    except BadSubmissions as fault:
        raise click.UsageError(str(fault)) from None
    paths = []
    for name, content in exported.files.items():
        path = (options["to"] or folder / "export") / name
        files.replace(path, content)
        paths.append(path)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in paths], "notes": exported.notes}, ensure_ascii=False))
    else:
        for path in paths:
            click.echo(f"wrote {path}")
        for note in exported.notes:
            click.echo(f"note: {note}.", err=True)
    sys.exit(1 if exported.incomplete or not paths else 0)


def _for_gradescope(klass: Any, units: list[str], folder: Path) -> Any:
    from course_lib.grading.outside import exports, grades_for
    from course_lib.grading.outside.pages import GradedNotebook
    from course_lib.grading.outside.results import all_results

    exported = grades_for.Exported()
    graded = list(all_results(folder / "results"))
    for unit in units:
        theirs: dict[str, list[Any]] = {}
        for result in graded:
            if result["unit"] == unit:
                path = folder / "submitted" / str(result["student"]) / unit / f"{result['notebook']}.ipynb"
                data = path.read_bytes() if path.is_file() else None
                results = exports.gradescope(GradedNotebook(result, data))
                theirs.setdefault(str(result["student"]), []).append(results)
        part = grades_for.for_gradescope(klass, unit, theirs)
        exported.files |= part.files
        exported.notes += part.notes
        exported.incomplete |= part.incomplete
    return exported


@click.command()
@click.option("--unit", "chosen", multiple=True, help="A unit, by its folder's name; default: all that were graded.")
@click.option("--anonymous", is_flag=True, help="Name no student: a page to show or print for the class.")
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False),
              help="The page; default: class/report.html, or class/report-for-class.html.")  # fmt: skip
@click.option("--class", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: class.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON and write nothing.")
def report(chosen: tuple[str, ...], anonymous: bool, to: Path | None, folder: Path | None, as_json: bool) -> None:
    """What the class got wrong: a page for the teacher, or with --anonymous for the class, and the same as JSON.

    For each unit: what to begin the next class with, the points in every exercise, the known mistakes with how many
    students made them, their sentence and their diff, students who are stuck, and written answers that wait for you.
    Run it after `course grade`.

    \b
    Examples:
      course report
      course report --unit 01_autoencoders --anonymous

    \b
    Ends with 0, or with 2 when nothing of that unit was graded.
    """
    only_with_sources()
    from datetime import date

    from course_lib import files, settings
    from course_lib.grading.outside import report as reporting
    from course_lib.grading.outside import report_page, roster
    from course_lib.grading.outside.results import all_results
    from course_lib.grading.outside.standings import standings
    from course_lib.grading.outside.submission import BadSubmissions

    folder = folder or settings.root() / "class"
    book, listed = folder / "gradebook.db", folder / "roster.csv"
    results = list(all_results(folder / "results"))
    if not results:
        raise click.UsageError(f"there are no results in {folder / 'results'}. Run `course grade` first.")
    try:
        people = roster.read_roster(listed).people if listed.exists() else ()
    except BadSubmissions as fault:
        raise click.UsageError(str(fault)) from None
    reports = reporting.build(
        results,
        units=chosen,
        standings=standings(book) if book.is_file() else (),
        roster=[person.student for person in people],
        attempts=reporting.attempts_of(folder),
        questions=reporting.questions_in(reporting.teaching_page()),
        anonymous=anonymous,
    )
    today = date.today()
    data = reporting.as_json(reports, anonymous=anonymous, made=today)
    if as_json:
        click.echo(data, nl=False)
        return
    path = to or folder / ("report-for-class.html" if anonymous else "report.html")
    files.replace(path, report_page.page(reports, anonymous=anonymous, made=today))
    files.replace(path.with_suffix(".json"), data)
    click.echo(f"wrote {path} and {path.with_suffix('.json').name}")
