"""The corpus of hostile, broken and unusual submissions through `course grade` and stock nbgrader, in one table.

    python -m tests.benchmarks.grading_corpus             # goes on where it stopped; a first run takes half an hour
    python -m tests.benchmarks.grading_corpus --show      # prints the table of the record
    python -m tests.benchmarks.grading_corpus --again "fork bomb"

Every case stands in a class with one honest neighbor. `course grade` gets all cases as one class, feedback pages
included. nbgrader gets them one by one, with this course's nbgrader_config.py and a cell timeout of 30 seconds, inside
a throw-away container (bubblewrap, limits): that containment protects the machine that measures, stock nbgrader has
none. The demo and train cells, which nbgrader would run and `course grade` does not, are left out on both sides.

What happened to a case is one of
    right        the points it deserves, no more and no less
    fooled       more points than it deserves, or the neighbor's changed
    marked down  fewer points than it deserves, on a notebook that was graded
    ungraded     no grade: a person has to look
    aborted      no grade, and the neighbor has none either
    timed out    the grader itself did not end and was stopped after three minutes
    not counted  more points could be defended too, or nbgrader cannot be handed such a case
Leaked are the judge's reference, the neighbor's work, the secret or a hidden input in what the student gets back.
Figures go to results/benchmarks/grading_corpus.json.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import click

from course_lib import settings
from course_lib.grading.outside import kernelspec, results
from course_lib.notebooks import tools_on_path

from .grading_corpus_cases import (
    NAME,
    NEIGHBOR,
    POINTS,
    SEARCHING,
    SECRET,
    UNIT,
    Kind,
    cases,
    digests,
    hidden_numbers,
    leaks,
    make_course,
    notebooks,
    outcome,
    put,
    scores_of,
    scratch,
    slug,
    zips,
)  # fmt: skip
from .grading_corpus_nbgrader import CELL_SECONDS, DISK, FILE_SIZE, MEMORY, PROCESSES, RUN_SECONDS, alone
from .grading_costs import environment
from .grading_speed import save

OURS = ("--cpu-seconds", "2", "--memory", "300")

# --- our side -------------------------------------------------------------------------------------------------------


def course(root: Path, *arguments: str) -> str:
    """Runs `course ...` in a course; what it printed.

    Raises:
        ClickException: it ended with anything but 0 and 1.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    variables = {"PYTHONPATH": str(root), "COURSE_SECRET": str(root.parent / "secret"), "COURSE_PROFILE": "smoke"}
    command = [sys.executable, "-m", "course_lib", *arguments]
    done = subprocess.run(command, cwd=root, env={**clean, **variables}, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise click.ClickException(done.stdout[-1000:] + done.stderr[-2000:])
    return done.stdout + done.stderr


def by_course_grade(kinds: Sequence[Kind], root: Path) -> dict[str, dict[str, Any]]:
    """All cases as one class: verdicts, points, what is in the gradebook and on the feedback pages."""
    folder = root / "class"
    students = {kind.name: kind.student or slug(kind.name) for kind in kinds}
    for kind in kinds:
        if kind.name != SEARCHING.name:
            put(kind, folder / "submitted", students[kind.name])
    (root.parent / "secret").write_text(SECRET)
    course(root, "grade", "class/submitted", "--workers", "1", *OURS)
    if SEARCHING in kinds:  # reading everything that the sandbox shows takes its time
        put(SEARCHING, root / "alone", students[SEARCHING.name])
        course(root, "grade", "alone", "--workers", "1", "--cpu-seconds", "60")
    feedback(root)
    hidden = hidden_numbers(root.parent / "secret")
    neighbor = scores_of(folder / "gradebook.db", NEIGHBOR)
    records = {record["student"]: record for record in results.all_results(folder / "results")}
    rows = {}
    for kind in kinds:
        student = students[kind.name]
        record = records.get(student, {})
        exercises = record.get("exercises", [])
        scores = {e["exercise"]: e["score"] for e in exercises}
        recorded = scores_of(folder / "gradebook.db", student)
        pages = "\n".join(p.read_text(errors="replace") for p in folder.glob(f"feedback/{student}/**/*.html"))
        shown = (
            pages
            + "".join(p.read_text(errors="replace") for p in folder.glob(f"autograded/{student}/**/*.ipynb"))
            + "".join(cell["printed"] for cell in record.get("cells", {}).values())
        )
        rows[kind.name] = {
            "verdicts": [e["verdict"] for e in exercises],
            "scores": scores,
            "gradebook": recorded,
            "outcome": outcome(kind, scores if recorded == scores else recorded, neighbor, bool(record)),
            "leaked": leaks(shown, hidden),
            "script": "<script>alert(1)" in pages,
            "page": bool(pages),
        }
    return rows


def feedback(root: Path) -> None:
    """nbgrader's feedback pages of what lies in class/autograded."""
    variables = {**os.environ, "PYTHONPATH": str(root)}
    with tools_on_path():
        variables["PATH"] = os.environ["PATH"]
    command = [sys.executable, "-m", "nbgrader", "generate_feedback", UNIT]
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True)
    if not (root / "class" / "feedback").is_dir():
        raise click.ClickException(done.stderr[-2000:])


