"""A unit of two small exercises that only the tests know, so that the contract is tested apart from the course."""

from __future__ import annotations

import sys

import torch

import course_lib.exercises as registry
from course_lib.exercises.contract import Alternative, Case, Criterion, Hints, Judge, Mistake, close
from course_lib.exercises.judging import register_sentences
from tests.exercises.shared import small_exercise

UNIT = "98_toy"


def _cases(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return [
        Case("plain", {"x": draw(4, 3)}),
        Case("one", {"x": draw(1, 3)}),
        Case("transposed", {"x": draw(5, 2).T}),
    ]


def double_reference(x):
    return 2 * x


def triples(x):
    return 3 * x


def squares(x):
    return x * x


def negates(x):
    return -2 * x


def adds(x):
    return x + x


def librarys_own(x):
    """Stands for a function of course_lib that already does what the exercise asks for."""
    return x.mul(2)


double = small_exercise(
    "double",
    cases=_cases,
    unit=UNIT,
    title="Twice the input",
    points=3,
    hints=Hints("Think of two.", "`torch.mul`", "return ... * x"),
    takeaway="Two times is one addition.",
    observe=lambda fn, case: {"doubled": fn(case.inputs["x"]), "x_after": case.inputs["x"]},
    library=(f"{__name__}.librarys_own",),
    number="98.1",
)

double_judge = Judge(
    reference=double_reference,
    criteria=(
        Criterion(
            "value", 2, "values are doubled", lambda c, s, e: close(s["doubled"], e["doubled"]), ("plain", "transposed")
        ),
        Criterion("one", 1, "a batch of one works", lambda c, s, e: close(s["doubled"], e["doubled"]), ("one",)),
    ),
    mistakes=(
        Mistake("triples", triples, "You tripled."),
        Mistake("squares", squares, "You squared <b>it</b> {of the input}."),
        Mistake(
            "negates",
            negates,
            "The sign is turned round in {count} inputs.",
            behaves=lambda trials: (
                all((t.seen["doubled"] * t.expected["doubled"]).le(0).all() for t in trials) and {"count": len(trials)}
            ),
        ),
    ),
    alternatives=(Alternative("adds", adds),),
)

register_sentences(double, double_judge)


def install(patch=setattr) -> None:
    """Adds the toy unit to the registry; a test passes `monkeypatch.setattr`, so that it is taken out again."""
    units, judge_of, judge_module = registry._registry(), registry.judge_of, registry.judge_module
    with_toy = {**units, UNIT: (double,)}
    patch(registry, "_registry", lambda: with_toy)

    def judge(exercise):
        return double_judge if exercise == double else judge_of(exercise)

    def module(exercise):
        return sys.modules[__name__] if exercise == double else judge_module(exercise)

    from course_lib.exercises import checking

    patch(checking, "judge_of", judge)
    patch(checking, "judge_module", module)
