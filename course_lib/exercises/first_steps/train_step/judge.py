"""`train_step`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.contract import Criterion, Judge, Trial, close
from course_lib.exercises.first_steps.judge import (
    evaluated_on_probabilities,
    in_all_of,
    is_float,
    trials_named,
    value_of,
)
from course_lib.exercises.judging import in_any


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


def _on_probabilities(t: Trial) -> bool:
    return close(value_of(t.seen["loss"]), evaluated_on_probabilities(t.case))


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
        "labels_first": lambda trials: (
            bool(trials) and all(t.error and "not implemented for 'Long'" in t.error.text for t in trials)
        ),
        "by_hand": lambda trials: in_all_of(
            trials, lambda t: "step" not in _events(t) and "backward" in _events(t) and not _stood_still(t)
        ),
        "backward_twice": lambda trials: in_all_of(
            trials, lambda t: _events(t).count("backward") == 2 * _events(t).count("step") > 0
        ),
        "no_backward": lambda trials: in_all_of(trials, lambda t: _stood_still(t) and "backward" not in _events(t)),
        "no_step": lambda trials: in_all_of(
            trials, lambda t: _stood_still(t) and "backward" in _events(t) and "step" not in _events(t)
        ),
        "step_before_backward": lambda trials: in_all_of(
            [t for t in trials if not t.error],  # batch normalization makes it stop with an error
            lambda t: (
                {"step", "backward"} <= set(_events(t)) and _events(t).index("step") < _events(t).index("backward")
            ),
        ),
        "cleared_before_step": lambda trials: in_all_of(
            trials, lambda t: _stood_still(t) and "backward step" in t.seen["events"]
        ),
        "softmax_before_loss": lambda trials: in_all_of(trials_named(trials, *_LINEAR_CASES), _on_probabilities),
        "raw_likelihood": lambda trials: in_any(trials, lambda t: value_of(t.seen["loss"]) < 0),
        "loss_times_the_batch": lambda trials: in_all_of(
            trials_named(trials, "plain", "momentum", "double"),
            lambda t: (
                _one_sided(t, "weights_after_all_steps")
                and close(value_of(t.seen["loss"]), t.expected["loss"] * len(t.case.inputs["labels"]) / 3)
            ),
        ),
        "sum_over_batch": lambda trials: in_all_of(
            trials_named(trials, "plain", "momentum", "double"),
            lambda t: close(value_of(t.seen["loss"]), t.expected["loss"] * len(t.case.inputs["labels"]) / 3),
        ),
        "no_zero_grad": lambda trials: (
            in_all_of(trials_named(trials, *_LINEAR_CASES), lambda t: _one_sided(t, "weights_after_one_step"))
            and in_all_of(trials_named(trials, *_LINEAR_CASES), lambda t: not _one_sided(t, "weights_after_all_steps"))
        ),
        "loss_after_step": lambda trials: (
            in_all_of(trials_named(trials, *_LINEAR_CASES), lambda t: _one_sided(t, "weights_after_all_steps"))
            and in_all_of(trials_named(trials, "plain"), lambda t: value_of(t.seen["loss"]) < t.expected["loss"])
        ),
        "tensor": lambda trials: in_all_of(trials, lambda t: isinstance(t.seen["loss"], Tensor)),
        "eval_mode": lambda trials: in_any(trials, lambda t: "eval" in t.seen["mode_during"]),
    },
)
