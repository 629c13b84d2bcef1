"""`course grade`: the command. Reads submissions, grades them in isolation, writes results, says what came out."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from course_lib.grading.inside.protocol import Isolation, Limits
from course_lib.grading.outside.isolation import AUTO
from course_lib.grading.outside.results import Verdict
from course_lib.grading.outside.terminal import one_line

if TYPE_CHECKING:
    from course_lib.grading.outside.pool import Report
    from course_lib.grading.outside.submission import Submission


def _shard(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        k, n = (int(part) for part in value.split("/"))
    except ValueError:
        k = n = 0
    if not 1 <= k <= n:
        raise click.BadParameter(f"{value!r} is not K/N with 1 <= K <= N, such as 2/3.")
    return k, n


@click.command("grade")
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--unit", "units", multiple=True, help="A unit to grade, by its folder's name; default: all released.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; default: one a CPU core.")
@click.option(
    "--shard",
    callback=_shard,
    metavar="K/N",
    help="Grade the K-th of N parts, on machines that share --out; --shard 2/3 is the second of three.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Grade on the workers of a Dask scheduler, such as tcp://10.0.0.5:8786; needs the extra dask.",
)
@click.option(
    "--isolation",
    type=click.Choice([AUTO, *map(str, Isolation)]),
    default=AUTO,
    show_default=True,
    help="What must stand between students' code and this machine; auto: namespaces, else Landlock, never less.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of results; default: class/results."
)
@click.option(
    "--release", type=click.Path(path_type=Path, file_okay=False), help="Released notebooks; default: notebooks."
)
@click.option("--exercises", "folders", multiple=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A further folder of units, laid out as course_lib/exercises is.")  # fmt: skip
@click.option(
    "--gradebook/--no-gradebook",
    default=True,
    help="Write nbgrader's gradebook, autograded notebooks and grades.csv beside the folder of results.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all results as JSON.")
@click.option("--fresh", is_flag=True, help="Grade again what is graded already.")
@click.option("--cpu-seconds", type=click.IntRange(1), help="CPU seconds for an exercise; default: 10.")
@click.option("--memory", type=click.IntRange(64), help="Megabytes for a student's code; default: 2048.")
@click.option(
    "--models", is_flag=True, help="Only the hidden test of unit 12's open brief: runs each student's model.pt2."
)
def grade_command(submissions: Path, as_json: bool, models: bool, **chosen: Any) -> None:
    """Grade SUBMISSIONS, a folder student/unit/notebook.ipynb or a zip of one, in a sandbox.

    A score can come only from code that gives the right values on inputs it has never seen; whose code it is, the
    grader cannot tell. What is graded already is not graded again, so a run that was stopped goes on where it was.

    \b
    Examples:
      course grade class/submitted
      course grade class.zip --unit 01_autoencoders --workers 4
      course grade class/submitted --shard 2/3 --no-gradebook
          on the second of three machines with the same COURSE_SECRET; in the
          end without --shard, which grades nothing again and writes the grades
      course grade class/submitted --models
          a table of exported models, sorted by the lower end of the interval
      course grade class/submitted --scheduler tcp://10.0.0.5:8786
          after `dask scheduler` there and `dask worker ADDRESS --nthreads 1`

    \b
    Ends with
      0  everything was graded, whatever the scores;
      1  some notebook could not be read, lies where no student can be named,
         or could not be graded, judged or written to the gradebook: the
         last lines say what;
      2  the run was refused or stopped: the message says why and what to do,
         and what was graded before is kept.
    """
    if models:
        _grade_models(submissions, Choices(**chosen, quiet=as_json))
        return
    report = run(submissions, Choices(**chosen, quiet=as_json))
    if as_json:
        click.echo(json.dumps(report.results, indent=1, sort_keys=True))
    else:
        click.echo(summary(report))
    for name, reason in sorted(report.failed.items()):
        click.echo(f"failed: {one_line(name)}: {one_line(reason, 1000)}", err=True)
    for sentence in report.not_read:
        click.echo(f"not read: {one_line(sentence, 1000)}", err=True)
    faults = not_judged(report.results)
    for sentence in faults:
        click.echo(f"not judged: {one_line(sentence, 1000)}", err=True)
    unread = any(r["verdict"] == "malformed" for r in report.results)
    sys.exit(1 if report.failed or report.not_read or report.not_recorded or unread or faults else 0)


def _grade_models(submissions: Path, choices: Choices) -> None:
    """Prints the leaderboard of exported models, and writes models.csv beside the folder of results."""
    from course_lib import files, settings
    from course_lib.grading.outside import exported_models, results
    from course_lib.grading.outside.isolation import IsolationError
    from course_lib.grading.outside.options import GraderFault, Options
    from course_lib.grading.outside.submission import BadSubmissions

    out = choices.out or settings.root() / "class" / "results"
    try:
        models = exported_models.files_in(submissions)
        protected = tuple(str(path) for path in (submissions, out, results.secret_path()) if path.exists())
        options = Options(isolation=choices.isolation, secret=results.secret(), protected=protected)
        found = exported_models.scores(models, options)
    except (BadSubmissions, IsolationError, GraderFault, results.ResultsError) as fault:
        raise click.UsageError(str(fault)) from None
    table = out.resolve().parent / "models.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    files.replace(table, exported_models.as_csv(found))
    if choices.quiet:
        click.echo(json.dumps([vars(score) | {"interval": score.interval} for score in found], indent=1))
        return
    for line in exported_models.as_table(found):
        click.echo(one_line(line))
    click.echo(f"A row per student: {table}")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The command's options; `quiet` shows no progress."""

    units: tuple[str, ...] = ()
    workers: int | None = None
    shard: tuple[int, int] | None = None
    scheduler: str | None = None
    isolation: str = AUTO
    out: Path | None = None
    release: Path | None = None
    folders: tuple[Path, ...] = ()
    gradebook: bool = False
    fresh: bool = False
    cpu_seconds: int | None = None
    memory: int | None = None
    quiet: bool = False

    def limits(self) -> Limits:
        """The limits of a submission: all times grow with the CPU seconds of an exercise."""
        limits = Limits()
        if self.cpu_seconds:
            limits = Limits(
                exercise_seconds=self.cpu_seconds,
                cells_seconds=3 * self.cpu_seconds,
                wall_seconds=6.0 * self.cpu_seconds,
            )
        return replace(limits, memory_bytes=self.memory << 20) if self.memory else limits


