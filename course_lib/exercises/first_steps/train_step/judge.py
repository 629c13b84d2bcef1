"""`train_step`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import as_expected, everywhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.first_steps.train_step.exercise import STEPS

PLAIN = ("plain", "momentum", "double", "one_image")  # without batch normalization


def reference(model, images, labels, optimizer):
    """The cross-entropy written out."""
    model.train()
    model.zero_grad()
    log_probabilities = torch.log_softmax(model(images), dim=1)
    loss = -log_probabilities[torch.arange(len(labels), device=labels.device), labels].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


first_step, all_steps = as_expected("weights_after_one_step"), as_expected("weights_after_all_steps")


def loss_as_float(case: Case, seen: Values, expected: Values) -> bool:
    return type(seen["loss"]) is float and close(seen["loss"], expected["loss"])


def has_learned(seen: Values) -> bool:
    return not close(seen["weights_after_all_steps"], seen["weights_before"], rtol=1e-9, atol=1e-9)


def learns_in_train_mode(case: Case, seen: Values, expected: Values) -> bool:
    one_pass_each = seen["events"].split().count("forward") == STEPS
    return seen["mode_during"] == seen["mode_after"] == "train" and one_pass_each and has_learned(seen)


def steps_by_the_sum(t: Trial) -> bool:
    """Whether the first step is as many times too long as the batch has images."""
    count = len(t.case.inputs["images"]) // STEPS
    taken, right = (s["weights_after_one_step"] - s["weights_before"] for s in (t.seen, t.expected))
    return close(taken, count * right, rtol=1e-3)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("one_step", 1, "one call moves the weights by one step down the cross-entropy", first_step, PLAIN),
        Criterion(
            "every_step",
            1,
            "later calls make one step each, too: no gradient is left over from the step before",
            all_steps,
            (*PLAIN, "old_gradients"),
        ),
        Criterion("loss", 1, "the loss of the batch, before the step, as a Python float", loss_as_float, PLAIN),
        Criterion(
            "train_mode",
            1,
            "the network learns in train mode, with one forward pass in each call",
            learns_in_train_mode,
            form=True,
        ),
    ),
    predicates={  # t[:3] is what a criterion is asked: case, seen, expected
        "by_hand": everywhere(lambda t: "step" not in t.seen["events"] and has_learned(t.seen)),
        "sum_over_batch": everywhere(steps_by_the_sum, "plain", "momentum"),
        "no_zero_grad": everywhere(lambda t: first_step(*t[:3]) and not all_steps(*t[:3]), *PLAIN),
    },
)
