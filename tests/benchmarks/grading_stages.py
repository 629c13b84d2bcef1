"""Where does the time of `course grade` go? CPU milliseconds per submission, by stage.

    python -m tests.benchmarks.grading_stages                    # 40 submissions, one worker, in this process
    python -m tests.benchmarks.grading_stages --size 100 --profile judge     # and the functions of one stage

The submissions are those of grading_speed beside nbgrader: right, partial, right, wrong. Everything runs in this
process and in what it starts, one after another, so the CPU seconds between two moments belong to one stage. `own` is
this process (messages, records, pages), `others` are what it started: the judge in the stage "judge", else the
sandboxed ones. A process that is still ending counts for the stage after it. Each stage's seconds are its own: what it
calls that is a stage too is taken off. Of a class, a run over a few is taken off, so that no start is counted.

Figures go to results/benchmarks/grading_stages.json. A control group has to be had, since most of these seconds are
spent in processes that are killed and never waited for.
"""

from __future__ import annotations

import contextlib
import cProfile
import functools
import os
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import click

from course_lib import settings
from tests.benchmarks import grading_costs, grading_speed
from tests.benchmarks.grading_speed import UNIT, Material, scratch

KINDS = ("right", "partial", "right", "wrong")
FEW = 4  # submissions of the run that is taken off


class Stages:
    """CPU seconds by stage: a stack, since a stage may call another one.

    Attributes:
        own: seconds of this process, by stage.
        inside: seconds of all others that were started, by stage.
        calls: how often a stage was entered.
    """

    def __init__(self, group: Path) -> None:
        self._group = group
        self._stack = ["rest"]
        self.profiles: dict[str, cProfile.Profile] = {}
        self.clear()

    def clear(self) -> None:
        self.own: dict[str, float] = defaultdict(float)
        self.inside: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._last = self._now()

    def _now(self) -> tuple[float, float]:
        return time.process_time(), grading_costs.cpu_of(self._group)

    def _settle(self) -> None:
        now = self._now()
        own = now[0] - self._last[0]
        self.own[self._stack[-1]] += own
        self.inside[self._stack[-1]] += max(now[1] - self._last[1] - own, 0.0)
        self._last = now

    def become(self, stage: str) -> None:
        """The stage at work is another one from now on."""
        self._settle()
        self._stack[-1] = stage
        self.calls[stage] += 1

    @contextlib.contextmanager
    def of(self, stage: str) -> Iterator[None]:
        self._settle()
        self._stack.append(stage)
        self.calls[stage] += 1
        try:
            with self.profiles.get(stage, contextlib.nullcontext()):
                yield
        finally:
            self._settle()
            self._stack.pop()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, as a stage."""

        @functools.wraps(function)
        def stands_for(*args: Any, **kwargs: Any) -> Any:
            with self.of(stage):
                return function(*args, **kwargs)

        return stands_for


@contextlib.contextmanager
def staged(stages: Stages) -> Iterator[None]:
    """While open, the grader's functions tell when they begin and end."""
    from course_lib.grading.outside import (
        finding,
        grade,
        gradebook,
        hidden_cases,
        judges,
        pages,
        pool,
        results,
        sessions,
    )

    report, load = sessions.Session._report, sessions.Session.load

    def load_in_stages(self: Any, *args: Any) -> Any:
        self.begun = False
        with stages.of("start: forks and namespaces"):
            return load(self, *args)

    def report_in_stages(self: Any, *args: Any) -> Any:
        told = report(self, *args)
        if not self.begun:  # the first report says that the first cell begins
            self.begun = True
            stages.become("cells")
        return told

    look, grading = hidden_cases.ExerciseUnderTest, grade._Grading
    places: list[tuple[Any, str, str]] = [
        (finding, "find", "find and read"),
        (pool, "keys_of", "keys"),
        (sessions.Session, "__init__", "start: forks and namespaces"),
        (sessions.Session, "close", "end: what is left is killed"),
        (sessions.Observer, "end", "end: what is left is killed"),
        (grade, "parse", "parse"),
        (grading, "_together", "look: all exercises"),
        (look, "same_again", "look: the same again"),
        (grading, "_together_again", "look: the others again"),
        (grading, "_alone", "look: one alone"),
        (judges.Judges, "judged", "judge"),
        (results, "write", "result files"),
        (pages, "page_of", "pages"),
        (pages, "page_text", "pages"),
        (gradebook, "record", "gradebook"),
    ]
    with contextlib.ExitStack() as stack:
        for owner, name, stage in places:
            stack.enter_context(mock.patch.object(owner, name, stages.timed(stage, getattr(owner, name))))
        stack.enter_context(mock.patch.object(sessions.Session, "load", load_in_stages))
        stack.enter_context(mock.patch.object(sessions.Session, "_report", report_in_stages))
        yield