def run(submissions: Path, choices: Choices) -> Report:
    """What the command does, as a function: the report of `pool.grade_all`.

    Raises:
        click.UsageError: nothing could be done; the text says what to do.
    """
    from course_lib import settings
    from course_lib.grading.outside import results
    from course_lib.grading.outside.cluster import ClusterError
    from course_lib.grading.outside.isolation import IsolationError
    from course_lib.grading.outside.options import GraderFault
    from course_lib.grading.outside.submission import BadSubmissions

    root = settings.root()
    release, out = choices.release or root / "notebooks", choices.out or root / "class" / "results"
    try:
        found, report = _graded(submissions, release, out, choices)
    except (BadSubmissions, IsolationError, GraderFault, ClusterError, results.ResultsError, ValueError) as fault:
        raise click.UsageError(str(fault)) from None
    if choices.gradebook:
        report.lines = _published(report, found, submissions, release, out)
    return report


def _graded(submissions: Path, release: Path, out: Path, choices: Choices) -> tuple[list[Submission], Report]:
    from tqdm.auto import tqdm

    from course_lib.grading.outside import pool, results
    from course_lib.grading.outside.finding import find
    from course_lib.grading.outside.options import Options, use_exercise_folders
    from course_lib.grading.outside.submission import BadSubmissions, read_release

    tqdm.monitor_interval = 0  # its thread would keep workers from being forked
    more = tuple(str(folder.resolve()) for folder in choices.folders)
    use_exercise_folders(more)
    all_units = tuple(sorted(p.name for p in release.glob("*/") if any(p.glob("*.ipynb"))))
    units = choices.units or all_units
    if not units:
        raise BadSubmissions(f"there are no released notebooks in {release}; run `course release` first.")
    by_unit = {unit: read_release(release, unit) for unit in units}
    handed_in = find(submissions, units, by_unit, others=all_units)
    found = handed_in.submissions
    secret = results.secret()
    options = Options(
        isolation=choices.isolation,
        limits=choices.limits(),
        secret=secret,
        exercise_folders=more,
        protected=tuple(str(p) for p in (submissions, out, release, results.secret_path()) if p.exists()),
    )
    released = {(r.unit, r.notebook): r for group in by_unit.values() for r in group}
    mine = [one for one in found if results.in_shard(one.name, choices.shard)]
    plan = pool.Plan(
        out,
        workers=choices.workers or os.cpu_count() or 1,
        fresh=choices.fresh,
        shard=choices.shard,
        scheduler=choices.scheduler,
    )
    # Objects of the libraries are never garbage, and a worker need not go through them again and again.
    gc.freeze()
    silent = choices.quiet or not sys.stderr.isatty()
    with tqdm(total=len(mine), desc="grading", unit="notebook", disable=silent) as bar:
        report = pool.grade_all(found, released, options, plan, progress=lambda result: bar.update())
    report.not_read = handed_in.not_read
    return found, report


