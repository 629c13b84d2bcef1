"""Unit 07's faulty loop, the independent try: each repair earns its own point, and what is left is rightly named."""

from __future__ import annotations

import textwrap

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check

UNIT = "07_pseudo_labels"


def faulty_source():
    """The cell as learners get it, its stub deleted."""
    from course_lib.authoring import answers, sources

    text = (sources.folder_of(UNIT) / "07a_self_training.py").read_text()
    head = text[text.index("def train_with_pseudo_labels(") :].partition("    ### BEGIN SOLUTION")[0]
    return head + textwrap.indent(answers.starting_code(text), "    ")


REPAIRS = {
    "trainable_only": [("SGD(model.parameters()", "SGD([p for p in model.parameters() if p.requires_grad]")],
    "at_rest": [
        ("        pseudo = model", "        model.eval()\n        pseudo = model"),
        ("        x, y = ", "        model.train()\n        x, y = "),
    ],
    "no_gradients": [
        ("pseudo = model(unlabeled).argmax(dim=1)", "with torch.no_grad(): pseudo = model(unlabeled).argmax(dim=1)")
    ],
    "image_keeps_label": [
        ("        x = x[torch.randperm(len(x), generator=generator).to(x.device)]\n", ""),
        (
            "        y = y[torch.randperm(len(y), generator=generator).to(y.device)]\n",
            "        order = torch.randperm(len(y), generator=generator)\n        x, y = x[order], y[order]\n",
        ),
    ],
    "schedule": [("        losses.append(", "        scheduler.step()\n        losses.append(")],
    "loss_of_an_epoch": [("running_loss / len(batches)", "running_loss / len(x)")],
}


def repaired(*names):
    source = faulty_source()
    for name in names:
        for before, after in REPAIRS[name]:
            assert before in source, before
            source = source.replace(before, after)
    scope = {"torch": torch, "F": F, "nn": nn}
    exec(source, scope)
    return scope["train_with_pseudo_labels"]


def met(result):
    return {c.name for c in result.criteria if c.score}


def test_the_loop_as_it_is_given_scores_nothing():
    result = check(exercise_named("train_with_pseudo_labels"), repaired(), seed=1)
    assert (result.state, result.score, result.mistake) == ("wrong", 0.0, "untouched")


@pytest.mark.parametrize("name", REPAIRS)
def test_each_repair_earns_its_own_point(name):
    exercise = exercise_named("train_with_pseudo_labels")
    alone = check(exercise, repaired(name), seed=1)
    assert met(alone) == {name} and alone.score == 1
    others = check(exercise, repaired(*(other for other in REPAIRS if other != name)), seed=1)
    assert met(others) == REPAIRS.keys() - {name} and others.score == 5
    assert others.mistake is not None


def altered(before, after):
    """The repaired loop with one more change."""
    source = faulty_source()
    for changes in REPAIRS.values():
        for old, new in changes:
            source = source.replace(old, new)
    assert before in source
    scope = {"torch": torch, "F": F, "nn": nn}
    exec(source.replace(before, after), scope)
    return scope["train_with_pseudo_labels"]


def test_an_order_from_elsewhere_and_a_last_batch_left_out_are_named():
    exercise = exercise_named("train_with_pseudo_labels")
    result = check(exercise, altered(", generator=generator)", ")"), seed=1)
    assert (result.mistake, result.score) == ("generator_ignored", 5)
    loop = "        for x_batch, y_batch in batches:\n"
    full_only = "            if len(x_batch) < batch_size:\n                continue\n"
    result = check(exercise, altered(loop, loop + full_only), seed=1)
    assert (result.mistake, result.score) == ("last_batch_left_out", 4)  # and the sum is divided by all images
    assert met(result) >= {"schedule"}


def test_all_repairs_together_are_right():
    assert check(exercise_named("train_with_pseudo_labels"), repaired(*REPAIRS), seed=1).state == "right"
