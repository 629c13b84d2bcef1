"""Reads `mistakes.md`: right answers in full, and every mistake as its sentence and a diff of a right answer.

    # Right answers

    ## by_product                      a name; the first one is what diffs edit if they name no other
    ```python
    def double(x):
        return 2 * x
    ```

    # Mistakes

    ## square                          a name, then the sentence that a learner reads
    You square `x`. Multiply it by 2.
    ```diff of by_product
    -    return 2 * x
    +    return x * x
    ```

A diff has one or more hunks. The lines of a hunk that begin with "-" or a space must stand in the answer exactly once,
one after the other; "+" lines take the place of the removed ones, or follow the kept ones. A hunk ends where an
unchanged or removed line follows an added one, or at a line "@@". A mistake that is another idea altogether is a
`python` block.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import itertools
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from course_lib.exercises.contract import Alternative, Judge, Mistake
from course_lib.exercises.observing import given_names

NAME = "mistakes.md"
RIGHT, MISTAKES = "Right answers", "Mistakes"


class AnswersError(ValueError):
    """A file of answers that cannot be used; the text begins with the file and the line."""


class Line(NamedTuple):
    """A line of the file and its number, counted from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Answer:
    """An answer as it is written down.

    Attributes:
        name: its heading.
        text: the sentence for the learner; empty for a right answer.
        source: the whole code, a diff applied.
        diff: the diff as it stands in the file; empty for an answer in full.
        line: of the heading, counted from 1.
    """

    name: str
    text: str
    source: str
    diff: str
    line: int


@dataclass(frozen=True)
class Answers:
    """All that is known to be right or wrong about an exercise, in the file's order."""

    path: Path
    right: tuple[Answer, ...]
    mistakes: tuple[Answer, ...]

    def function(self, answer: Answer, name: str) -> Callable[..., Any]:
        """The function or class called `name` in an answer, made by running its code as a notebook's cell would.

        Its source stays at hand for tracebacks and `inspect.getsource`.

        Raises:
            AnswersError: the code does not run, or defines no such name.
        """
        filename = f"{self.path}:{answer.name}"
        linecache.cache[filename] = (len(answer.source), None, answer.source.splitlines(keepends=True), filename)
        module = types.ModuleType(f"{self.path.parent.name}.{NAME.partition('.')[0]}.{answer.name}")
        module.__file__ = filename
        vars(module).update(given_names())
        sys.modules[module.__name__] = module  # where `inspect` looks for the source of a class
        try:
            exec(compile(answer.source, filename, "exec"), vars(module))
        except Exception as fault:
            raise AnswersError(f"{self.path}:{answer.line}: {answer.name} does not run: {fault!r}") from fault
        found: Callable[..., Any] | None = vars(module).get(name)
        if found is None or not callable(found):
            raise AnswersError(f"{self.path}:{answer.line}: {answer.name} defines no {name}.")
        return found


def read_answers(path: Path) -> Answers:
    """The answers in a file; in a student's copy of the course it is packed.

    Raises:
        FileNotFoundError: there is none.
        AnswersError: it does not follow the rules above; the text names file and line.
    """
    packed = path.with_name(f"{path.name}.gz")
    content = gzip.decompress(packed.read_bytes()) if packed.is_file() else path.read_bytes()
    return parse_answers(content.decode("utf-8"), path)


def answers_beside(judge: types.ModuleType) -> Answers:
    """The answers in the folder of a judge."""
    return read_answers(Path(str(judge.__file__)).with_name(NAME))


def judge_with(judge: Judge, answers: Answers, name: str) -> Judge:
    """A judge that knows its exercise's mistakes and other right answers.

    Raises:
        AnswersError: an answer does not run, or the judge has a predicate for a mistake that is not written down.
    """
    unknown = set(judge.predicates) - {mistake.name for mistake in answers.mistakes}
    if unknown:
        raise AnswersError(f"{answers.path}: the judge has a predicate for {', '.join(sorted(unknown))}, not in here.")
    mistakes = tuple(
        Mistake(answer.name, answers.function(answer, name), answer.text, judge.predicates.get(answer.name))
        for answer in answers.mistakes
    )
    alternatives = tuple(Alternative(answer.name, answers.function(answer, name)) for answer in answers.right)
    return dataclasses.replace(judge, mistakes=mistakes, alternatives=alternatives)


def known_answers(judge: str, name: str) -> Callable[[str], Callable[..., Any]]:
    """For a judge's own file: its exercise's answers by heading, as functions.

    Args:
        judge: `__file__` of the judge.
        name: what the learner writes.
    """

    @functools.cache
    def answers() -> Answers:
        return read_answers(Path(judge).with_name(NAME))

    @functools.cache
    def answer(heading: str) -> Callable[..., Any]:
        found = next(a for a in (*answers().right, *answers().mistakes) if a.name == heading)
        return answers().function(found, name)

    return answer


