"""What does `course grade` cost per submission, beside `nbgrader autograde`? Does it grow with the class alone?

    python -m tests.benchmarks.grading_speed                        # both parts; a thousand take a while
    python -m tests.benchmarks.grading_speed --part nbgrader
    python -m tests.benchmarks.grading_speed --part class --sizes 100 1000

Part "nbgrader": the same notebooks of unit 01, without their demo and train cells, go through both graders in one run,
two workers each. The overhead a submission is

    (CPU seconds, or wall seconds, of a whole run over N submissions - what the students' own code needs) / N

where everything counts that the command starts, from Python itself to the gradebook and the last page, and what the
code needs is measured in one plain, warm process, for the cells that this side executes: setup, answers and one look
at each answer for nbgrader; answers and one look for us, who run setup once per class. That we look again, to see
whether an answer is the same each time, is overhead of ours, and so is all judging on both sides. Wall seconds of two
workers have half of the students' seconds taken off.

nbgrader grades one submission at a time, so its two workers are two processes with a course folder each, and its cost
is linear but for its start, which a second run that finds everything graded measures: a few submissions are enough, and
its start is counted as if it had graded as many as we do. What we start is paid once per class; it is the part of two
runs, a small one and a large one, that does not grow. Figures are given with and without either side's start.

Part "class": classes of a hundred and of a thousand, the same shares of right, partial, wrong and hostile notebooks in
both. Memory is the sum of the resident sizes of all processes, a page that forks share counted in each; `own` counts a
shared page once (PSS).

CPU seconds are those of a control group where one can be made, which misses nothing. Elsewhere they are those of the
processes that were waited for, and what is killed together with its namespace is missing: `cpu_from` says which.
Figures go to results/benchmarks/grading_speed.json. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import nbformat

from course_lib import exercises as registry
from course_lib import files, settings
from course_lib.authoring import release
from course_lib.desk import demo_answers, demo_class
from course_lib.exercises import judge_of
from course_lib.notebooks import CellKind, grade_id_of, kind_of, notebook_text

from .grading_costs import environment, measured

UNIT = "01_autoencoders"
WORKERS = 2
GOAL_RATIO, AIM_RATIO = 30.0, 60.0  # nbgrader's overhead a submission, as a multiple of ours
GOAL_GROWTH = 10.5  # time of ten times the class, as a multiple
SECONDS = 2  # the CPU limit of an exercise for the generated class

HOSTILE = {
    "infinite loop": "while True: pass",
    "sys.exit": "import sys; sys.exit(0)",
    "os._exit": "import os; os._exit(0)",
    "SIGKILL": "import os; os.kill(os.getpid(), 9)",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "memory": "return torch.empty(10**11)",
    "score": "return {'score': 1000, 'verdict': 'right'}",
    "judge": "from course_lib.exercises.autoencoders.corrupt import judge; return judge.judge",
}
# A class of a hundred; a larger one repeats it.
SHARES = [("right", 60), ("partial", 22), ("wrong", 6), ("blank", 4), *((name, 1) for name in HOSTILE)]


def course_grade(folder: Path, *options: str) -> dict[str, Any]:
    """`course grade` on folder/submitted, its gradebook too; what it cost, and its results."""
    command = [sys.executable, "-m", "course_lib", "grade", "submitted", "--unit", UNIT, "--workers", str(WORKERS)]
    command += ["--release", "release", "--out", "results", *options]
    cost: dict[str, Any] = measured([(command, folder)], okay=(0, 1))
    cost["results"] = [json.loads(path.read_bytes()) for path in sorted(folder.glob("results/**/*.json"))]
    if not cost["results"]:
        raise click.ClickException((folder / "log.txt").read_text(errors="replace")[-2000:])
    return cost


# --- notebooks ------------------------------------------------------------------------------------------------------


class Material:
    """The unit's released notebook, and the answers that submissions are made of."""

    def __init__(self) -> None:
        root = settings.root()
        solved = release.solution_notebooks(UNIT, root=root)
        (self.name,) = solved
        with tempfile.TemporaryDirectory() as folder:
            released = release.build_unit(UNIT, root=root, gradebook=Path(folder, "gradebook.db"))
        self.blank = nbformat.reads(released[f"{self.name}.ipynb"].decode(), as_version=4)
        self.right = {
            cell.metadata.nbgrader.grade_id: cell.source
            for cell in solved[self.name].cells
            if kind_of(cell) == CellKind.ANSWER
        }
        exercises = {e.name: e for e in registry.exercises_of(UNIT)}
        self.points = {name: float(exercises[name].points) for name in self.right}
        self.wrong = {
            name: [demo_answers.as_answer(mistake.fn, name) for mistake in judge_of(exercises[name]).mistakes]
            for name in self.right
        }

    def notebook(self, answers: dict[str, str], *, only_graded: bool = False) -> bytes:
        """A submission with these answers; `only_graded` leaves demo and train cells out."""
        notebook = copy.deepcopy(self.blank)
        for cell in notebook.cells:
            cell.source = answers.get(grade_id_of(cell), cell.source)
        if only_graded:
            notebook.cells = [cell for cell in notebook.cells if kind_of(cell) not in (CellKind.DEMO, CellKind.TRAIN)]
        return notebook_text(notebook).encode()

    def answers(self, kind: str, index: int) -> dict[str, str]:
        """The answers of the index-th student, who is of this kind."""
        if kind == "right":
            return dict(self.right)
        if kind == "blank":
            return {}
        if kind == "partial":  # two in three right, the others known mistakes; the last ones perhaps not reached
            reached = [*self.right][: 3 + index % (len(self.right) - 2)]
            made = {}
            for k, name in enumerate(reached):
                wrong = self.wrong[name]
                made[name] = wrong[index % len(wrong)] if (index + k) % 3 == 2 else self.right[name]
            return made
        if kind == "wrong":
            return {name: wrong[index % len(wrong)] for name, wrong in self.wrong.items()}
        answers = dict(self.right)  # a hostile answer stands beside right ones
        answers[self.target(kind)] = demo_answers.PREAMBLE + self.hostile(kind)
        return answers

    @staticmethod
    def target(kind: str) -> str:
        """The exercise that a hostile answer is put in."""
        return "reconstruction_loss"

    def hostile(self, kind: str) -> str:
        return f"def {self.target(kind)}(*args, **options):\n    {HOSTILE[kind]}\n"

    def put(self, folder: Path, student: str, data: bytes) -> None:
        files.replace(folder / "submitted" / student / UNIT / f"{self.name}.ipynb", data)

    def release_into(self, folder: Path) -> None:
        """A course folder: the released notebook, nbgrader's settings and its gradebook."""
        folder.mkdir(parents=True)
        root = settings.root()
        for name, data in release.build_unit(UNIT, root=root, gradebook=folder / "gradebook.db").items():
            files.replace(folder / "release" / UNIT / name, data)
        (folder / "nbgrader_config.py").write_text(demo_class.CONFIG.format(root=str(root)), encoding="utf-8")


