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

import compileall
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import click
import nbformat

from course_lib import files, settings
from course_lib.grading.outside import kernelspec, results
from course_lib.grading.outside.gradebook_access import GradebookError
from course_lib.grading.outside.standings import standings
from course_lib.notebooks import tools_on_path

from .grading_speed import environment, save

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "grading")]

import class_notebooks as notebooks  # noqa: E402
import tiny_course  # noqa: E402
from class_notebooks import UNIT  # noqa: E402
from corpus import handed_in  # noqa: E402
from corpus.attacks import Kind  # noqa: E402
from corpus.handed_in import NAME, NEIGHBOR  # noqa: E402

POINTS = {"double": 3.0, "scale": 2.0}
CELL_SECONDS, RUN_SECONDS = 30, 180  # nbgrader's own timeout of a cell; what its whole run may take here
MEMORY, FILE_SIZE, DISK, PROCESSES = 4 << 30, 512 << 20, 1 << 30, 120  # of the container
OURS = ("--cpu-seconds", "2", "--memory", "300")
USER = 54_321  # whom the container runs as where it is started by root: nobody else's processes count as theirs
NEIGHBORS_LINE = "# written by the neighbor and nobody else"
SECRET = "5ec2e7" * 11
OUTCOMES = ("right", "fooled", "marked down", "ungraded", "aborted", "timed out", "not counted")

# Looks into every file that it can open for what it must not see; the parts are put together so that the notebook's
# own text, which is on the feedback page, does not count.
SEARCH = f"""
import glob, os
marks = ["THE_REFERENCE" + "_OF_DOUBLE", {NEIGHBORS_LINE[:20]!r} + {NEIGHBORS_LINE[20:]!r}, "5ec2e7" * 10]
paths = glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline")
for folder, inside, names in os.walk("/"):
    inside[:] = [name for name in inside if name not in ("site-packages", "usr", "lib", "lib64", "proc", "sys", "dev")]
    paths += [os.path.join(folder, name) for name in names]
for path in paths:
    try:
        text = open(path, "rb").read(2_000_000) if os.path.isfile(path) else b""
    except OSError:
        continue
    for mark in marks:
        if mark.encode() in text:
            print("FOUND", path, mark)
"""
SEARCHING = Kind("a search of every file", notebooks.answered(extra=SEARCH), handed_in.RIGHT)


def cases() -> list[Kind]:
    """The whole corpus, and the search."""
    return [*handed_in.EVERYTHING, SEARCHING]


def zips() -> dict[str, dict[str, bytes]]:
    """Archives of a class, which nbgrader does not take: what is in each beside an honest student's work."""
    return {
        "zip bomb": {f"bomb/{UNIT}/{NAME}": bytes(200 << 20)},
        "zip with paths that leave it": {
            f"{top}/{UNIT}/{NAME}": notebooks.as_bytes(notebooks.answered())
            for top in ("../evil", "/abs", "a/../..", "C:", "..\\evil")
        },
    }


