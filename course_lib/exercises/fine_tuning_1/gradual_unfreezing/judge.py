"""`gradual_unfreezing`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable

from course_lib.exercises.contract import Case, Criterion, Judge, Values, close


def reference(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def _top(case: Case, stage: int) -> list[str]:
    return [f"block {i}" for i in range(case.inputs["blocks"]) if i >= case.inputs["blocks"] - stage]


def _below(case: Case, stage: int) -> list[str]:
    return [f"block {i}" for i in range(case.inputs["blocks"]) if i < case.inputs["blocks"] - stage]


def _at_every_stage(key: str, parts: Callable[[Case, int], list[str]], word: str) -> Callable[..., bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        stages = range(case.inputs["blocks"] + 1)
        return all(seen[key][stage][part] == word for stage in stages for part in parts(case, stage))

    return passes


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
)