# --- the two parts --------------------------------------------------------------------------------------------------

_CELLS = """
import json, sys, time
given = json.load(open(sys.argv[1]))
from IPython.core.interactiveshell import InteractiveShell
from course_lib import exercises
from course_lib.exercises.observing import observe_all
shell = InteractiveShell.instance()
chosen = [(e, list(e.cases(1 << 31))) for e in exercises.exercises_of(given["unit"])]
parts = {"setup": 0.0, "answers": 0.0, "looks": 0.0}
for cells in given["notebooks"]:
    def run(kind):
        for source in cells[kind]:
            shell.run_cell(source, silent=True)
    def look():
        for exercise, cases in chosen:
            if callable(shell.user_ns.get(exercise.name)):
                observe_all(exercise, shell.user_ns[exercise.name], cases)
    best = {}
    for turn in range(3):
        for part, body in (("setup", lambda: run("setup")), ("answers", lambda: run("answer")), ("looks", look)):
            start = time.process_time()
            body()
            spent = time.process_time() - start
            best[part] = spent if turn < 2 else min(best[part], spent)  # the first turn is not warm
    for part in parts:
        parts[part] += best[part] / len(given["notebooks"])
print("COMPUTE", json.dumps(parts))
"""


def compute_of(notebooks: Sequence[bytes], folder: Path) -> dict[str, float]:
    """Mean CPU seconds of a notebook's setup cells, its answer cells, and one look at each answer, all warm."""
    folder.mkdir()
    sources = []
    for data in notebooks:
        cells = nbformat.reads(data.decode(), as_version=4).cells
        sources.append({k: [c.source for c in cells if kind_of(c) == k] for k in ("setup", "answer")})
    (folder / "cells.json").write_text(json.dumps({"unit": UNIT, "notebooks": sources}), encoding="utf-8")
    measured([([sys.executable, "-c", _CELLS, "cells.json"], folder)])
    return json.loads((folder / "log.txt").read_text(errors="replace").split("COMPUTE ")[-1].splitlines()[0])