def grade_class(material: Material, place: Path, size: int) -> None:
    """Grades a class in this process, gradebook and pages too."""
    from course_lib.grading.outside.command import Choices, run

    material.release_into(place)
    for index in range(size):
        number = index % len(KINDS)  # the same four notebooks again and again, as in grading_speed
        answers = material.answers(KINDS[number], number)
        material.put(place, f"s{index:05d}", material.notebook(answers, only_graded=True))
    choices = Choices(units=(UNIT,), workers=1, release=place / "release", out=place / "results", gradebook=True)
    run(place / "submitted", choices)


@click.command()
@click.option("--size", default=40, show_default=True, help="Submissions, beside the few that are taken off.")
@click.option("--profile", "profiled", multiple=True, help="Print the costliest functions of a stage, by its name.")
@click.option("--out", type=click.Path(path_type=Path), help="The record; default: results/benchmarks/.")
def main(size: int, profiled: tuple[str, ...], out: Path | None) -> None:
    """Grades a class in this process and prints where its CPU seconds went."""
    file = out or settings.root() / "results" / "benchmarks" / "grading_stages.json"
    material = Material()
    with scratch() as folder, grading_costs.group_of_processes() as (group, enter):
        os.environ.update(grading_costs.surroundings(folder))
        enter()
        stages = Stages(group)
        with staged(stages):
            grade_class(material, folder / "first", FEW)  # loads what this process keeps, the judges' values too
            stages.clear()
            grade_class(material, folder / "few", FEW)
            few = {name: (stages.own[name], stages.inside[name]) for name in {*stages.own, *stages.inside}}
            stages.clear()
            stages.profiles = {name: cProfile.Profile() for name in profiled}
            grade_class(material, folder / "many", FEW + size)
    rows = {}
    for name in {*stages.own, *stages.inside}:
        own, inside = few.get(name, (0.0, 0.0))
        rows[name] = {
            "own_ms": (stages.own[name] - own) / size * 1000,
            "inside_ms": (stages.inside[name] - inside) / size * 1000,
            "calls": stages.calls[name] / (FEW + size),
        }
    rows = dict(sorted(rows.items(), key=lambda item: -item[1]["own_ms"] - item[1]["inside_ms"]))
    click.echo(f"{'CPU ms per submission':32} {'own':>8} {'others':>8} {'calls':>7}")
    for name, row in rows.items():
        click.echo(f"{name:32} {row['own_ms']:8.2f} {row['inside_ms']:8.2f} {row['calls']:7.1f}")
    own, inside = (sum(row[part] for row in rows.values()) for part in ("own_ms", "inside_ms"))
    click.echo(f"{'all':32} {own:8.2f} {inside:8.2f}")
    for name, profile in stages.profiles.items():
        click.echo(f"\n{name}")
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(45)
    if not profiled:  # a profile costs time itself
        grading_speed.save(file, {"environment": grading_costs.environment(), "size": size, "stages": rows})
        click.echo(f"written to {file}")


if __name__ == "__main__":
    main()
