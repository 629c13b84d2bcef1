"""`lp_ft`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import in_all, in_any


def reference(model, batches, *, head_epochs, head_lr, epochs, lr):
    stages = ((model.head.parameters(), head_epochs, head_lr), (model.parameters(), epochs, lr))
    for stage, (parameters, count, rate) in enumerate(stages):
        model.train()
        model.encoder.train(stage == 1)
        model.encoder.requires_grad_(stage == 1)
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for _ in range(count):
            for images, labels in batches:
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def _kept(trial: Trial, part: str, one: str, other: str) -> bool:
    return close(trial.seen[f"{part}_{one}"], trial.seen[f"{part}_{other}"], rtol=1e-9, atol=1e-9)


def _jumps(case: Case, seen: Values) -> bool:
    """Whether the head is, at the switch, farther from where it was a batch earlier than a step of Adam can take it."""
    step = (seen["head_at_the_switch"] - seen["head_one_batch_earlier"]).abs().max()
    return float(step) > 4 * case.inputs["head_lr"]


def _encoder_never_moved(trials: Sequence[Trial]) -> bool:
    return in_all(
        trials,
        lambda t: (
            _kept(t, "encoder", "before", "at_the_switch")
            and _kept(t, "encoder", "before", "after")
            and not _kept(t, "head", "before", "after")
        ),
    )


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "weights_still",
            1,
            "while the head learns, the encoder's weights stay as they are",
            lambda c, s, e: (
                close(s["encoder_at_the_switch"], s["encoder_before"], rtol=1e-9, atol=1e-9)
                and not close(s["head_at_the_switch"], s["head_before"])
            ),
        ),
        Criterion(
            "statistics_still",
            1,
            "so do the running statistics of its batch normalization",
            lambda c, s, e: (
                close(s["statistics_at_the_switch"], s["statistics_before"], rtol=1e-9, atol=1e-9)
                and not close(s["head_at_the_switch"], s["head_before"])
            ),
        ),
        Criterion(
            "head_kept",
            1,
            "the second stage begins with the head that the first has taught",
            lambda c, s, e: (
                close(s["head_at_the_switch"], e["head_at_the_switch"], rtol=1e-3, atol=1e-4)
                or (not close(s["head_at_the_switch"], s["head_before"]) and not _jumps(c, s))
            ),
        ),
        Criterion(
            "everything_learns",
            1,
            "in the second stage encoder, statistics and head all change",
            lambda c, s, e: all(
                not close(s[f"{part}_after"], s[f"{part}_at_the_switch"], rtol=1e-9, atol=1e-9)
                for part in ("encoder", "statistics", "head")
            ),
        ),
        Criterion(
            "rates",
            1,
            "each stage runs its own number of epochs with Adam at its own rate",
            lambda c, s, e: all(
                close(s[f"{part}_after"], e[f"{part}_after"], rtol=1e-3, atol=1e-4) for part in ("encoder", "head")
            ),
        ),
    ),
    predicates={
        "encoder_learns_from_the_start": lambda trials: in_any(
            trials, lambda t: not _kept(t, "encoder", "before", "at_the_switch")
        ),
        "never_unfrozen": lambda trials: (
            _encoder_never_moved(trials) and in_any(trials, lambda t: 0 in t.seen["weights_require_grad_after"])
        ),
        "optimizer_of_the_head_kept": _encoder_never_moved,
        "head_left_behind": lambda trials: in_all(
            trials,
            lambda t: _kept(t, "head", "at_the_switch", "after") and not _kept(t, "encoder", "at_the_switch", "after"),
        ),
        "head_drawn_again": lambda trials: in_all(
            trials, lambda t: not _kept(t, "head", "before", "at_the_switch") and _jumps(t.case, t.seen)
        ),
    },
)
