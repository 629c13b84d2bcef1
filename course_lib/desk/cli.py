"""The command `course`. Imports are made inside the commands, so that `course --help` answers at once.

Exit codes: 0 all right, 1 something is wrong (an answer, a stale file, a failed run), 2 the command was not used right.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import click

from course_lib import __version__


class Course(click.Group):
    """A group that keeps the order of its commands and turns errors into one clear paragraph."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)
        except Exception as error:
            if os.environ.get("COURSE_TRACEBACK"):
                raise
            code = _exit_code(error)
            if code is None:
                click.echo(f"Error: {type(error).__name__}: {error}", err=True)
                click.echo("This may be a fault of the course. COURSE_TRACEBACK=1 shows where it happened.", err=True)
                ctx.exit(1)
            click.echo(f"Error: {_sentence(error)}", err=True)
            ctx.exit(code)


def _exit_code(error: Exception) -> int | None:
    """2 for a question that makes no sense, 1 for work that failed; None for what nobody foresaw."""
    name = type(error).__name__
    if name in ("NotANotebookError", "ValueError", "FileNotFoundError", "IsADirectoryError", "UnicodeDecodeError"):
        return 2
    if name in ("ReleaseError", "WorkspaceError", "AuthoringError", "RecordError", "AnswerFileError", "DemoError"):
        return 1
    if name in ("GradebookError", "KernelError", "SiteError"):
        return 1
    return 1 if isinstance(error, OSError) else None


def _sentence(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"There is no file {error.filename}."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    text = str(error)
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


@click.group(cls=Course, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="course")
def cli() -> None:
    """Learning with Few Labels: learn, check your answers, teach, and add to the course."""
    from course_lib import settings

    settings.language()  # a COURSE_LANGUAGE that the course does not speak is told at once


def main() -> None:
    """Entry point of the console command."""
    from course_lib.desk import set_up

    set_up.show_any_text()
    cli(prog_name="course")


# ---------------------------------------------------------------------------------------------------------------------
# For learners


@cli.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of JupyterLab; without it the first free one from 8888."
)
@click.option("--browser/--no-browser", default=None, help="Open a browser; by default when there is a screen.")
@click.option("--copy-only", is_flag=True, help="Copy the notebooks and stop there.")
def lab(port: int | None, browser: bool | None, copy_only: bool) -> None:
    """Copy missing notebooks into work/ and open JupyterLab there.

    Nothing in work/ is ever overwritten. A newer version of a notebook is put beside yours, with your answers in it.
    """
    from course_lib.desk import workspace

    done = workspace.prepare()
    work = workspace.work_folder()
    if done.copied:
        click.echo(f"Copied into {work}: " + ", ".join(str(path.relative_to(work)) for path in done.copied))
    for offer in done.offers:
        click.echo(f"There is a newer version of {offer.mine.relative_to(work)}: {offer.update.relative_to(work)}")
        click.echo(f"    your copy is untouched; answers carried over: {', '.join(offer.carried) or 'none yet'}")
        if offer.homeless:
            click.echo(f"    no longer asked for, only in your copy: {', '.join(offer.homeless)}")
        if offer.added:
            click.echo(f"    cells that you added stay in your copy: {len(offer.added)} ({offer.added[0]} ...)")
    for problem in done.problems:
        click.echo(f"Warning: {problem}", err=True)
    if copy_only:
        return
    chosen = workspace.free_port(port, tries=1) if port else workspace.free_port()
    if not port and chosen != workspace.FIRST_PORT:
        click.echo(f"Port {workspace.FIRST_PORT} is taken, perhaps by another JupyterLab; this one uses {chosen}.")
    browser = workspace.can_open_browser() if browser is None else browser
    status = workspace.run_lab(work, port=chosen, browser=browser, say=lambda line: click.echo(line))
    # Ended by a signal, or by Ctrl-C on Windows (0xC000013A): that is no failure.
    if status not in (0, -15, -2, 130, 143, 0xC000013A):
        raise click.ClickException(f"JupyterLab ended with status {status}; its last lines say why. Try: course doctor")


