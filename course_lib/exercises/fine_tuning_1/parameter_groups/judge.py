"""`parameter_groups`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.judging import in_all, in_any


def reference(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def _part_of(name: str) -> str:
    pieces = name.split(".")
    return "head" if pieces[0] == "head" else f"block {pieces[1]}" if pieces[0] == "blocks" else name


def _rate_of(part: str) -> Callable[[Case, Values, Values], bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        def own(values: Values) -> dict[str, float]:
            return {n: rate for n, rate in values["rate"].items() if _part_of(n).startswith(part)}

        there = {name: rate for name, rate in own(expected).items() if name in own(seen)}
        return bool(there) and close({name: own(seen)[name] for name in there}, there)

    return passes


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("head", 1, "the head gets the full rate", _rate_of("head")),
        Criterion("falls", 1, "each block gets `decay` times the rate of the part above it", _rate_of("block")),
        Criterion(
            "complete",
            1,
            "all parameters that want a gradient are there, and no others",
            lambda c, s, e: s["rate"].keys() == e["rate"].keys(),
        ),
        Criterion(
            "groups",
            1,
            "a list of dictionaries with `params` and `lr`, the head's first, then downwards",
            lambda c, s, e: (
                s["type"] == "list"
                and all("lr" in keys for keys in s["keys"])
                and all(a >= b - 1e-9 for a, b in zip(s["rates_in_order"], s["rates_in_order"][1:]))
                and not any(s["weight_decays"])
            ),
        ),
    ),
    predicates={
        "key_that_nobody_reads": lambda trials: in_all(
            trials, lambda t: all("lr" not in keys for keys in t.seen["keys"])
        ),
        "frozen_ones_too": lambda trials: in_any(
            trials, lambda t: bool(t.seen["rate"].keys() - t.expected["rate"].keys())
        ),
    },
)