def _published(report: Report, found: list[Submission], folder_or_zip: Path, release: Path, out: Path) -> list[str]:
    """Writes the gradebook and what belongs to it; what there is to say about that."""
    # jsonschema compiles a grammar of web addresses where there is one, for a second or more; no notebook needs it.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from course_lib.grading.outside import exports, results
    from course_lib.grading.outside import gradebook as book

    class_folder = out.resolve().parent
    try:
        submissions = book.paired(report.results, found, folder=folder_or_zip if folder_or_zip.is_dir() else None)
        written = exports.publish(
            submissions,
            released=release,
            folder=class_folder,
            everything=list(results.all_results(out)),
            handed_in_by={(one.student, one.unit) for one in found},
        )
    except (book.GradebookError, FileNotFoundError) as fault:
        report.failed["the gradebook"] = str(fault)
        return []
    report.not_recorded = tuple(student for student, _ in written.refused)
    table = class_folder / "grades.csv"
    return [*book.as_lines(written), *([f"A column per exercise: {table}"] if table.is_file() else [])]


def not_judged(results: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each answer whose judge has failed: a fault of the course, and points that are missing."""
    return [
        f"{result['student']}/{result['unit']}: {exercise['exercise']} {exercise['message']['fields'].get('text', '')}"
        for result in results
        for exercise in result["exercises"]
        if exercise.get("judge_failed")
    ]


def summary(report: Report) -> str:
    """The table of a run: submissions by verdict, and what a person should look at."""
    counts = Counter(result["verdict"] for result in report.results)
    lines = [f"{len(report.results)} graded ({report.kept} of them before)"]
    levels = Counter(result["isolation"] for result in report.results)
    if levels:
        several = [f"{level} ({count})" for level, count in sorted(levels.items())]
        lines[0] += f", isolation: {', '.join(several if len(several) > 1 else levels)}"
        lines[0] += "; by the gravest verdict in each:"
    unwatched = sorted({r.get("unwatched", "") for r in report.results} - {""})
    lines += [f"  not watched: {one_line(text)}" for text in unwatched]
    for verdict in Verdict:
        if counts[verdict]:
            scores = [result["score"] for result in report.results if result["verdict"] == verdict]
            mean = sum(scores) / len(scores)
            lines.append(f"  {verdict:<14}{counts[verdict]:>6}   mean score {mean:.2f}")
    for result in report.results:
        who = one_line(f"{result['student']}/{result['unit']}")
        if result["problem"]:
            lines.append(f"  {who}: {one_line(result['problem'])}")
        lines += [f"  {who}: tampered: {one_line(text)}" for text in result["tampered"]]
    lines += [f"  {one_line(line)}" for line in report.lines]
    return "\n".join(lines)
