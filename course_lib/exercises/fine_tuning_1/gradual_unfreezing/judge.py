"""`gradual_unfreezing`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.fine_tuning_1.judge import blocks_of
from course_lib.exercises.judging import failed_with, in_all, in_any


def reference(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def _open_blocks(t: Trial, stage: int) -> set[int]:
    found = t.seen["open"][stage]
    return {i for i in range(blocks_of(t)) if found[f"block {i}"] == "open"}


def _opens_as(trials: Sequence[Trial], rule: Callable[[int, int, int], bool]) -> bool:
    """Whether at each stage just the blocks with `rule(number, blocks, stage)` are open."""
    return in_all(
        trials,
        lambda t: all(
            _open_blocks(t, stage) == {i for i in range(blocks_of(t)) if rule(i, blocks_of(t), stage)}
            for stage in range(blocks_of(t) + 1)
        ),
    )


def _right_blocks(trials: Sequence[Trial]) -> bool:
    return _opens_as(trials, lambda i, n, stage: i >= n - stage)


def _top(case: Case, stage: int) -> list[str]:
    return [f"block {i}" for i in range(case.inputs["blocks"]) if i >= case.inputs["blocks"] - stage]


def _below(case: Case, stage: int) -> list[str]:
    return [f"block {i}" for i in range(case.inputs["blocks"]) if i < case.inputs["blocks"] - stage]


def _at_every_stage(key: str, parts: Callable[[Case, int], list[str]], word: str) -> Callable[..., bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        stages = range(case.inputs["blocks"] + 1)
        return all(seen[key][stage][part] == word for stage in stages for part in parts(case, stage))

    return passes


def _some_held(t: Trial, stage: int, part: str) -> bool:
    return t.seen["held"][stage].get(part, 0) > 0


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "closed",
            1,
            "the blocks below the top `stage` are closed, at stage 0 all of them",
            _at_every_stage("open", _below, "closed"),
        ),
        Criterion(
            "opened",
            1,
            "the top `stage` blocks are open",
            lambda c, s, e: _at_every_stage("open", _top, "open")(c, s, e) and s["open"][0]["block 0"] == "closed",
        ),
        Criterion(
            "handed_over",
            1,
            "the optimizer holds the head and the open blocks, each parameter once, and no others",
            lambda c, s, e: s["held"] == e["held"],
        ),
        Criterion(
            "rates",
            1,
            "a block that opens gets the rate `lr`, and the head keeps its own",
            lambda c, s, e: (
                all(
                    part in s["rates"][k] and close(s["rates"][k][part], c.inputs["lr"])
                    for k in range(c.inputs["blocks"] + 1)
                    for part in _top(c, k)
                )
                and all(close(s["rates"][k].get("head"), e["rates"][k]["head"]) for k in range(c.inputs["blocks"] + 1))
            ),
        ),
        Criterion(
            "learns",
            1,
            "in training, what is open moves and what is closed stays, and the head goes on as before",
            lambda c, s, e: s["moved"] == e["moved"] and s["state_of_head"] == e["state_of_head"],
        ),
    ),
    predicates={
        "handed_over_again": lambda trials: failed_with(trials, "more than one parameter group"),
        "minus_zero": lambda trials: _opens_as(trials, lambda i, n, stage: stage == 0 or i >= n - stage),
        "lower_blocks_never_closed": lambda trials: _opens_as(trials, lambda i, n, stage: True),
        "from_the_bottom": lambda trials: _opens_as(trials, lambda i, n, stage: i < stage),
        "all_at_once": lambda trials: _opens_as(trials, lambda i, n, stage: stage > 0),
        "one_too_many": lambda trials: _opens_as(trials, lambda i, n, stage: i >= n - 1 - stage),
        "one_too_few": lambda trials: _opens_as(trials, lambda i, n, stage: i >= n + 1 - stage),
        "only_this_block": lambda trials: _opens_as(trials, lambda i, n, stage: i == n - stage),
        "handed_over_but_closed": lambda trials: _opens_as(trials, lambda i, n, stage: False),
        "head_dropped": lambda trials: in_any(trials, lambda t: not _some_held(t, blocks_of(t), "head")),
        "a_new_optimizer": lambda trials: (
            _right_blocks(trials)
            and in_any(
                trials,
                lambda t: (
                    t.seen["returned"][-1] in ("SGD", "Adam", "AdamW")
                    and not _some_held(t, blocks_of(t), f"block {blocks_of(t) - 1}")
                ),
            )
        ),
        "never_handed_over": lambda trials: (
            _right_blocks(trials)
            and in_any(trials, lambda t: not _some_held(t, blocks_of(t), f"block {blocks_of(t) - 1}"))
        ),
        "all_handed_over_at_once": lambda trials: (
            _right_blocks(trials) and in_any(trials, lambda t: _some_held(t, 0, "block 0"))
        ),
        "rate_of_all_changed": lambda trials: (
            _right_blocks(trials)
            and in_any(trials, lambda t: not close(t.seen["rates"][-1].get("head"), t.expected["rates"][-1]["head"]))
        ),
        "rate_of_the_head": lambda trials: (
            _right_blocks(trials)
            and in_any(
                trials,
                lambda t: close(t.seen["rates"][-1].get(f"block {blocks_of(t) - 1}"), t.expected["rates"][-1]["head"]),
            )
        ),
    },
)