@cli.command()
@click.argument("what")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which inputs to check on.")
def check(what: str, file: Path | None, as_json: bool, seed: int) -> None:
    """Check answers: a whole NOTEBOOK, or one EXERCISE in any FILE.py.

    \b
    course check work/00_first_steps/00_first_steps.ipynb
    course check accuracy my_accuracy.py --json

    Exit status 0 when everything is right, 1 when something is not.
    """
    if file is None:
        path = Path(what)
        if path.suffix != ".ipynb" and not path.exists():
            raise click.UsageError(
                f"There is no notebook {what}. For one function: course check EXERCISE FILE.py; `course exercises` "
                "lists the exercises."
            )
        from course_lib.desk import workspace

        results = workspace.check_notebook(path)
    else:
        results = [_check_file(what, file, seed)]
    if as_json:
        click.echo(json.dumps(results if file is None else results[0]))
    else:
        _show(results)
    if any(result["state"] != "right" for result in results):
        sys.exit(1)


def _check_file(name: str, path: Path, seed: int) -> dict[str, Any]:
    from course_lib.exercises import checking, exercise_named, judge_of, judging
    from course_lib.exercises.messages import Message

    exercise = exercise_named(name)
    try:
        answers = checking.answers_in_file(path)
    except checking.AnswerFileError as error:
        # An answer that does not even load is an answer with an error, not a wrong use of this command.
        where = f" (line {error.failure.line})" if error.failure.line else ""
        fields = {
            "type": error.failure.type,
            "text": error.failure.text,
            "where": where,
            "case": "none, loading the file",  # a phrase of the catalogue
        }
        message = Message("contract.error", fields)
        return judging.blank_result(exercise, judge_of(exercise), "error", message).as_json()
    if name not in answers:
        found = ", ".join(key for key, value in answers.items() if callable(value)) or "no function"
        raise click.UsageError(f"{path} does not define {name}; it defines {found}. Name yours {exercise.signature}.")
    return checking.check(exercise, answers[name], seed=seed).as_json()


