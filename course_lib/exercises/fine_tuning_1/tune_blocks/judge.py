"""`tune_blocks`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any


def _blocks_of(t: Trial) -> int:
    return t.case.inputs["blocks"]


def reference(blocks, head, chosen):
    head.requires_grad_(True)
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(number in chosen)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def _chosen(case: Case, call: str) -> set[int]:
    return {int(number) for number in case.inputs[call].split()}


def _open_after(t: Trial, call: str) -> set[int]:
    return {i for i in range(_blocks_of(t)) if t.seen[f"open_{call}"][f"block {i}"] == "open"}


def _tunes_as(trials: Sequence[Trial], rule: Callable[[int, int, set[int]], bool]) -> bool:
    """Whether after each call just the blocks with `rule(number, blocks, chosen)` are open."""
    return in_all(
        trials,
        lambda t: all(
            _open_after(t, call) == {i for i in range(_blocks_of(t)) if rule(i, _blocks_of(t), _chosen(t.case, call))}
            for call in ("first", "then")
        ),
    )


def _blocks_are(key: str, wanted: bool, word: str) -> Callable[[Case, Values], bool]:
    """Whether, after the first call, the chosen blocks (or the others) are all as the word says."""
    return lambda case, seen: all(
        seen[f"{key}_first"][f"block {i}"] == word
        for i in range(case.inputs["blocks"])
        if (i in _chosen(case, "first")) == wanted
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "chosen",
            1,
            "the chosen blocks are open and move in training, frozen blocks above them or not",
            lambda c, s, e: (
                _blocks_are("open", True, "open")(c, s)
                and _blocks_are("moved", True, "moved")(c, s)
                and s["open_first"]["head"] == "open"
            ),
        ),
        Criterion(
            "others",
            1,
            "all other blocks are closed and stay",
            lambda c, s, e: _blocks_are("open", False, "closed")(c, s) and _blocks_are("moved", False, "stayed")(c, s),
        ),
        Criterion(
            "list",
            1,
            "the list holds the parameters of the head and of the chosen blocks, each once",
            lambda c, s, e: s["returned_first"] == e["returned_first"],
        ),
        Criterion(
            "again",
            1,
            "another choice on the same network opens what was closed and closes what was open",
            lambda c, s, e: all(close(s[key], e[key]) for key in ("open_then", "moved_then", "returned_then")),
        ),
    ),
    predicates={
        "listed_but_not_frozen": lambda trials: (
            _tunes_as(trials, lambda i, n, chosen: True)
            and in_all(trials, lambda t: t.seen["returned_first"] == t.expected["returned_first"])
        ),
        "chosen_ones_frozen": lambda trials: _tunes_as(trials, lambda i, n, chosen: i not in chosen),
        "counted_from_one": lambda trials: (
            _tunes_as(trials, lambda i, n, chosen: i + 1 in chosen)
            or _tunes_as(trials, lambda i, n, chosen: i in {(number - 1) % n for number in chosen})
        ),
        "all_returned": lambda trials: (
            _tunes_as(trials, lambda i, n, chosen: i in chosen)
            and in_any(
                trials,
                lambda t: (
                    isinstance(t.seen["returned_first"], list)
                    and bool(set(t.seen["returned_first"]) - set(t.expected["returned_first"]))
                ),
            )
        ),
        "head_left_out": lambda trials: in_all(
            trials, lambda t: not any(name.startswith("head") for name in t.seen["returned_first"])
        ),
    },
)
