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

    `course grade` grades every unit, stock nbgrader the first one; with --all every one, which takes some minutes.
    """
    only_with_sources()
    from course_lib.desk import demo_class

    sys.exit(demo_class.run(units=units_named(unit), everything=everything))


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
    from course_lib.grading.outside import collecting, roster
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
        for line in collecting.as_lines(report, dry_run=dry_run):
            click.echo(line)
    for line in collecting.problems(report, dry_run=dry_run):
        click.echo(line, err=True)
    sys.exit(1 if report.needs_a_person else 0)
