"""`train_step`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.first_steps.judge import in_all_of, is_float, trials_named


def reference(model, images, labels, optimizer):
    """The gradients by hand for cross-entropy: autograd of the negative log-likelihood written out."""
    model.train()
    log_probabilities = torch.log_softmax(model(images), dim=1)
    loss = -log_probabilities[torch.arange(len(labels), device=labels.device), labels].mean()
    for parameter in model.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return loss.item()


_LINEAR_CASES = ("plain", "momentum", "double", "one_image")


def _stood_still(t: Trial) -> bool:
    same = close(t.seen["weights_after_all_steps"], t.seen["weights_before"], rtol=1e-9, atol=1e-9)
    return same and "forward" in _events(t)


def _events(t: Trial) -> list[str]:
    return str(t.seen["events"]).split()


def _one_sided(t: Trial, key: str) -> bool:
    return close(t.seen[key], t.expected[key])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "one_step",
            1,
            "one call moves the weights by one step down the cross-entropy",
            passes=lambda case, seen, expected: close(
                seen["weights_after_one_step"], expected["weights_after_one_step"]
            ),
            cases=_LINEAR_CASES,
        ),
        Criterion(
            "every_step",
            1,
            "so do the calls after it: no gradient is left over from the step before",
            passes=lambda case, seen, expected: close(
                seen["weights_after_all_steps"], expected["weights_after_all_steps"]
            ),
            cases=_LINEAR_CASES,
        ),
        Criterion(
            "loss",
            1,
            "the loss of the batch, before the step, as a Python float",
            passes=lambda case, seen, expected: is_float(seen["loss"]) and close(seen["loss"], expected["loss"]),
            cases=_LINEAR_CASES,
        ),
        # Without a step that learns, being in train mode is worth nothing.
        Criterion(
            "train_mode",
            1,
            "the network learns in train mode",
            passes=lambda case, seen, expected: (
                seen["mode_during"] == "train"
                and len(seen["events"]) > 0
                and not close(seen["weights_after_all_steps"], seen["weights_before"], rtol=1e-9, atol=1e-9)
            ),
        ),
    ),
    predicates={
        "by_hand": lambda trials: in_all_of(
            trials, lambda t: "step" not in _events(t) and "backward" in _events(t) and not _stood_still(t)
        ),
        "no_zero_grad": lambda trials: (
            in_all_of(trials_named(trials, *_LINEAR_CASES), lambda t: _one_sided(t, "weights_after_one_step"))
            and in_all_of(trials_named(trials, *_LINEAR_CASES), lambda t: not _one_sided(t, "weights_after_all_steps"))
        ),
    },
)
