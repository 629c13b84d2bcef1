"""What instructors do besides grading, which is in course_lib/grading/: play a class, explain a grade."""

from __future__ import annotations

import sys

import click

from course_lib.desk.sources import only_with_sources, units_named


@click.command()
@click.argument("unit", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every unit through stock nbgrader too, and every exercise.")
def demo(unit: tuple[str, ...], everything: bool) -> None:
    """Play a small class from release to grades, in class/demo/ (all units, or those named).

    `course grade` grades every unit, stock nbgrader the first one; with --all every one, which takes some minutes.
    """
    only_with_sources()
    from course_lib.desk import demo_class

    sys.exit(demo_class.run(units=units_named(unit), everything=everything))


@click.command()
@click.argument("student")
@click.argument("exercise")
def explain(student: str, exercise: str) -> None:
    """Why a point was lost: what `course grade` found of STUDENT's EXERCISE, in the words of the card."""
    only_with_sources()
    from course_lib.grading.outside import explain as explaining

    click.echo(explaining.run(student, exercise))