def by_course_grade_zips(root: Path) -> dict[str, dict[str, Any]]:
    """The archives, each with an honest student's work in it."""
    rows = {}
    honest = notebooks.as_bytes(notebooks.answered())
    for name, entries in zips().items():
        path = root / f"{slug(name)}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for entry, data in {**entries, f"honest/{UNIT}/{NAME}": honest}.items():
                made.writestr(entry, data)
        out = root / slug(name)
        course(root, "grade", path.name, "--workers", "1", *OURS, "--out", f"{out.name}/results")
        found = {p.stem: json.loads(p.read_bytes()) for p in out.glob("results/**/*.json")}
        verdicts = {student: record["verdict"] for student, record in sorted(found.items())}
        wanted = {"honest": "right"} | ({"bomb": "malformed"} if "bomb" in name else {})
        rows[name] = {"verdicts": verdicts, "outcome": "right" if verdicts == wanted else "fooled", "leaked": []}
    return rows


# --- the table ------------------------------------------------------------------------------------------------------


def summary(rows: Sequence[dict[str, Any]], side: str) -> dict[str, float]:
    """The figures of one side: points undeserved, correct work marked down, and so on."""
    mine = [row for row in rows if side in row and row[side]["outcome"] != "not counted"]
    counts = Counter(row[side]["outcome"] for row in mine)
    return {
        "cases": len(mine),
        "undeserved": counts["fooled"],
        "undeserved_points": round(sum(_more(row, side) for row in mine), 2),
        "marked_down": counts["marked down"],
        "ungraded": counts["ungraded"] + counts["aborted"] + counts["timed out"],
        "neighbor_ungraded": counts["aborted"]
        + sum(row[side]["outcome"] == "timed out" and row[side].get("neighbor") != POINTS for row in mine),
        "leaked": sum(bool(row[side]["leaked"]) for row in mine),
        "scripts_alive": sum(bool(row[side].get("script")) for row in mine),
    }


def _more(row: dict[str, Any], side: str) -> float:
    """Points that a case got and does not deserve; of one that is not a number, the exercise's."""
    total = 0.0
    for name, score in row[side].get("scores", {}).items():
        if name in POINTS and score is not None:
            got = float(score) if isinstance(score, (int, float)) else POINTS[name]
            total += max(got - row["deserved"][name], 0.0)
    return total


def table(record: dict[str, Any]) -> str:
    """The record as text: a row per case, then the figures of both sides."""

    def total(side: dict[str, Any]) -> str:
        scores = [s for s in side.get("scores", {}).values() if s is not None]
        return "-" if not scores else "+".join(s if isinstance(s, str) else f"{s:g}" for s in scores)

    lines = [f"{'case':48} {'due':>5}  {'course grade':22} {'nbgrader':>9}  {'':12} leaked"]
    for name, row in record["cases"].items():
        ours, theirs = row.get("course_grade", {}), row.get("nbgrader", {})
        due = "+".join(f"{points:g}" for points in row["deserved"].values())
        said = f"{total(ours)} {ours.get('outcome', '')}"
        leaked = ", ".join(
            f"{side}: {what}"
            for side, each in (("ours", ours), ("nbgrader", theirs))
            for what in each.get("leaked", ())
        )
        lines.append(f"{name[:48]:48} {due:>5}  {said:22} {total(theirs):>9}  {theirs.get('outcome', ''):12} {leaked}")
    lines.append("")
    lines.append(f"{'':28} {'course grade':>14} {'nbgrader':>10}")
    for what in record["summary"]["course_grade"]:
        ours, theirs = (record["summary"][side][what] for side in ("course_grade", "nbgrader"))
        lines.append(f"{what.replace('_', ' '):28} {ours:>14g} {theirs:>10g}")
    return "\n".join(lines)


