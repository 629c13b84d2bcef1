"""One part too much: it is named only where the code without it is right, and only in self-study."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.exercises import exercise_named
from course_lib.exercises.checking import check

SURE = 0.5


def accuracy_of_the_sure(logits, labels):
    confidence, best = logits.softmax(dim=1).max(dim=1)
    return ((best == labels) & (confidence > SURE)).float().mean().item()


def kl_in_bits(mu, logvar):
    divergence = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return divergence / math.log(2)


def variance_held_back(mu, logvar, *, generator):
    std = torch.exp(0.5 * logvar.clamp(-5.0, 5.0))
    return mu + std * torch.randn(mu.shape, generator=generator).to(mu)


@torch.no_grad()
def scores_held_back(model, images):
    mode = model.training
    model.eval()
    errors = ((model(images) - images) ** 2).clamp(max=0.01)
    model.train(mode)
    return errors.flatten(1).sum(dim=1)


def clipped(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize(
    ("name", "answer", "part", "line"),
    [
        ("accuracy", accuracy_of_the_sure, "& confidence > SURE", 2),
        ("kl_divergence", kl_in_bits, "/ math.log(2)", 2),
        ("reparameterize", variance_held_back, ".clamp(...)", 1),
        ("anomaly_score", scores_held_back, ".clamp(...)", 4),
        ("train_step", clipped, "torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)", 5),
    ],
)
def test_the_part_is_named_with_its_line(name, answer, part, line):
    result = check(exercise_named(name), answer, seconds_for_smallest=4)
    assert (result.state, result.mistake, result.message.id) == ("wrong", None, "contract.too_much"), result.as_json()
    first = inspect.unwrap(answer).__code__.co_firstlineno
    assert result.message.fields["part"] == part
    assert result.message.fields["line"] == first + line
    assert check(exercise_named(name), answer).message.id != "contract.too_much"


def never_right(logits, labels):
    return 0.9 * float((logits.argmax(1) == labels).double().mean()) + 0.01


def goes_on_for_ever(logits, labels):
    right, i = 0, 0
    while i < len(labels):
        right += int(logits[i].argmax() == labels[i]) / 3
        i += 1
    return right / len(labels)


def inside_a_function():
    scale = 2

    def halved(logits, labels):
        return float((logits.argmax(1) == labels).double().mean()) / scale

    return halved


@pytest.mark.parametrize("answer", [never_right, goes_on_for_ever, inside_a_function()])
def test_nothing_is_said_where_no_single_part_is_too_much_or_leaving_one_out_might_never_end(answer):
    result = check(exercise_named("accuracy"), answer, seconds_for_smallest=4)
    assert result.state == "wrong" and result.message.id != "contract.too_much", result.as_json()
