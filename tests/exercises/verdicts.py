"""The verdict on every known answer, as two tables that a change of the judges is compared with, row by row.

    python -m tests.exercises.verdicts               says which rows differ from the tables kept here
    python -m tests.exercises.verdicts --write       keeps what the judges say now
    python -m tests.exercises.verdicts -k freeze -k vae    only exercises with one of these words in their name

`verdicts.tsv` has a row for every known mistake, right answer, blank and junk answer and every seed: state, score, the
criteria that are met, and the mistake's name. `sentences.tsv` has what a learner reads, by message id, and the points.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

from course_lib.exercises import exercises, judge_of
from course_lib.exercises.contract import Exercise
from course_lib.exercises.judging import sentences_of
from tests.exercises.known import check

HERE = Path(__file__).resolve().parent
VERDICTS, SENTENCES = HERE / "verdicts.tsv", HERE / "sentences.tsv"
SEEDS = (0, 1, 20261121)
JUNK = {"None": lambda *a, **k: None, "0": lambda *a, **k: 0, "zeros": lambda *a, **k: torch.zeros(3)}


def known_answers(exercise: Any) -> Iterator[tuple[str, str, Any]]:
    """Kind, name and function of every answer whose verdict is known."""
    judge = judge_of(exercise)
    yield "right", "reference", judge.reference
    for alternative in judge.alternatives:
        yield "right", *alternative
    for mistake in judge.mistakes:
        yield "mistake", mistake.name, mistake.fn

    def blank(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"Exercise {exercise.number}: {exercise.name}")

    yield "blank", "blank", blank
    for name, fn in JUNK.items():
        yield "junk", name, fn


def verdict(exercise: Any, kind: str, fn: Any, seed: int) -> str:
    """State, score, criteria (1 for met) and the mistake's name; a right answer may be the library's own version."""
    result = check(exercise, fn, seed=seed, guard=kind != "right")
    met = "".join("1" if c.score else "0" for c in result.criteria)
    return "\t".join([result.state, f"{result.score:g}", met, result.mistake or "-"])


def is_meant(name: str, words: Sequence[str]) -> bool:
    """Whether an exercise's name has one of these words in it; every name where there are no words."""
    return not words or any(word in name for word in words)


def chosen(words: Sequence[str]) -> list[Exercise]:
    """The exercises that are meant.

    Raises:
        click.UsageError: no exercise has one of the words in its name.
    """
    for word in words:
        if not any(word in name for name in exercises()):
            raise click.UsageError(f"no exercise has {word!r} in its name. Give a part of one, such as 'freeze'.")
    return [exercise for exercise in exercises().values() if is_meant(exercise.name, words)]


def verdicts(meant: Iterable[Exercise]) -> dict[str, str]:
    """All rows of the first table by exercise, kind, name and seed."""
    rows = {}
    for exercise in tqdm(list(meant), unit="exercise"):
        for kind, name, fn in known_answers(exercise):
            for seed in SEEDS:
                key = f"{exercise.unit}\t{exercise.name}\t{kind}\t{name}\t{seed}"
                rows[key] = verdict(exercise, kind, fn, seed)
    return rows


def sentences(meant: Iterable[Exercise]) -> dict[str, str]:
    """All rows of the second table: numbers and points, then every sentence as JSON by its message id."""
    rows = {}
    for exercise in meant:
        judge = judge_of(exercise)
        points = [exercise.number, exercise.points, exercise.minutes, exercise.difficulty, exercise.signature]
        rows[f"{exercise.name}"] = json.dumps(points)
        rows |= {f"{exercise.name}.criterion.{c.name}.points": json.dumps(c.points) for c in judge.criteria}
        rows |= {key: json.dumps(text, ensure_ascii=False) for key, text in sentences_of(exercise, judge).items()}
    return rows


def read(path: Path, words: Sequence[str] = ()) -> dict[str, str]:
    """A table as it is kept; the last four columns of verdicts, the last one of sentences, are what a row says."""
    columns = 5 if path == VERDICTS else 1
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("\t")
        name = parts[1] if path == VERDICTS else parts[0].partition(".")[0]
        if is_meant(name, words):
            rows["\t".join(parts[:columns])] = "\t".join(parts[columns:])
    return rows


@click.command(help=__doc__)
@click.option("--write", is_flag=True, help="Keep what the judges say now.")
@click.option("-k", "words", multiple=True, help="Only exercises with this in their name; may be given several times.")
def main(write: bool, words: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    different, meant = 0, chosen(words)
    for path, now in ((SENTENCES, sentences(meant)), (VERDICTS, verdicts(meant))):
        before = read(path, words) if path.is_file() else {}
        for key in [*before, *(key for key in now if key not in before)]:
            if before.get(key) != now.get(key):
                different += 1
                click.echo(f"{key}\n  - {before.get(key, '(no such row)')}\n  + {now.get(key, '(gone)')}")
        if write:
            kept = {**(read(path) if path.is_file() and words else {}), **now}
            text = "".join(f"{key}\t{row}\n" for key, row in kept.items() if key in now or key not in before)
            path.write_text(text, encoding="utf-8")
        click.echo(f"{path.name}: {len(now)} rows")
    click.echo(f"{different} rows differ")
    raise SystemExit(1 if different and not write else 0)


if __name__ == "__main__":
    main()