def record_file() -> Path:
    return settings.root() / "results" / "benchmarks" / "grading_corpus.json"


@click.command()
@click.option("--show", is_flag=True, help="Print the table of the record, run nothing.")
@click.option("--again", multiple=True, help="Run a case again that is in the record; `all` for every one.")
@click.option("--only", multiple=True, help="Run these cases only.")
@click.option("--side", type=click.Choice(["course_grade", "nbgrader"]), help="Run one grader only; default: both.")
@click.option("--jobs", default=1, show_default=True, help="Runs of nbgrader at the same time.")
@click.option("--out", type=click.Path(path_type=Path), help="The record; default: results/benchmarks/.")
def main(
    show: bool, again: tuple[str, ...], only: tuple[str, ...], side: str | None, jobs: int, out: Path | None
) -> None:
    """Runs the corpus through both graders; writes a record after each case and prints the table."""
    file = out or record_file()
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if show:
        click.echo(table(held))
        return
    reason = kernelspec.missing()
    if reason:
        raise click.ClickException(f"stock nbgrader is run in a container here: {reason}")
    now, kinds = digests(), {kind.name: kind for kind in cases()}
    unknown = {*again, *only} - {"all", *kinds, *zips()}
    if unknown:
        raise click.ClickException(f"there is no case {', '.join(sorted(unknown))}.")
    rows: dict[str, Any] = {
        name: row for name, row in held.get("cases", {}).items() if row["digest"] == now.get(name, "") or name in zips()
    }
    for name in rows if "all" in again else again:  # what the other grader said is kept when one is asked for
        rows[name] = {part: said for part, said in rows.get(name, {}).items() if side and part != side}
    chosen = [kind for kind in cases() if not only or kind.name in only]

    def keep() -> None:
        done = {name: rows[name] for name in [*kinds, *zips()] if rows.get(name)}
        record = {
            "environment": environment(),
            "settings": {
                "course_grade": " ".join(OURS), "Execute.timeout": CELL_SECONDS, "run_seconds": RUN_SECONDS,
                "container": f"bubblewrap, {MEMORY >> 30} GB of data, {PROCESSES} processes, {FILE_SIZE >> 20} MB per "
                f"file, {DISK >> 30} GB of disk, no network: for this machine's safety; stock nbgrader has none",
            },
            "cases": done,
            "summary": {s: summary(list(done.values()), s) for s in ("course_grade", "nbgrader")},
        }  # fmt: skip
        save(file, record)

    with scratch() as folder:
        course = make_course(folder / "ours")
        template = folder / "template"
        shutil.copytree(course, template)
        for kind in chosen:
            deserved = {"double": kind.double[1], "scale": kind.scale[1]}
            head = {"digest": now[kind.name], "deserved": deserved, "verdicts": [kind.double[0], kind.scale[0]]}
            rows[kind.name] = {**rows.get(kind.name, {}), **head}
        todo = [kind for kind in chosen if "nbgrader" not in rows[kind.name] and side != "course_grade"]
        with ThreadPool(jobs) as pool:
            for number, (kind, said) in enumerate(pool.imap(lambda kind: (kind, alone(kind, template)), todo), start=1):
                rows[kind.name]["nbgrader"] = said
                keep()
                click.echo(f"{number:4} of {len(todo)}  {kind.name:48} {said['seconds']:6.1f} s  {said['outcome']}")
        if side != "nbgrader" and any("course_grade" not in rows[kind.name] for kind in chosen):
            click.echo(f"{len(chosen)} cases through course grade, as one class ...")
            for name, row in by_course_grade(chosen, course).items():
                rows[name]["course_grade"] = row
            keep()
        if side != "nbgrader" and not only and any("course_grade" not in rows.get(name, {}) for name in zips()):
            for name, row in by_course_grade_zips(course).items():
                note = {"outcome": "not counted", "leaked": [], "said": "nbgrader takes no archives"}
                rows[name] = {"digest": "", "deserved": {}, "course_grade": row, "nbgrader": note}
        keep()
    record = json.loads(file.read_text(encoding="utf-8"))
    click.echo(f"\n{table(record)}\n\nwritten to {file}")
    ours = record["summary"]["course_grade"]
    sys.exit(1 if any(count for what, count in ours.items() if what != "cases") else 0)


if __name__ == "__main__":
    main()