def beside_nbgrader(material: Material, folder: Path, *, each: int, copies: int) -> dict[str, Any]:
    """Costs per submission on both sides: `each` per worker through nbgrader, `copies` times as many by us."""
    kinds = ["right", "partial", "right", "wrong"]
    notebooks = [
        material.notebook(material.answers(kinds[i % len(kinds)], i), only_graded=True) for i in range(WORKERS * each)
    ]
    compute = compute_of(notebooks, folder / "cells")

    def ours(name: str, count: int) -> dict[str, Any]:
        place = folder / name
        material.release_into(place)
        for i in range(count):
            material.put(place, f"s{i:05d}", notebooks[i % len(notebooks)])
        return course_grade(place)

    count, few = copies * len(notebooks), len(notebooks)
    small = ours("small", few)
    places = [folder / f"nbgrader{k}" for k in range(WORKERS)]
    for k, place in enumerate(places):
        material.release_into(place)
        for i in range(k, len(notebooks), WORKERS):
            material.put(place, f"s{i:05d}", notebooks[i])
    command = [sys.executable, "-m", "nbgrader", "autograde", UNIT]
    whole = measured([(command, place) for place in places])
    again = measured([(command, place) for place in places])
    graded = sum(1 for place in places for _ in place.glob(f"autograded/*/{UNIT}/*.ipynb"))
    if graded != len(notebooks):
        raise click.ClickException(f"nbgrader graded {graded} of {len(notebooks)} submissions; see {folder}")
    large = ours("large", count)
    rows = {}
    for unit in ("cpu_s", "wall_s"):
        share = 1 if unit == "cpu_s" else WORKERS
        us = (large[unit] - small[unit]) / (count - few)
        start = small[unit] - few * us
        them = (whole[unit] - again[unit]) / len(notebooks)
        looked = (compute["answers"] + compute["looks"]) / share
        executed = looked + compute["setup"] / share
        ours_whole, theirs_whole = large[unit] / count, them + again[unit] / count
        rows[unit] = {
            "course_grade": {"whole": ours_whole, "growing": us, "students": looked, "overhead": ours_whole - looked},
            "nbgrader": {"whole": theirs_whole, "growing": them, "students": executed,
                         "overhead": theirs_whole - executed},
            "start": {"course_grade": start, "nbgrader": again[unit]},
            "ratio": (theirs_whole - executed) / (ours_whole - looked),
            "ratio_without_start": (them - executed) / (us - looked),
        }  # fmt: skip
    return {
        "submissions": {"nbgrader": len(notebooks), "course_grade": count},
        "workers": WORKERS,
        "compute": compute,
        "a_submission": rows,
        "scores": sorted({r["score"] for r in large["results"]}),
    }


def hand_in_class(material: Material, place: Path, size: int) -> dict[str, str]:
    """Makes the course folder of a generated class; the kind of each student."""
    kinds = [kind for kind, share in SHARES for _ in range(share)]
    material.release_into(place)
    who = {}
    for i in range(size):
        who[f"s{i:05d}"] = kind = kinds[i * 37 % 100]  # 37 and 100 have no common factor: every kind, well mixed
        material.put(place, f"s{i:05d}", material.notebook(material.answers(kind, i % 100)))
    return who


def whole_class(material: Material, folder: Path, size: int) -> dict[str, Any]:
    """Grades a generated class; what it cost, and whether each kind came out as it must."""
    place = folder / f"class{size}"
    who = hand_in_class(material, place, size)
    cost = course_grade(place, "--cpu-seconds", str(SECONDS))
    results = {result["student"]: result for result in cost.pop("results")}
    total = sum(material.points.values())
    marked_down, undeserved = 0, 0
    for student, kind in who.items():
        score = results[student]["score"] if student in results else -1.0
        due = total - (material.points[material.target(kind)] if kind in HOSTILE else 0.0)
        if kind == "right" or kind in HOSTILE:
            marked_down += score < due
            undeserved += kind in HOSTILE and score > due
        elif kind == "blank":
            undeserved += score > 0
    return {
        "size": size,
        **{name: round(value, 2) for name, value in cost.items()},
        "verdicts": dict(sorted(Counter(result["verdict"] for result in results.values()).items())),
        "ungraded": size - len(results),
        "right_work_marked_down": marked_down,
        "undeserved": undeserved,
    }


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="grading-speed-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def save(file: Path, part: dict[str, Any]) -> None:
    """Adds a part to the record; another part's figures, from another run, stay with their own environment."""
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    held.update(json.loads(json.dumps(part), parse_float=lambda text: round(float(text), 4)))
    files.replace(file, json.dumps(held, indent=1, sort_keys=True) + "\n")


