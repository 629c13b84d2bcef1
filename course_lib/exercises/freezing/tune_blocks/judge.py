"""`tune_blocks`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.exercises.asking import as_expected, everywhere, in_all, in_any, somewhere
from course_lib.exercises.contract import Criterion, Judge, Trial, Values
from course_lib.exercises.freezing.freeze.judge import reference as right_freeze
from course_lib.exercises.freezing.trainable_parameters.judge import reference as right_parameters


def building_on(freeze=right_freeze, trainable_parameters=right_parameters):
    def tune_blocks(blocks, head, chosen):
        parameters = trainable_parameters(freeze(head, frozen=False))
        for number, block in enumerate(blocks):
            freeze(block, frozen=number not in chosen)
            parameters += trainable_parameters(block)
        return parameters

    return tune_blocks


def _blocks_are(opened: str, moved: str, seen: Values, expected: Values) -> bool:
    """Whether after the first call the blocks that should be "open" (or "closed") are so, and "moved" (or "stayed")."""
    parts = [part for part, word in expected["open_first"].items() if word == opened and part.startswith("block")]
    return all((seen["open_first"][part], seen["moved_first"][part]) == (opened, moved) for part in parts)


def _opens(trials: Sequence[Trial], rule: Callable[[set[int], int], set[int]]) -> bool:
    """Whether after each call just the blocks `rule(chosen, number of blocks)` are open."""

    def follows(t: Trial, call: str) -> bool:
        *blocks, _ = t.seen[f"open_{call}"].values()  # the head comes last
        is_open = {i for i, word in enumerate(blocks) if word == "open"}
        return rule(set(t.case.inputs[call]), len(blocks)) == is_open

    return in_all(trials, lambda t: follows(t, "first") and follows(t, "then"))


def _still_closed(t: Trial) -> bool:
    """Whether the second call opens no block that the first has closed."""
    *blocks, _ = t.seen["open_then"].values()
    chosen_twice = {*t.case.inputs["first"]} & {*t.case.inputs["then"]}
    is_open = {i for i, word in enumerate(blocks) if word == "open"}
    return t.seen["open_first"] == t.expected["open_first"] and is_open == chosen_twice


_same_list = everywhere(lambda t: t.seen["returned_first"] == t.expected["returned_first"])
_flags_right = everywhere(lambda t: all(t.seen[key] == t.expected[key] for key in ("open_first", "open_then")))
_longer_list = somewhere(lambda t: set(t.seen["returned_first"]) > set(t.expected["returned_first"]))

judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion(
            "chosen",
            1,
            "the chosen blocks are open and move in training, frozen blocks above them or not",
            lambda c, s, e: _blocks_are("open", "moved", s, e) and [*s["open_first"].values()][-1] == "open",
        ),
        Criterion(
            "others", 1, "all other blocks are closed and stay", lambda c, s, e: _blocks_are("closed", "stayed", s, e)
        ),
        Criterion(
            "list",
            1,
            "the list holds the parameters of the head and of the chosen blocks, each once",
            as_expected("returned_first"),
        ),
        Criterion(
            "again",
            1,
            "another choice on the same network opens what was closed, train mode included, and closes what was open",
            as_expected("open_then", "in_eval_then", "moved_then", "returned_then"),
        ),
    ),
    predicates={
        "listed_but_not_frozen": lambda trials: (
            _same_list(trials) and _opens([t for t in trials if t.case.name != "two_apart"], lambda _, n: set(range(n)))
        ),
        "chosen_ones_frozen": lambda trials: _opens(trials, lambda chosen, n: set(range(n)) - chosen),
        "counted_from_one": lambda trials: (
            _opens(trials, lambda chosen, n: {i - 1 for i in chosen} - {-1})
            or _opens(trials, lambda chosen, n: {(i - 1) % n for i in chosen})
        ),
        "closed_for_good": everywhere(_still_closed),
        "chosen_in_eval_mode": lambda trials: (
            _flags_right(trials) and in_any(trials, lambda t: bool(t.seen["in_eval_first"] or t.seen["in_eval_then"]))
        ),
        "all_returned": lambda trials: _longer_list(trials) and _opens(trials, lambda chosen, _: chosen),
        "head_left_out": everywhere(lambda t: not any(".head." in name for name in t.seen["returned_first"])),
    },
)