def parse_answers(text: str, path: Path) -> Answers:
    """As `read_answers`, of a text; `path` is what errors name."""
    found: dict[str, list[Answer]] = {RIGHT: [], MISTAKES: []}
    for part, heading, lines in _sections(text, path):
        words, info, block = _divided(lines, heading, path)
        kind, _, base = info.partition(" of ")
        if kind == "python" and not base:
            source, diff = "\n".join(line.text for line in block), ""
        elif kind == "diff" and part == MISTAKES:
            source = _edited(_base(found[RIGHT], base.strip(), heading, path).source, block, path)
            diff = "\n".join(line.text for line in block)
        else:
            raise AnswersError(
                f"{path}:{heading.number}: {heading.text} has a block {info!r}; expected python or diff."
            )
        if bool(words) != (part == MISTAKES):
            expected = "no sentence" if words else "a sentence for the learner before its code"
            raise AnswersError(f"{path}:{heading.number}: {heading.text} stands under {part!r}; expected {expected}.")
        if heading.text in (answer.name for answers in found.values() for answer in answers):
            raise AnswersError(f"{path}:{heading.number}: the name {heading.text} is used a second time.")
        found[part].append(Answer(heading.text, words, source + "\n", diff, heading.number))
    return Answers(path, tuple(found[RIGHT]), tuple(found[MISTAKES]))


def _sections(text: str, path: Path) -> Iterator[tuple[str, Line, list[Line]]]:
    """Part, heading and lines of each answer."""
    part, heading, lines, fenced = "", None, [], False
    for number, line in enumerate(text.splitlines(), start=1):
        fenced ^= line.startswith("```")
        level, _, title = line.partition(" ")
        if fenced or level not in ("#", "##"):
            lines.append(Line(number, line))
            continue
        if heading:
            yield part, heading, lines
        heading, lines = None, []
        if level == "#":
            part = title.strip()
            if part not in (RIGHT, MISTAKES):
                raise AnswersError(
                    f"{path}:{number}: there is no part {part!r}; the parts are {RIGHT!r} and {MISTAKES!r}."
                )
        elif part:
            heading = Line(number, title.strip())
        else:
            raise AnswersError(f"{path}:{number}: {title.strip()} stands before the heading '# {RIGHT}'.")
    if heading:
        yield part, heading, lines


def _divided(lines: Sequence[Line], heading: Line, path: Path) -> tuple[str, str, list[Line]]:
    """Sentence, kind of the block, and the block's lines of one answer."""
    fences = [at for at, line in enumerate(lines) if line.text.startswith("```")]
    if len(fences) != 2 or any(line.text.strip() for line in lines[fences[1] + 1 :]):
        raise AnswersError(f"{path}:{heading.number}: {heading.text} needs one block of code, and nothing after it.")
    words = " ".join(" ".join(line.text for line in lines[: fences[0]]).split())
    return words, lines[fences[0]].text.removeprefix("```").strip(), list(lines[fences[0] + 1 : fences[1]])


def _base(right: Sequence[Answer], name: str, heading: Line, path: Path) -> Answer:
    known = {answer.name: answer for answer in right}
    if not known or (name and name not in known):
        wanted, there = name or "the first right answer", ", ".join(known) or "none"
        raise AnswersError(f"{path}:{heading.number}: {heading.text} edits {wanted}; there is {there}.")
    return known[name] if name else right[0]


def _edited(source: str, diff: Sequence[Line], path: Path) -> str:
    """A right answer with the hunks of a diff put in."""
    lines = source.splitlines()
    places: list[tuple[int, int, list[str]]] = []
    for hunk in _hunks(diff, path):
        old = [line.text[1:] for line in hunk if line.text[:1] in ("-", " ")]
        new = [line.text[1:] for line in hunk if line.text[:1] in ("+", " ")]
        starts = [at for at in range(len(lines) - len(old) + 1) if lines[at : at + len(old)] == old]
        if not old or len(starts) != 1:
            how = "names no line of the answer" if not old else f"applies {len(starts)} times; once is expected"
            raise AnswersError(f"{path}:{hunk[0].number}: the diff from {hunk[0].text!r} on {how}.")
        places.append((starts[0], starts[0] + len(old), new))
    places.sort(key=lambda place: place[0])
    if any(before[1] > after[0] for before, after in itertools.pairwise(places)):
        raise AnswersError(f"{path}:{diff[0].number}: two hunks of the diff change the same line.")
    for start, end, new in reversed(places):
        lines[start:end] = new
    return "\n".join(lines)


def _hunks(diff: Sequence[Line], path: Path) -> Iterator[list[Line]]:
    hunk: list[Line] = []
    for line in diff:
        if not re.match(r"[-+ ]|@@$|$", line.text):
            raise AnswersError(f"{path}:{line.number}: {line.text!r} begins with none of '-', '+', a space and '@@'.")
        ends = line.text == "@@" or (hunk and hunk[-1].text[:1] == "+" and line.text[:1] != "+")
        if ends and hunk:
            yield hunk
            hunk = []
        if line.text != "@@":
            hunk.append(Line(line.number, line.text or " "))
    if hunk:
        yield hunk
