"""What learners do: open the notebooks, check answers, see how far they are, go back, and mend the set-up."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--unit", default="", help="Whose notebook to open, such as 04 or 06b; without it the first one's.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of JupyterLab; without it the first free one from 8888."
)
@click.option("--browser/--no-browser", default=None, help="Open a browser; by default when there is a screen.")
@click.option("--copy-only", is_flag=True, help="Copy the notebooks and stop there.")
def lab(unit: str, port: int | None, browser: bool | None, copy_only: bool) -> None:
    """Copy missing notebooks into work/ and open JupyterLab there.

    Nothing in work/ is ever overwritten. A newer version of a notebook is put beside yours, with your answers in it.
    """
    from course_lib.desk import jupyterlab, workspace

    done = workspace.prepare()
    work = workspace.work_folder()
    if done.copied:
        click.echo(f"Copied into {work}: " + ", ".join(str(path.relative_to(work)) for path in done.copied))
    for offer in done.offers:
        click.echo(f"There is a newer version of {offer.mine.relative_to(work)}: {offer.update.relative_to(work)}")
        click.echo(f"    your copy is untouched; answers carried over: {', '.join(offer.carried) or 'none yet'}")
        if offer.no_longer_asked:
            click.echo(f"    no longer asked for, only in your copy: {', '.join(offer.no_longer_asked)}")
        if offer.added:
            click.echo(f"    cells that you added stay in your copy: {len(offer.added)} ({offer.added[0]} ...)")
    for problem in done.problems:
        click.echo(f"Warning: {problem}", err=True)
    jupyterlab.notebook_of(work, unit)  # a unit that is not there is told before anything starts
    if copy_only:
        return
    chosen = jupyterlab.free_port(port, tries=1) if port else jupyterlab.free_port()
    if not port and chosen != jupyterlab.FIRST_PORT:
        click.echo(f"Port {jupyterlab.FIRST_PORT} is taken, perhaps by another JupyterLab; this one uses {chosen}.")
    browser = jupyterlab.can_open_browser() if browser is None else browser
    status = jupyterlab.run_lab(work, port=chosen, browser=browser, unit=unit, say=click.echo)
    # Ended by a signal, or by Ctrl-C on Windows (0xC000013A): that is not a failure.
    if status not in (0, -15, -2, 130, 143, 0xC000013A):
        raise click.ClickException(f"JupyterLab ended with status {status}; its last lines say why. Try: course doctor")


@click.command()
@click.argument("what")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which inputs to check on.")
def check(what: str, file: Path | None, as_json: bool, seed: int) -> None:
    """Check answers: a whole NOTEBOOK, or one EXERCISE in any FILE.py.

    \b
    course check work/00_first_steps/00_first_steps.ipynb
    course check accuracy my_accuracy.py --json

    An earlier exercise that FILE.py calls and does not define is borrowed from the course.

    Exit status 0 when everything is right, 1 when something is not.
    """
    if file is None:
        path = Path(what)
        if path.suffix != ".ipynb" and not path.exists():
            way_out = "For one function: course check EXERCISE FILE.py; `course exercises` lists the exercises."
            raise click.UsageError(f"There is no notebook {what}. {way_out}")
        from course_lib.desk.notebook_check import check_notebook

        results = check_notebook(path)
    else:
        results = [_check_file(what, file, seed)]
    if as_json:
        click.echo(json.dumps(results if file is None else results[0]))
    else:
        _show(results)
    if any(result["state"] != "right" for result in results):
        sys.exit(1)


def _check_file(name: str, path: Path, seed: int) -> dict[str, Any]:
    from course_lib.exercises import checking, exercise_named, judge_of, judging, shrinking
    from course_lib.exercises.contract import State
    from course_lib.exercises.messages import Message

    exercise = exercise_named(name)
    try:
        return checking.check_file(name, path, seed=seed, seconds_for_smallest=shrinking.SECONDS).as_json()
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
        return judging.blank_result(exercise, judge_of(exercise), State.ERROR, message).as_json()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except checking.ExerciseNeeded as error:
        raise click.ClickException(str(error)) from None


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
        state = _padded(say(f"state.short.{result['state']}"), 13)
        click.echo(f"{number:>5}  {result['exercise']:<{width}}  {state}  {points:>7}")
        if result["state"] in ("wrong", "error"):
            click.echo(click.wrap_text(result["message"], 100, initial_indent=" " * 7, subsequent_indent=" " * 7))
            title, *lines = result.get("smallest_case") or [""]
            for line in [title, *(f"  {line}" for line in lines)] if title else ():
                click.echo(" " * 7 + line)
    total, most = sum(r["score"] for r in results), sum(r["points"] for r in results)
    if len(results) > 1:
        click.echo(f"{'':>5}  {'total':<{width}}  {'':<13}  {_points(total) + '/' + _points(most):>7}")


@click.command()
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
        row["alternatives"] = [alternative.name for alternative in judge.alternatives]
        rows.append(row)
        if not as_json:
            points, level = _points(exercise.points), "*" * exercise.difficulty
            size = f"{points:>4} points  {exercise.minutes:>3} min  {level:<4}"
            click.echo(f"{exercise.number:>5}  {name:<28} {size} {exercise.title}")
    if as_json:
        click.echo(json.dumps(rows))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def progress(as_json: bool) -> None:
    """Show how far you are: state, points and tries of every exercise."""
    from course_lib.desk import workspace
    from course_lib.exercises.messages import say
    from course_lib.exercises.predicting import calibration

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
        click.echo(
            f"  {row['number']:>5}  {row['exercise']:<28} {_padded(state, 24)} {points:>7}  {_padded(tries, -9)}"
        )
    predicted = calibration.sentences(calibration.everything(workspace.work_folder()))
    if predicted:
        click.echo(say("predict.so_far", sentences=" ".join(predicted)))


def _padded(text: str, width: int) -> str:
    """Pads a text to a width on the screen, where a Chinese character takes two columns; to the right if negative."""
    taken = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    room = " " * (abs(width) - taken)
    return text + room if width > 0 else room + text


@click.command()
@click.argument("exercise")
def reset(exercise: str) -> None:
    """Put one answer back to its start; the old answer is kept in work/.kept/."""
    from course_lib.desk import resetting

    path, kept = resetting.reset(exercise)
    if kept is None:
        click.echo(f"{exercise} in {path} is at its start already.")
    else:
        click.echo(f"{exercise} in {path} is back at its start. Your old answer: {kept}")
        click.echo("If the notebook is open in JupyterLab, reload it there: File, Reload Notebook from Disk.")


@click.command("set-up")
def set_up_command() -> None:
    """Make .venv, or bring it up to date; `python -m course_lib set-up` on a machine that has only Python."""
    from course_lib.desk import set_up

    sys.exit(set_up.run(["set-up"]))


@click.command()
def doctor() -> None:
    """Say what this machine has, what is missing, and how to fix it."""
    from course_lib.desk.doctor import Mark, examine

    findings = examine()
    for finding in findings:
        click.echo(f"{finding.mark:<8} {finding.name:<12} {finding.text}")
        if finding.fix:
            click.echo(f"{'':<8} {'':<12} -> {finding.fix}")
    if any(finding.mark is Mark.BROKEN for finding in findings):
        sys.exit(1)
