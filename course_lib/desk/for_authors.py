"""What authors do: release, record results, translate, draw pictures, begin a unit or an exercise, build the site."""

from __future__ import annotations

import sys
from pathlib import Path

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
def release_command(
    unit: tuple[str, ...], only_check: bool, student_bundle: Path | None, solution: Path | None
) -> None:
    """Build notebooks/ from solutions/ and fill nbgrader's gradebook (all units, or those named)."""
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
    changed = release.write_release(units)
    click.echo(f"Released {', '.join(units)}: {len(changed)} files changed.")
    for path in changed:
        click.echo(f"    {path}")
    _fill_readme()
    if solution is not None:
        for name in units:
            for stem, notebook in conversion.solution_notebooks(name).items():
                path = solution / f"{stem}.ipynb"
                files.replace(path, notebooks.notebook_text(notebook))
                click.echo(f"Solution: {path}")
    if student_bundle is not None:
        names = bundle.student_bundle(student_bundle)
        size = student_bundle.stat().st_size / 1e6
        click.echo(f"Student bundle: {student_bundle} ({len(names)} files, {size:.1f} MB, no solutions in it)")


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