@click.command()
@click.option("--part", "parts", type=click.Choice(["nbgrader", "class"]), multiple=True, help="Default: both.")
@click.option("--each", default=2, show_default=True, help="Submissions through each of nbgrader's two processes.")
@click.option("--copies", default=25, show_default=True, help="How often we grade each of those.")
@click.option("--sizes", default=("100 1000",), multiple=True, show_default=True, help="Sizes of the class.")
@click.option("--out", type=click.Path(path_type=Path), help="The record; default: results/benchmarks/.")
def main(parts: tuple[str, ...], each: int, copies: int, sizes: tuple[str, ...], out: Path | None) -> None:
    """Measures `course grade` beside nbgrader and on a large class; writes a record and prints a table."""
    file = out or settings.root() / "results" / "benchmarks" / "grading_speed.json"
    missed: list[str] = []
    rows: list[dict[str, Any]] = []
    material = Material()
    with scratch() as folder:
        if not parts or "nbgrader" in parts:
            row = {"environment": environment(), **beside_nbgrader(material, folder, each=each, copies=copies)}
            save(file, {"beside_nbgrader": {**row, "goal": GOAL_RATIO, "aim": AIM_RATIO}})
            counts = row["submissions"]
            click.echo(
                f"{counts['nbgrader']} submissions by nbgrader, {counts['course_grade']} by course grade, 2 workers"
            )
            click.echo(f"{'a submission':14} {'nbgrader':>10} {'course':>10} {'ratio':>8} {'no start':>9}")
            for name, values in row["a_submission"].items():
                click.echo(
                    f"{name:14} {values['nbgrader']['overhead']:10.3f} {values['course_grade']['overhead']:10.4f} "
                    f"{values['ratio']:7.1f}x {values['ratio_without_start']:8.1f}x"
                )
            ratio = row["a_submission"]["cpu_s"]["ratio"]
            if ratio < GOAL_RATIO:
                missed.append(f"ratio {ratio:.1f} of {GOAL_RATIO:.0f}")
        if not parts or "class" in parts:
            chosen = [int(text) for group in sizes for text in group.split()]
            click.echo(f"\n{'class':>6} {'wall s':>8} {'CPU s':>8} {'RSS MiB':>8} {'own MiB':>8}  verdicts")
            for size in chosen:
                row = whole_class(material, folder, size)
                rows.append(row)
                record: dict[str, Any] = {
                    "environment": environment(), "workers": WORKERS, "rows": rows, "shares": dict(SHARES),
                    "cpu_seconds_of_an_exercise": SECONDS, "goal": GOAL_GROWTH,
                }  # fmt: skip
                if len(rows) > 1:
                    for unit in ("wall_s", "cpu_s"):
                        record[f"growth_{unit}"] = round(rows[-1][unit] / rows[0][unit], 2)
                    record["growth_of_size"] = rows[-1]["size"] / rows[0]["size"]
                else:
                    record["growth"] = "not measured: one size only"
                save(file, {"class": record})
                click.echo(
                    f"{size:6} {row['wall_s']:8.1f} {row['cpu_s']:8.1f} {row['rss_mib']:8.0f} {row['own_mib']:8.0f}  "
                    f"{row['verdicts']}"
                )
                for what in ("ungraded", "right_work_marked_down", "undeserved"):
                    if row[what]:
                        missed.append(f"{what}: {row[what]} of {size}")
            if len(rows) > 1:
                growth, allowed = record["growth_wall_s"], GOAL_GROWTH / 10 * record["growth_of_size"]
                click.echo(f"time({chosen[-1]}) / time({chosen[0]}): {growth} (CPU: {record['growth_cpu_s']})")
                if growth > allowed:
                    missed.append(f"growth {growth} of {allowed}")
    if not missed and len(rows) < 2:
        click.echo("the growth with the class was not measured: it takes two sizes")
    click.echo(f"\ngoals: {'missed: ' + '; '.join(missed) if missed else 'met'}\nwritten to {file}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
