"""Does a mistake cost points twice? Exercises whose solution calls an earlier exercise's function, with that one wrong.

    python -m tests.benchmarks.charged_twice
    python -m tests.benchmarks.charged_twice -k fine_tune

For each such pair the later solution is checked as it stands in the notebook, once with each known mistake of the
earlier exercise under its name, as in the notebook of a learner who has made it. Prints how many points the later
exercise then has, though its own answer is right.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from course_lib.exercises import exercise_named, exercises, judge_of
from course_lib.exercises.answers import given_names
from course_lib.exercises.checking import check
from course_lib.models import eval_mode

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


def solutions() -> dict[str, str]:
    """The source of each exercise's solution, after the notebook's own functions that it calls, by its name."""
    known, found = exercises(), {}
    for path in sorted(SOLUTIONS.glob("*/*.py")):
        source = path.read_text(encoding="utf-8")
        parts = {node.name: ast.get_source_segment(source, node) or "" for node in ast.parse(source).body
                 if isinstance(node, (ast.FunctionDef, ast.ClassDef))}  # fmt: skip
        for name in parts.keys() & known.keys():
            called = {node.id for node in ast.walk(ast.parse(parts[name])) if isinstance(node, ast.Name)}
            helpers = [part for other, part in parts.items() if other in called - known.keys()]
            found[name] = "\n\n\n".join([*helpers, parts[name]])
    return found


def pairs(sources: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Each exercise whose solution names earlier exercises that it is not given as arguments, and all that it needs."""
    named = dict(_named(sources))

    def needed(name: str) -> set[str]:
        return set(named.get(name, ())).union(*map(needed, named.get(name, ())))

    for name in named:
        yield name, sorted(needed(name))


def _named(sources: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    for name, source in sources.items():
        tree = ast.parse(source)
        given = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments)
                 for argument in (*node.args, *node.kwonlyargs)}  # fmt: skip
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & sources.keys() - given - {name}
        if used:
            yield name, sorted(used)


def notebook_with(
    sources: dict[str, str], later: str, used: Sequence[str], earlier: str = "", mistake: str = ""
) -> dict[str, Any]:
    """The names of a notebook with an exercise's solution and those that it uses, one of them as a known mistake."""
    names: dict[str, Any] = {**given_names(), "copy": copy, "eval_mode": eval_mode}
    for name in (*used, later):
        exec(sources[name], names)
    if earlier:
        names[earlier] = next(each.fn for each in judge_of(exercise_named(earlier)).mistakes if each.name == mistake)
    return names


@click.command(help=__doc__)
@click.option("-k", "only", default="", help="Only later exercises with this in their name.")
def main(only: str) -> None:
    torch.set_num_threads(1)
    sources = solutions()
    charged = every = 0
    for later, used in pairs(sources):
        for earlier in used if only in later else ():
            for mistake in judge_of(exercise_named(earlier)).mistakes:
                names = notebook_with(sources, later, used, earlier, mistake.name)
                result = check(exercise_named(later), names[later])
                every, charged = every + 1, charged + (result.score < result.points)
                click.echo(f"{later}\t{earlier}\t{mistake.name}\t{result.score:g} of {result.points:g}")
    click.echo(f"{charged} of {every} mistakes cost points in the later exercise too")


if __name__ == "__main__":
    main()
