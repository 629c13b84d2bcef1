"""`lp_ft`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_lib.exercises.asking import everywhere, of_this_network, ran, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close


def reference(model, batches, *, head_epochs, head_lr, epochs, lr):
    stages = ((model.head.parameters(), head_epochs, head_lr), (model.parameters(), epochs, lr))
    for stage, (parameters, count, rate) in enumerate(stages):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for images, labels in (batch for _ in range(count) for batch in batches):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()


def _kept(seen: Values, part: str, one: str, other: str) -> bool:
    return close(seen[f"{part}_{one}"], seen[f"{part}_{other}"], rtol=1e-9, atol=1e-9)


def _near(seen: Values, expected: Values, *keys: str) -> bool:
    return all(close(seen[key], expected[key], rtol=1e-3, atol=1e-4) for key in keys)


def _still(part: str) -> Passes:
    """Whether a part stays as it is while the head learns."""
    return lambda case, seen, expected: _kept(seen, part, *_FIRST) and not _kept(seen, "head", *_FIRST)


def _jumps(case: Case, seen: Values) -> bool:
    """Whether the head is, at the switch, farther from where it was a batch earlier than a step of Adam can take it."""
    step = (seen["head_at_the_switch"] - seen["head_one_batch_earlier"]).abs().max()
    return float(step) > 4 * case.inputs["head_lr"]


def _head_kept(case: Case, seen: Values, expected: Values) -> bool:
    return _near(seen, expected, "head_at_the_switch") or not (_kept(seen, "head", *_FIRST) or _jumps(case, seen))


def _everything_learns(case: Case, seen: Values, expected: Values) -> bool:
    return not any(_kept(seen, part, "at_the_switch", "after") for part in ("encoder", "statistics", "head"))


def _rates(case: Case, seen: Values, expected: Values) -> bool:
    return _near(seen, expected, "encoder_after", "head_after")


def _moved(t: Trial, since: str) -> set[str]:
    """The parts that have moved in the end since then."""
    return {part for part in ("encoder", "statistics", "head") if not _kept(t.seen, part, since, "after")}


def _trains_in_none(t: Trial) -> bool:
    """Whether there is a stage of no epochs, and more batches are fetched than is right."""
    return t.case.name in ("head_only", "no_head_epochs") and t.seen["batches_fetched"] > t.expected["batches_fetched"]


_FIRST = ("before", "at_the_switch")
_BOTH = ("plain", "ragged_last_batch", "came_frozen", "float64")


def _stages(name: str, title: str, passes: Passes) -> Criterion:
    return Criterion(name, 1, title, of_this_network(passes, "encoder_before", "head_before"), _BOTH)


judge = Judge(
    reference=reference,
    criteria=(
        _stages("weights_still", "while the head learns, the encoder's weights stay as they are", _still("encoder")),
        _stages("statistics_still", "while the head learns, the running statistics stay too", _still("statistics")),
        _stages("head_kept", "the second stage begins with the head that the first has taught", _head_kept),
        _stages("everything_learns", "in the second stage encoder, statistics and head all change", _everything_learns),
        Criterion("rates", 1, "each stage runs its own number of epochs with Adam at its own rate", _rates),
    ),
    predicates={
        "one_pass_each": everywhere(  # in cases of 3 epochs in all
            lambda t: 3 * t.seen["batches_fetched"] == 2 * t.expected["batches_fetched"], *_BOTH[:2], "float64"
        ),
        "encoder_learns_from_the_start": somewhere(lambda t: not _kept(t.seen, "encoder", *_FIRST)),
        "optimizer_of_the_head_kept": everywhere(lambda t: _moved(t, "before") - {"statistics"} == {"head"}, *_BOTH),
        "woken_by_train": somewhere(
            lambda t: _kept(t.seen, "encoder", *_FIRST) and not _kept(t.seen, "statistics", *_FIRST)
        ),
        "head_left_behind": everywhere(lambda t: _moved(t, "at_the_switch") - {"statistics"} == {"encoder"}, *_BOTH),
        "still_at_rest": everywhere(lambda t: _moved(t, "at_the_switch") - {"head"} == {"encoder"}, *_BOTH),
        "at_least_one_epoch": lambda trials: {_trains_in_none(t) for t in ran(trials) if not _rates(*t[:3])} == {True},
        "head_drawn_again": everywhere(lambda t: _jumps(t.case, t.seen), *_BOTH),
    },
)