def slug(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def graded_cells(notebook: Any) -> Any:
    """The notebook without the release's demo and train cells, whatever was done to their metadata."""
    if not isinstance(notebook, dict):
        return notebook
    left_out = [
        c["source"] for c in notebooks.released()["cells"] if {"demo", "train"} & {*c["metadata"].get("tags", ())}
    ]
    return {**notebook, "cells": [cell for cell in notebook["cells"] if cell["source"] not in left_out]}


def put(kind: Kind, submitted: Path, student: str) -> str:
    """Hands a case in; its digest, by which a record knows whether it is still about the same case."""
    folder = handed_in.hand_in(kind._replace(notebook=graded_cells(kind.notebook)), submitted, student)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(path.relative_to(folder).as_posix().encode())
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def digests() -> dict[str, str]:
    """The digest of each case as it is in the corpus now."""
    with tempfile.TemporaryDirectory() as folder:
        return {kind.name: put(kind, Path(folder), slug(kind.name)) for kind in cases()}


# --- a course for either side ---------------------------------------------------------------------------------------


def make_course(root: Path) -> Path:
    """A project whose only unit is the corpus's, released, its gradebook made, the neighbor's work handed in."""
    tiny_course.write_project(root)
    for place in ("exercises", "exercises/judges"):
        (root / "course_lib" / place / "tiny.py").unlink()
    for path in (TESTS / "grading" / "unit").rglob("*.py"):
        target = root / "course_lib" / "exercises" / path.relative_to(TESTS / "grading" / "unit")
        shutil.copyfile(path, target)
    shutil.rmtree(root / "solutions")
    blank = graded_cells(notebooks.released())
    path = root / "notebooks" / UNIT / NAME
    files.replace(path, notebooks.as_bytes(blank))
    fill_gradebook(root / "class" / "gradebook.db", path)
    compileall.compile_dir(root / "course_lib", quiet=1)  # once, and not in every kernel
    honest = notebooks.answered(f"{NEIGHBORS_LINE}\n{notebooks.RIGHT_DOUBLE}")
    put(Kind("", honest, handed_in.RIGHT), root / "class" / "submitted", NEIGHBOR)
    return root


def fill_gradebook(book: Path, released: Path) -> None:
    """nbgrader's gradebook with the released notebook in it, as `nbgrader generate_assignment` would leave it."""
    from nbgrader.api import Gradebook
    from nbgrader.preprocessors import ComputeChecksums, SaveCells

    book.parent.mkdir(parents=True)
    with tools_on_path():
        with Gradebook(f"sqlite:///{book}") as made:
            made.add_assignment(UNIT)
        page, _ = ComputeChecksums().preprocess(nbformat.read(released, as_version=4), {})
        about = {"notebook": UNIT, "assignment": UNIT, "db_url": f"sqlite:///{book}"}
        SaveCells().preprocess(page, {"nbgrader": about})


def hidden_numbers(secret: Path) -> list[str]:
    """The hidden inputs of `double` as they could be printed."""
    from course_lib.grading.outside.hidden_cases import under_test
    from course_lib.grading.outside.options import use_exercise_folders

    use_exercise_folders([str(TESTS / "grading" / "unit")])
    hidden = under_test("double", results.secret(secret)).cases
    return [f"{abs(value):.4f}"[:6] for case in hidden for value in case.inputs["x"].flatten().tolist()]


def leaks(text: str, hidden: Sequence[str] = ()) -> list[str]:
    """What of the hidden material stands in what a student gets back."""
    marks = {"reference": ["THE_REFERENCE_OF_DOUBLE"], "neighbor": [NEIGHBORS_LINE], "secret": [SECRET[:40]]}
    return [what for what, words in {**marks, "hidden input": hidden}.items() if any(word in text for word in words)]


def scores_of(book: Path, student: str) -> dict[str, float | None]:
    """The points that count in a gradebook, a person's included, by exercise; none where there is no grade."""
    found = {s.name.removeprefix("check_"): s.score for s in standings(book, student=student)}
    return {name: found[name] for name in POINTS if name in found}


def outcome(kind: Kind, scores: dict[str, float | None], neighbor: dict[str, float | None], graded: bool) -> str:
    """What happened to a case; see the top."""
    deserved = {"double": kind.double[1], "scale": kind.scale[1]}
    if not graded or any(scores.get(name) is None for name in POINTS):
        whole = all(neighbor.get(name) is not None for name in POINTS)
        return "ungraded" if whole else "aborted"
    if neighbor != POINTS:
        return "fooled" if neighbor else "aborted"
    differences = [float(scores[name] or 0) - deserved[name] for name in POINTS]
    if any(not abs(d) < 1e9 for d in differences):  # NaN as well
        return "fooled"
    if max(differences) > 0:
        return "not counted" if kind.disputed else "fooled"
    return "marked down" if min(differences) < 0 else "right"


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


# --- nbgrader's side ------------------------------------------------------------------------------------------------

INSIDE = rf"""
cp -r /template/. /course && cd /course || exit 9
timeout -k 5 {RUN_SECONDS} {{python}} -m nbgrader autograde {UNIT} --Execute.timeout={CELL_SECONDS} \
    --Execute.iopub_timeout={CELL_SECONDS} >log.txt 2>&1 </dev/null
echo $? >status.txt
if [ -n "$FEEDBACK" ]; then
    timeout -k 5 60 {{python}} -m nbgrader generate_feedback {UNIT} >>log.txt 2>&1 </dev/null
fi
sleep {{linger}}
kill -9 -1 2>/dev/null
exec tar -cf - --ignore-failed-read log.txt status.txt class
"""


def container(template: Path, *, linger: float = 0.0, with_feedback: bool = False) -> list[str]:
    """The command that runs nbgrader on a copy of a course, where nothing of this machine can be written to."""
    limits = [f"--data={MEMORY}", f"--fsize={FILE_SIZE}", "--core=0", "--nofile=1024"]
    command = [shutil.which("prlimit") or "prlimit", *limits, shutil.which("bwrap") or "bwrap"]
    root = os.geteuid() == 0
    # Root inside is the same root outside, whom no limit on processes holds: it becomes somebody else instead.
    command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += (
        ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user"]
    )
    command += ["--die-with-parent", "--new-session", "--clearenv", "--proc", "/proc", "--dev", "/dev"]
    for path in ("/tmp", "/course"):
        command += ["--perms", "1777", "--size", str(DISK), "--tmpfs", path]
    for folder in (sys.base_prefix, sys.prefix):  # what bwrap makes by itself, only root may enter
        for parent in reversed(Path(folder).parents[:-1]):
            command += ["--perms", "0755", "--dir", str(parent)]
    command += kernelspec.environment_bound()
    command += ["--ro-bind", str(template), "/template", "--perms", "1777", "--dir", kernelspec.HOME]
    variables = {
        **kernelspec.VARIABLES, "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "PYTHONPATH": "/course",
        "COURSE_ROOT": "/course", "FEEDBACK": "yes" if with_feedback else "",
    }  # fmt: skip
    del variables["PYTHONSAFEPATH"]  # stock kernels find modules beside the notebook
    for name, value in variables.items():
        command += ["--setenv", name, value]
    inside = INSIDE.format(python=sys.executable, linger=linger)
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"] if root else []
    return [*command, "--", *become, "prlimit", f"--nproc={PROCESSES}", "bash", "-c", inside]


def by_nbgrader(kind: Kind, course: Path, folder: Path) -> dict[str, Any]:
    """One case and its neighbor through stock nbgrader."""
    template = folder / "template"
    shutil.copytree(course, template, symlinks=True)
    student = kind.student or "ada"
    put(kind, template / "class" / "submitted", student)
    if os.geteuid() == 0:
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    script = kind.name == "rich output with a script"
    linger = 3.0 if "later" in kind.name else 0.0
    command = container(template, linger=linger, with_feedback=script)
    began = time.perf_counter()
    ended, archive = "", folder / "out.tar"
    with open(archive, "wb") as out, open(folder / "err.txt", "wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            process.wait(RUN_SECONDS + 90)
        except subprocess.TimeoutExpired:
            ended = "timed out"
        finally:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - began
    back = folder / "back"
    back.mkdir()
    with contextlib.suppress(tarfile.TarError, OSError), tarfile.open(archive) as opened:
        opened.extractall(back, filter="data")
    status = (back / "status.txt").read_text().strip() if (back / "status.txt").is_file() else ""
    if status in ("124", "137"):
        ended = "timed out"
    theirs = back / "class"
    scores: dict[str, float | None] = {}
    neighbor: dict[str, float | None] = {}
    if (theirs / "gradebook.db").is_file():
        with contextlib.suppress(GradebookError):
            scores = scores_of(theirs / "gradebook.db", student)
            neighbor = scores_of(theirs / "gradebook.db", NEIGHBOR)
    page = theirs / "autograded" / student / UNIT / NAME
    if not (theirs / "autograded" / NEIGHBOR / UNIT / NAME).is_file():
        neighbor = {}
    text = page.read_text(errors="replace") if page.is_file() else ""
    pages = "\n".join(p.read_text(errors="replace") for p in theirs.glob(f"feedback/{student}/**/*.html"))
    log = (back / "log.txt").read_text(errors="replace") if (back / "log.txt").is_file() else ""
    return {
        "scores": {name: _plain(value) for name, value in scores.items()},
        "neighbor": {name: _plain(value) for name, value in neighbor.items()},
        "outcome": ended or outcome(kind, scores, neighbor, page.is_file()),
        "status": status,
        "seconds": round(seconds, 1),
        "leaked": leaks(text + pages),
        "script": "<script>alert(1)" in pages,
        "said": last_error(log),
    }


def alone(kind: Kind, template: Path) -> dict[str, Any]:
    """`by_nbgrader` in a folder of its own; once more when the neighbor suffered, which may be the machine's fault."""
    for _ in range(2):
        with scratch() as folder:
            said = by_nbgrader(kind, template, folder)
        if said["neighbor"] == POINTS:
            break
    return said


def _plain(value: float | None) -> float | str | None:
    """A score as JSON can hold it."""
    return value if value is None or abs(value) < 1e9 else str(value)


def last_error(log: str) -> str:
    """The last error that nbgrader's log names."""
    lines = [
        line.strip() for line in log.splitlines() if re.match(r"\s*[\w.]*(Error|Exception|Interrupt|TooNew)\w*:?", line)
    ]
    return lines[-1][:160] if lines else ""


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
    """The record as text: a row a case, then the figures of both sides."""

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


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="grading-corpus-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


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
                "container": f"bubblewrap, {MEMORY >> 30} GB of data, {PROCESSES} processes, {FILE_SIZE >> 20} MB a "
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
