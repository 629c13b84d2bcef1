"""What authors do: release, record results, translate, draw pictures, begin a unit or an exercise, build the site."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from course_lib import settings
from course_lib.desk.sources import only_with_sources, units_named


@click.command("release")
@click.argument("unit", nargs=-1)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 and name the files that are stale.")
@click.option("--student-bundle", type=click.Path(path_type=Path, dir_okay=False), help="Also write the students' zip.")
@click.option(
    "--solution", type=click.Path(path_type=Path, file_okay=False), help="Also write solution notebooks here."
)
@click.option("--open", "opens", metavar="DATE", help='Hold these units back until then, as "2026-10-12 09:00".')
@click.option("--due", metavar="DATE", help="Their deadline; their solutions page opens then.")
@click.option("--solutions", metavar="DATE", help='Another date for the solutions page, or "never".')
@click.option("--exchange", is_flag=True, help="Also give units that are open to nbgrader's exchange.")
@click.option("--class", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: class.")
def release_command(unit: tuple[str, ...], only_check: bool, folder: Path | None, **options: Any) -> None:
    """Build notebooks/ from solutions/ and fill nbgrader's gradebook (all units, or those named).

    Dates of units stand in class/dates.csv. A unit that is held back is built, and is neither in the students' zip nor
    given to the exchange until its date; `course serve` shows it then. Run the command again on that day, by hand or by
    cron. Pages of solutions whose date has come are written to class/solutions, all others are taken out of it.

    \b
    Examples:
      course release 02_variational_autoencoders --open "2026-10-12 09:00" --due "2026-10-19 23:59"
      course release --student-bundle class/course.zip
      course release --exchange
    """
    only_with_sources()
    from course_lib import files, notebooks
    from course_lib.authoring import bundle, conversion, release

    units = units_named(unit)
    if only_check:
        stale = release.stale_files(units)
        for name in stale:
            click.echo(f"stale: {name}")
        if stale:
            click.echo("Run `course release`.", err=True)
            sys.exit(1)
        click.echo(f"notebooks/ is up to date ({len(units)} units).")
        return
    folder = folder or settings.root() / "class"
    held_back = _dated(
        unit, folder, {name: options[name] for name in ("due", "solutions")} | {"open": options["opens"]}
    )
    changed = release.write_release(units)
    click.echo(f"Released {', '.join(units)}: {len(changed)} files changed.")
    for path in changed:
        click.echo(f"    {path}")
    for name, text in held_back.items():
        click.echo(f"Held back: {name} {text}.")
    _fill_readme()
    if options["solution"] is not None:
        for name in units:
            for stem, notebook in conversion.solution_notebooks(name).items():
                path = options["solution"] / f"{stem}.ipynb"
                files.replace(path, notebooks.notebook_text(notebook))
                click.echo(f"Solution: {path}")
    zipped: Path | None = options["student_bundle"]
    if zipped is not None:
        names = bundle.student_bundle(zipped, leave_out=held_back)
        size = zipped.stat().st_size / 1e6
        click.echo(f"Student bundle: {zipped} ({len(names)} files, {size:.1f} MB, no solutions in it)")
    if options["exchange"]:
        for name in units:
            if name not in held_back:
                click.echo(bundle.to_exchange(name))


def _dated(chosen: tuple[str, ...], folder: Path, given: dict[str, str | None]) -> dict[str, str]:
    """Writes dates that were given for the units named, opens the solutions whose date has come; what is held back.

    Raises:
        click.UsageError: dates are given and no unit is named, or a date cannot be read.
    """
    from course_lib.authoring import solution_page
    from course_lib.grading.outside import dates
    from course_lib.grading.outside.submission import BadSubmissions

    changed = {name: text for name, text in given.items() if text is not None}
    if changed and not chosen:
        raise click.UsageError("Name the units that these dates are for: course release UNIT --open ...")
    try:
        for name in chosen if changed else ():
            found = dates.change(folder, name, **changed)
            for what, time in (("opens", found.opens), ("due", found.due), ("solutions", found.solutions_from)):
                click.echo(f"{name}: {what} {dates.shown(time) if time else 'none'}")
        calendar, now = dates.read(folder), datetime.now(UTC)
        held_back = dates.held_back(folder, now)
    except BadSubmissions as fault:
        raise click.UsageError(str(fault)) from None
    if calendar or (folder / solution_page.FOLDER).is_dir():
        shown = [name for name, each in sorted(calendar.items()) if each.shows_solutions(now)]
        for path in solution_page.open_pages(folder, shown):
            click.echo(f"Solutions are open: {path}")
    return {name: f"until {dates.shown(time)}" for name, time in held_back.items()}


@click.command()
@click.argument("unit", nargs=-1)
@click.option(
    "--dataset",
    type=click.Choice([*settings.DATASETS, *(name for names in settings.OTHER_DATASETS.values() for name in names)]),
    help="Data set of the experiments; a folder is the one in COURSE_DATA. Default: glyphs, or the unit's own.",
)
@click.option("--profile", type=click.Choice(settings.PROFILES), default="laptop", show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many seeds.")
@click.option("--experiment", help="Only this experiment of the unit.")
@click.option("--fresh", is_flag=True, help="Run again what is recorded already.")
def results(
    unit: tuple[str, ...], dataset: str | None, profile: str, seeds: int, experiment: str | None, fresh: bool
) -> None:
    """Run the recorded experiments of units and write results/*.json (all units, or those named).

    Every seed is recorded when it is done; an interrupted run goes on where it stopped.
    """
    from course_lib.authoring import recording

    units = list(unit) or [name for name in recording.units() if dataset is None or recording.fits(name, dataset)]
    for name in units:
        done = recording.run(name, experiment=experiment, dataset=dataset, profile=profile, seeds=seeds, fresh=fresh)
        for record in done:
            click.echo(f"{name}: {record.experiment} ({record.dataset}, {record.profile}), {len(record.seeds)} seeds")
    _fill_readme()


def _fill_readme() -> None:
    from course_lib.authoring import quoting

    for name in quoting.README_FILES:
        readme = settings.root() / name
        if readme.is_file() and quoting.write_readme(readme):
            click.echo(f"{readme}: results filled in")


@click.command("messages")
@click.argument("language", nargs=-1)
@click.option("--write", is_flag=True, help="Add what is missing, mark what is stale; a language not there is begun.")
def messages_command(language: tuple[str, ...], write: bool) -> None:
    """What the translations of checks, cards and feedback lack (all languages, or those named, such as zh_CN)."""
    only_with_sources()
    from course_lib.authoring import translating

    known = [each for each in settings.languages() if each != "en"]
    for each in language:
        if each not in known and not write:
            raise click.UsageError(f"There is no {each}; there is en, {', '.join(known)}. --write begins a new one.")
    sentences, incomplete = english_sentences(), False
    for each in language or known:
        if write:
            click.echo(f"wrote {translating.write(each, sentences)}")
        report = translating.examine(each, sentences)
        incomplete |= not report.complete
        click.echo(f"{each}: {report.count - len(report.missing) - len(report.stale)} of {report.count} sentences")
        for name, ids in (("missing", report.missing), ("stale", report.stale), ("not in use", report.unknown)):
            for message_id in ids:
                click.echo(f"  {name}: {message_id}")
        for message_id, fault in report.faults:
            click.echo(f"  does not fit: {message_id}: {fault}")
    if incomplete:
        sys.exit(1)


def english_sentences() -> dict[str, str]:
    """Every sentence of the course by message id: the grader's besides those of the exercises."""
    from course_lib.authoring import translating
    from course_lib.exercises import messages
    from course_lib.grading.outside import (  # noqa: F401 (they register their sentences)
        explain,
        feedback,
        grade,
        pages,
        report_page,
    )

    of_the_grader = ("grading.", "feedback.", "page.", "explain.", "phrase.", "report.")
    graders = {name: text for name, text in messages.catalogue().items() if name.startswith(of_the_grader)}
    return translating.english(graders)


@click.command()
def pictures() -> None:
    """Bring the pictures and the list of units in README.md up to date."""
    only_with_sources()
    from course_lib.authoring import pictures

    changed = pictures.write()
    for path in changed:
        click.echo(f"wrote {path}")
    if not changed:
        click.echo("The pictures and the list of units are up to date.")


@click.group()
def new() -> None:
    """Write the skeleton of a unit or an exercise that works at once."""


@new.command("unit")
@click.argument("name")
def new_unit(name: str) -> None:
    """A unit, such as 11_active_learning: source, exercise module, judge and test."""
    only_with_sources()
    from course_lib.authoring import skeletons

    _say_what_was_written(skeletons.new_unit(name))


@new.command("exercise")
@click.argument("unit")
@click.argument("name")
def new_exercise(unit: str, name: str) -> None:
    """An exercise in a unit: its cells, its entry in the module, its judge."""
    only_with_sources()
    from course_lib.authoring import skeletons

    _say_what_was_written(skeletons.new_exercise(unit, name))


def _say_what_was_written(paths: list[Path]) -> None:
    for path in paths:
        click.echo(f"wrote {path}")
    click.echo("It works as it stands: `course release`, then `make test`. Now put your idea in its place.")
    click.echo("Once your sentences stand, `course messages --write` adds them to the translations, to be filled in.")


@click.command()
@click.option("--profile", type=click.Choice(settings.PROFILES), default="laptop", show_default=True)
@click.option("--no-execute", is_flag=True, help="Execute nothing; show the outputs that earlier builds kept, or none.")
@click.option("--fresh", is_flag=True, help="Execute again what is kept.")
def site(profile: str, no_execute: bool, fresh: bool) -> None:
    """Build the course as web pages in site/: notebooks with outputs, map, results, reference.

    Every executed notebook is kept in .cache/site until its code changes; an interrupted build goes on from there.
    """
    only_with_sources()
    from course_lib.authoring import website

    folder = website.build(profile=profile, execute=not no_execute, fresh=fresh, say=click.echo)
    click.echo(f"Open {folder / 'index.html'}")
