"""Is a class graded to the same bytes by any number of workers, in shards, on a Dask cluster, and when it is killed?

    python -m tests.benchmarks.grading_same                # a class of a hundred: about ten minutes
    python -m tests.benchmarks.grading_same --size 1000

The class is the one of grading_speed, hostile notebooks included; every run is `course grade` as a person starts it.
Each of five runs is killed (SIGKILL) at a moment drawn from the time of a whole run, and then started again to its end.
The tests hold the same for six notebooks. Figures go to results/benchmarks/grading_same.json.
Exits with 1 when a result differs or is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from course_lib import settings
from course_lib.grading.outside import results
from course_lib.notebooks import tools_on_path
from tests.benchmarks import grading_costs, grading_speed
from tests.benchmarks.grading_speed import SECONDS, UNIT

KILLS = 5


class Course:
    """A course folder with a class handed in, and `course grade` on it."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def start(self, out: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "course_lib", "grade", "submitted", "--unit", UNIT, "--release", "release"]
        command += ["--no-gradebook", "--cpu-seconds", str(SECONDS), "--out", f"{out}/results", *options]
        with open(self.place / f"{out.partition('/')[0]}.log", "ab") as log:
            variables = grading_costs.surroundings(self.place)
            return subprocess.Popen(command, cwd=self.place, env=variables, stdout=log, stderr=log)

    def run(self, out: str, *options: str) -> float:
        """Grades to the end; the seconds it took.

        Raises:
            ClickException: the grader failed.
        """
        began = time.monotonic()
        status = self.start(out, *options).wait()
        if status not in (0, 1):  # 1: some notebook could not be graded as it should
            raise click.ClickException(f"{out}: course grade ended with {status}; see {self.place / out}.log")
        return time.monotonic() - began

    def digests(self, out: str) -> dict[str, str]:
        folder = self.place / out / "results"
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*.json"))
        }


@contextlib.contextmanager
def two_dask_workers(course: Course) -> Iterator[str]:
    """The address of a scheduler with two worker processes on this machine."""
    import distributed

    os.environ.update(grading_costs.surroundings(course.place))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, worker_dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def compare(course: Course, seed: int) -> dict[str, Any]:
    """All ways of grading the class; for each the seconds it took and how many results differ from the first's."""
    seconds = {"1 worker": course.run("whole", "--workers", "1")}
    whole = course.digests("whole")
    differ: dict[str, int] = {}
    found: dict[str, Any] = {"results": len(whole), "seconds": seconds, "differ": differ, "results_at_the_kill": []}

    def check(name: str, out: str, spent: float) -> None:
        seconds[name] = round(spent, 1)
        there = course.digests(out)
        differ[name] = sum(there.get(key) != whole.get(key) for key in {*there, *whole})
        click.echo(f"{name:12} {seconds[name]:8.1f} s   different results: {differ[name]} of {len(whole)}")

    for workers in (2, 4):
        check(f"{workers} workers", f"workers-{workers}", course.run(f"workers-{workers}", "--workers", str(workers)))
    shards = [f"shard-{k}" for k in (1, 2, 3)]
    spent = sum(course.run(name, "--workers", "2", "--shard", f"{name[-1]}/3") for name in shards)
    results.merge([course.place / name / "results" for name in shards], course.place / "merged" / "results")
    check("3 shards", "merged", spent)
    draws = random.Random(seed)
    for number in range(1, KILLS + 1):
        name = f"killed-{number}"
        grader = course.start(name, "--workers", "2")
        time.sleep(draws.uniform(0.05, 0.95) * seconds["2 workers"])
        grader.send_signal(signal.SIGKILL)
        grader.wait()
        found["results_at_the_kill"].append(len(course.digests(name)))
        check(f"kill {number}", name, course.run(name, "--workers", "2"))
        shutil.rmtree(course.place / name)
    try:
        with two_dask_workers(course) as address:
            check("Dask", "dask", course.run("dask", "--scheduler", address))
    except ImportError:
        click.echo("Dask: not installed (pip install -e '.[dask]')")
    return found


@click.command()
@click.option("--size", default=100, show_default=True, help="Students in the class.")
@click.option("--seed", default=0, show_default=True, help="What the moments of the kills are drawn from.")
@click.option("--out", type=click.Path(path_type=Path), help="The record; default: results/benchmarks/.")
def main(size: int, seed: int, out: Path | None) -> None:
    """Grades one class in every way there is and compares the bytes of all results."""
    file = out or settings.root() / "results" / "benchmarks" / "grading_same.json"
    with grading_speed.scratch() as folder, tools_on_path():
        grading_speed.hand_in_class(grading_speed.Material(), folder / "class", size)
        found = compare(Course(folder / "class"), seed)
    grading_speed.save(file, {"environment": grading_costs.environment(), "size": size, "seed": seed, **found})
    click.echo(f"results there at the kills: {found['results_at_the_kill']}\nwritten to {file}")
    sys.exit(1 if any(found["differ"].values()) or found["results"] != size else 0)


if __name__ == "__main__":
    main()
