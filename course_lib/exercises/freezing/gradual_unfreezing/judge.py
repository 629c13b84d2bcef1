"""`gradual_unfreezing`: reference and criteria."""

from __future__ import annotations

from course_lib.exercises.asking import as_expected
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.freezing.freeze.judge import reference as right_freeze


def building_on(freeze=right_freeze):
    def gradual_unfreezing(blocks, optimizer, stage, *, lr):
        known = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for number, block in enumerate(blocks):
            is_open = number + stage >= len(blocks)
            freeze(block, frozen=not is_open)
            new = [p for p in block.parameters() if id(p) not in known]
            if is_open and new:
                optimizer.add_param_group({"params": new, "lr": lr})

    return gradual_unfreezing


def _blocks_are(word: str, seen: Values, expected: Values) -> bool:
    """Whether at every stage the blocks that should be "open", or "closed", are so."""
    stages = zip(seen["open"], expected["open"], strict=True)
    pairs = [(now[part], wanted[part]) for now, wanted in stages for part in wanted if part.startswith("block")]
    return all(now == word for now, wanted in pairs if wanted == word)


def _opened(case: Case, seen: Values, expected: Values) -> bool:
    closed_at_first = "open" not in [word for part, word in seen["open"][0].items() if part.startswith("block 0")]
    return _blocks_are("open", seen, expected) and closed_at_first and not any(seen["in_eval"])


def _rates(case: Case, seen: Values, expected: Values) -> bool:
    stages = zip(seen["rates"], expected["rates"], strict=True)
    return all(close(now.get(part), rate) for now, wanted in stages for part, rate in wanted.items())


judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion(
            "closed",
            1,
            "the blocks below the top `stage` are closed, at stage 0 all of them",
            lambda c, s, e: _blocks_are("closed", s, e),
        ),
        Criterion(
            "opened",
            1,
            "the top `stage` blocks are open, and follow `train()` again",
            _opened,
        ),
        Criterion(
            "handed_over",
            1,
            "the optimizer holds the head and the open blocks, each parameter once, and no others",
            as_expected("held"),
        ),
        Criterion("rates", 1, "a block that opens gets the rate `lr`, and the head keeps its own", _rates),
        Criterion(
            "learns",
            1,
            "in training, what is open moves and what is closed stays, and the head goes on as before",
            as_expected("moved", "state_of_head"),
        ),
    ),
)