def _points(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _show(results: list[dict[str, Any]]) -> None:
    from course_lib.exercises import exercises
    from course_lib.exercises.messages import say

    known = exercises()
    width = max(len(result["exercise"]) for result in results)
    for result in results:
        points = f"{_points(result['score'])}/{_points(result['points'])}"
        number = known[result["exercise"]].number
        state = _wide(say(f"state.short.{result['state']}"), 13)
        click.echo(f"{number:>5}  {result['exercise']:<{width}}  {state}  {points:>7}")
        if result["state"] in ("wrong", "error"):
            click.echo(click.wrap_text(result["message"], 100, initial_indent=" " * 7, subsequent_indent=" " * 7))
    total, most = sum(r["score"] for r in results), sum(r["points"] for r in results)
    if len(results) > 1:
        click.echo(f"{'':>5}  {'total':<{width}}  {'':<13}  {_points(total) + '/' + _points(most):>7}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def exercises(as_json: bool) -> None:
    """List the exercises of the course."""
    from course_lib.exercises import exercises as registry
    from course_lib.exercises import judge_of

    rows = []
    for name, exercise in registry().items():
        judge = judge_of(exercise)
        criteria = [{"name": criterion.name, "points": criterion.points} for criterion in judge.criteria]
        row = {"exercise": name, "unit": exercise.unit, "points": exercise.points, "criteria": criteria}
        row["mistakes"] = [mistake.name for mistake in judge.mistakes]
        row["alternatives"] = [alternative.__name__.lstrip("_") for alternative in judge.alternatives]
        rows.append(row)
        if not as_json:
            level = "*" * exercise.difficulty
            click.echo(
                f"{exercise.number:>5}  {name:<28} {_points(exercise.points):>4} points  {exercise.minutes:>3} min  "
                f"{level:<4} {exercise.title}"
            )
    if as_json:
        click.echo(json.dumps(rows))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def progress(as_json: bool) -> None:
    """Show how far you are: state, points and tries of every exercise."""
    from course_lib.desk import workspace
    from course_lib.exercises.messages import say

    rows = workspace.overview()
    if as_json:
        click.echo(json.dumps(rows))
        return
    unit = None
    for row in rows:
        if row["unit"] != unit:
            unit = row["unit"]
            mine = [each for each in rows if each["unit"] == unit]
            got, most = (_points(sum(each[which] for each in mine)) for which in ("best", "points"))
            click.echo(say("progress.unit", unit=unit, points=say("card.points", score=got, points=most)))
        state = say(f"state.short.{row['state']}")
        state = say("state.short.borrowed", state=state) if row["borrowed"] else state
        tries = say("progress.tries", count=row["tries"]) if row["tries"] != 1 else say("progress.try")
        points = f"{_points(row['best'])}/{_points(row['points'])}"
        click.echo(f"  {row['number']:>5}  {row['exercise']:<28} {_wide(state, 24)} {points:>7}  {_wide(tries, -9)}")


def _wide(text: str, width: int) -> str:
    """Pads a text to a width on the screen, where a Chinese character takes two columns; to the right if negative."""
    taken = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    room = " " * (abs(width) - taken)
    return text + room if width > 0 else room + text


@cli.command()
@click.argument("exercise")
def reset(exercise: str) -> None:
    """Put one answer back to its start; the old answer is kept in work/.kept/."""
    from course_lib.desk import workspace

    path, kept = workspace.reset(exercise)
    if kept is None:
        click.echo(f"{exercise} in {path} is at its start already.")
    else:
        click.echo(f"{exercise} in {path} is back at its start. Your old answer: {kept}")
        click.echo("If the notebook is open in JupyterLab, reload it there: File, Reload Notebook from Disk.")


@cli.command("set-up")
def set_up_command() -> None:
    """Make .venv, or bring it up to date; `python -m course_lib set-up` on a machine that has only Python."""
    from course_lib.desk import set_up

    sys.exit(set_up.run(["set-up"]))


@cli.command()
def doctor() -> None:
    """Say what this machine has, what is missing, and how to fix it."""
    from course_lib.desk import doctor as surgery

    findings = surgery.examine()
    for finding in findings:
        click.echo(f"{finding.mark:<8} {finding.name:<12} {finding.text}")
        if finding.fix:
            click.echo(f"{'':<8} {'':<12} -> {finding.fix}")
    if any(finding.mark == "broken" for finding in findings):
        sys.exit(1)


# ---------------------------------------------------------------------------------------------------------------------
# For instructors and authors


def _units(chosen: tuple[str, ...]) -> list[str]:
    from course_lib.authoring import release

    known = list(release.unit_folders())
    if not known:
        raise click.ClickException("There are no units under solutions/. A student's copy of the course has none.")
    for unit in chosen:
        if unit not in known:
            raise click.UsageError(f"There is no unit {unit}; the units are {', '.join(known)}.")
    return list(chosen) or known


def _only_with_sources() -> None:
    if not (Path(__file__).parent.parent / "authoring").is_dir():
        raise click.ClickException("A student's copy of the course has no sources, so this command does nothing here.")


@cli.command("release")
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
    _only_with_sources()
    from course_lib.authoring import release

    units = _units(unit)
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
            for stem, notebook in release.solution_notebooks(name).items():
                path = solution / f"{stem}.ipynb"
                release.write_atomically(path, release.notebook_text(notebook).encode())
                click.echo(f"Solution: {path}")
    if student_bundle is not None:
        names = release.student_bundle(student_bundle)
        size = student_bundle.stat().st_size / 1e6
        click.echo(f"Student bundle: {student_bundle} ({len(names)} files, {size:.1f} MB, no solutions in it)")


@cli.command()
@click.argument("unit", nargs=-1)
@click.option("--dataset", default="glyphs", show_default=True, help="Data set that the experiment runs on.")
@click.option("--profile", type=click.Choice(["smoke", "laptop", "full"]), default="laptop", show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many seeds.")
@click.option("--experiment", help="Only this experiment of the unit.")
@click.option("--fresh", is_flag=True, help="Run again what is recorded already.")
def results(unit: tuple[str, ...], dataset: str, profile: str, seeds: int, experiment: str | None, fresh: bool) -> None:
    """Run the recorded experiments of units and write results/*.json (all units, or those named).

    Every seed is recorded when it is done; an interrupted run goes on where it stopped.
    """
    from course_lib import records

    units = list(unit) or records.units()
    for name in units:
        done = records.run(name, experiment=experiment, dataset=dataset, profile=profile, seeds=seeds, fresh=fresh)
        for record in done:
            click.echo(f"{name}: {record.experiment} ({record.dataset}, {record.profile}), {len(record.seeds)} seeds")
    _fill_readme()


def _fill_readme() -> None:
    from course_lib import records, settings

    for name in records.README_FILES:
        readme = settings.root() / name
        if readme.is_file() and records.write_readme(readme):
            click.echo(f"{readme}: results filled in")


@cli.command("messages")
@click.argument("language", nargs=-1)
@click.option("--write", is_flag=True, help="Add what is missing, mark what is stale; a language not there is begun.")
def messages_command(language: tuple[str, ...], write: bool) -> None:
    """What the translations of checks, cards and feedback lack (all languages, or those named, such as zh_CN)."""
    _only_with_sources()
    from course_lib import settings
    from course_lib.authoring import translating

    known = [each for each in settings.languages() if each != "en"]
    for each in language:
        if each not in known and not write:
            raise click.UsageError(f"There is no {each}; there is en, {', '.join(known)}. --write begins a new one.")
    incomplete = False
    for each in language or known:
        if write:
            click.echo(f"wrote {translating.write(each)}")
        report = translating.examine(each)
        incomplete |= not report.complete
        click.echo(f"{each}: {report.count - len(report.missing) - len(report.stale)} of {report.count} sentences")
        for name, ids in (("missing", report.missing), ("stale", report.stale), ("not in use", report.unknown)):
            for message_id in ids:
                click.echo(f"  {name}: {message_id}")
        for message_id, fault in report.faults:
            click.echo(f"  does not fit: {message_id}: {fault}")
    if incomplete:
        sys.exit(1)


@cli.command()
def pictures() -> None:
    """Bring the pictures and the list of units in README.md up to date."""
    _only_with_sources()
    from course_lib.authoring import pictures

    changed = pictures.write()
    for path in changed:
        click.echo(f"wrote {path}")
    if not changed:
        click.echo("The pictures and the list of units are up to date.")


@cli.group()
def new() -> None:
    """Write the skeleton of a unit or an exercise that works at once."""


@new.command("unit")
@click.argument("name")
def new_unit(name: str) -> None:
    """A unit, such as 11_active_learning: source, exercise module, judge and test."""
    _only_with_sources()
    from course_lib.authoring import skeletons

    _tell(skeletons.new_unit(name))


@new.command("exercise")
@click.argument("unit")
@click.argument("name")
def new_exercise(unit: str, name: str) -> None:
    """An exercise in a unit: its cells, its entry in the module, its judge."""
    _only_with_sources()
    from course_lib.authoring import skeletons

    _tell(skeletons.new_exercise(unit, name))


def _tell(paths: list[Path]) -> None:
    for path in paths:
        click.echo(f"wrote {path}")
    click.echo("It works as it stands: `course release`, then `make test`. Now put your idea in its place.")
    click.echo("Once your sentences stand, `course messages --write` adds them to the translations, to be filled in.")


@cli.command()
@click.argument("unit", nargs=-1)
def demo(unit: tuple[str, ...]) -> None:
    """Play a small class from release to grades through stock nbgrader, in class/demo/ (all units, or those named)."""
    _only_with_sources()
    from course_lib.desk import demo_class

    sys.exit(demo_class.run(units=_units(unit)))


@cli.command()
@click.option("--profile", type=click.Choice(["smoke", "laptop", "full"]), default="laptop", show_default=True)
@click.option("--no-execute", is_flag=True, help="Execute nothing; show the outputs that earlier builds kept, or none.")
@click.option("--fresh", is_flag=True, help="Execute again what is kept.")
def site(profile: str, no_execute: bool, fresh: bool) -> None:
    """Build the course as web pages in site/: notebooks with outputs, map, results, reference.

    Every executed notebook is kept in .cache/site until its code changes; an interrupted build goes on from there.
    """
    _only_with_sources()
    from course_lib.authoring import site as building

    folder = building.build(profile=profile, execute=not no_execute, fresh=fresh, say=click.echo)
    click.echo(f"Open {folder / 'index.html'}")


@cli.command()
@click.argument("student")
@click.argument("exercise")
def explain(student: str, exercise: str) -> None:
    """Why a point was lost: what `course grade` found of STUDENT's EXERCISE, in the words of the card."""
    _only_with_sources()
    from course_lib.grading.outside import explain as explaining

    click.echo(explaining.run(student, exercise))


with contextlib.suppress(ModuleNotFoundError):  # a student's copy has no grader
    from course_lib.grading.outside.command import grade_command

    cli.add_command(grade_command)


if __name__ == "__main__":
    main()
