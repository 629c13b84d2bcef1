"""Unit 00's exercises tried from their statements alone: unusual wrong answers are named, unusual right ones pass."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import step_that_clears

# --- accuracy


def accuracy_rounded_percent(logits, labels):
    return round(float((logits.argmax(1) == labels).sum()) / len(labels) * 100, 1)


def accuracy_as_double_tensor(logits, labels):
    return torch.eq(labels, logits.max(dim=1)[1]).double().mean()


def accuracy_one_minus(logits, labels):
    return 1 - sum(int(a == b) for a, b in zip(logits.argmax(-1).tolist(), labels.tolist())) / len(labels)


def accuracy_sum_only(logits, labels):
    return (logits.softmax(1).argmax(1) == labels).sum().item()


def accuracy_max_over_images(logits, labels):
    _, predicted = logits.max(0)
    return (predicted == labels).float().mean().item()


def accuracy_integer_division(logits, labels):
    return int((logits.argmax(1) == labels).float().mean())


# --- evaluate


def _measured(model, batches, *, combine):
    was_training = model.training
    model.eval()
    rows = []
    with torch.no_grad():
        for x, y in batches:
            z = model(x)
            rows.append((len(y), F.cross_entropy(z, y).item(), (z.argmax(1) == y).float().mean().item()))
    model.train(was_training)
    return combine(rows)


def evaluate_running_mean_of_batches(model, batches):
    def combine(rows):
        loss = accuracy = 0.0
        for i, (_, batch_loss, batch_accuracy) in enumerate(rows, 1):
            loss += (batch_loss - loss) / i
            accuracy += (batch_accuracy - accuracy) / i
        return {"loss": loss, "accuracy": accuracy}

    return _measured(model, batches, combine=combine)


def evaluate_full_batches_assumed(model, batches):
    def combine(rows):
        size = rows[0][0]
        loss = sum(row[1] * size for row in rows) / (size * len(rows))
        return {"loss": loss, "accuracy": sum(n * a for n, _, a in rows) / sum(n for n, *_ in rows)}

    return _measured(model, batches, combine=combine)


def evaluate_percent_of_all(model, batches):
    def combine(rows):
        count = sum(n for n, *_ in rows)
        correct = sum(n * a for n, _, a in rows)
        return {"loss": sum(n * b for n, b, _ in rows) / count, "accuracy": round(100.0 * correct / count, 1)}

    return _measured(model, batches, combine=combine)


def evaluate_train_mode_and_batch_means(model, batches):
    batches = list(batches)
    losses = [F.cross_entropy(model(x), y).item() for x, y in batches]
    accuracies = [(model(x).argmax(1) == y).float().mean().item() for x, y in batches]
    return {"loss": sum(losses) / len(losses), "accuracy": sum(accuracies) / len(accuracies)}


def evaluate_with_detached_graph(model, batches):
    was_training = model.training
    model.eval()
    pairs = [(model(x).detach(), y) for x, y in batches]
    model.train(was_training)
    z, y = torch.cat([z for z, _ in pairs]), torch.cat([y for _, y in pairs])
    return {"loss": F.cross_entropy(z, y).item(), "accuracy": (z.argmax(1) == y).float().mean().item()}


@torch.no_grad()
def evaluate_never_restored(model, batches):
    batches = list(batches)
    model.train(False)
    z, y = torch.cat([model(x) for x, _ in batches]), torch.cat([y for _, y in batches])
    return {"loss": float(F.cross_entropy(z, y)), "accuracy": float((z.argmax(1) == y).float().mean())}


@torch.no_grad()
def evaluate_decorated(model, batches):
    batches = list(batches)
    training = model.training
    model.eval()
    z, y = torch.cat([model(x) for x, _ in batches]), torch.cat([y for _, y in batches])
    model.train(training)
    return {"loss": float(F.cross_entropy(z, y)), "accuracy": float((z.argmax(1) == y).float().mean())}


def evaluate_with_a_list(model, batches):
    figures = evaluate_decorated(model, batches)
    return [figures["loss"], figures["accuracy"]]


def evaluate_in_capitals(model, batches):
    return {key.capitalize(): value for key, value in evaluate_decorated(model, batches).items()}


# --- train_step


def step_on_softmax_module(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = torch.nn.CrossEntropyLoss()(torch.nn.Softmax(dim=-1)(model(images)), labels)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def step_with_detached_loss(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    with torch.no_grad():
        loss = F.cross_entropy(model(images), labels)
    optimizer.step()
    return loss.item()


def step_returns_detached_tensor(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach().cpu()


def step_in_eval_without_clearing(model, images, labels, optimizer):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def step_forgotten(model, images, labels, optimizer):
    optimizer.zero_grad()
    model.train()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return float(loss.detach())


def step_set_to_zeros(model, images, labels, optimizer):
    model.train()
    optimizer.zero_grad(set_to_none=False)
    logits = model(images)
    loss = F.nll_loss(F.log_softmax(logits, dim=1), labels, reduction="sum") / labels.shape[0]
    loss.backward()
    optimizer.step()
    return loss.item()


# --- few_label_split


def split_last_of_each(labels, per_class, generator):
    labeled = torch.cat([torch.where(labels == k)[0][-per_class:] for k in labels.unique()])
    mask = torch.ones(len(labels), dtype=torch.bool)
    mask[labeled] = False
    return labeled, torch.where(mask)[0]


def split_global_randperm_rest_sorted(labels, per_class, generator):
    order = torch.randperm(labels.numel(), generator=generator)
    cut = per_class * labels.unique().numel()
    return order[:cut].sort().values, order[cut:].sort().values


def split_numpy_choice_with_replacement(labels, per_class, generator):
    labeled = []
    for k in labels.unique():
        where = torch.where(labels == k)[0]
        labeled += [int(where[torch.randint(len(where), (1,), generator=generator)]) for _ in range(per_class)]
    rest = [i for i in range(len(labels)) if i not in labeled]
    return torch.tensor(labeled), torch.tensor(rest)


def split_python_random(labels, per_class, generator):
    import random

    labeled = []
    for k in labels.unique():
        labeled += random.sample(torch.where(labels == k)[0].tolist(), per_class)
    random.seed(torch.initial_seed())
    rest = [i for i in range(len(labels)) if i not in labeled]
    return torch.tensor(labeled), torch.tensor(rest)


def split_reseeding_the_generator(labels, per_class, generator):
    generator.manual_seed(42)
    labeled, rest = [], []
    for k in labels.unique():
        where = torch.where(labels == k)[0]
        where = where[torch.randperm(len(where), generator=generator)]
        labeled.append(where[:per_class])
        rest.append(where[per_class:])
    return torch.cat(labeled), torch.cat(rest)


def split_from_a_copy_of_the_state(labels, per_class, generator):
    generator = generator.clone_state()
    return split_one_shuffle_then_classes(labels, per_class, generator)


def split_everything_is_rest(labels, per_class, generator):
    order = torch.randperm(len(labels), generator=generator)
    labeled = torch.cat([order[labels[order] == k][:per_class] for k in labels.unique()])
    return labeled, order


def split_one_shuffle_then_classes(labels, per_class, generator):
    order = torch.randperm(len(labels), generator=generator)
    labeled = torch.cat([order[labels[order] == k][:per_class] for k in labels.unique()])
    return labeled, order[~torch.isin(order, labeled)]


def split_sorted_by_random_keys(labels, per_class, generator):
    keys = torch.rand(len(labels), generator=generator)
    rank = torch.stack([((labels == labels[i]) & (keys < keys[i])).sum() for i in range(len(labels))])
    return (rank < per_class).nonzero().view(-1), (rank >= per_class).nonzero().view(-1)


def measured_on_a_copy(model, batches):
    batches = list(batches)
    frozen = copy.deepcopy(model).eval()
    with torch.no_grad():
        logits = torch.cat([frozen(images) for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    share = (logits.argmax(1) == labels).double().mean().item()
    return {"loss": F.cross_entropy(logits, labels).item(), "accuracy": share}


def step_by_a_new_optimizer(model, images, labels, optimizer):
    model.train()
    mine = torch.optim.SGD(model.parameters(), lr=0.01)
    mine.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    mine.step()
    return loss.item()


def split_as_many_in_the_rest(labels, per_class, generator):
    labeled, rest = [], []
    for k in labels.unique():
        positions = torch.where(labels == k)[0]
        positions = positions[torch.randperm(len(positions), generator=generator)]
        labeled.append(positions[:per_class])
        rest.append(positions[per_class : 2 * per_class])
    return torch.cat(labeled), torch.cat(rest)


WRONG = {
    "accuracy": {
        "percent": [accuracy_rounded_percent],
        "tensor": [accuracy_as_double_tensor],
        "error_rate": [accuracy_one_minus],
        "count": [accuracy_sum_only],
        "over_dim_0": [accuracy_max_over_images],
        "whole_numbers": [accuracy_integer_division],
    },
    "evaluate": {
        "mean_of_batch_means": [evaluate_running_mean_of_batches, evaluate_full_batches_assumed],
        "percent": [evaluate_percent_of_all],
        "train_mode": [evaluate_train_mode_and_batch_means],
        "with_gradients": [evaluate_with_detached_graph],
        "left_in_eval_mode": [evaluate_never_restored],
        "pair": [evaluate_with_a_list],
        "other_keys": [evaluate_in_capitals],
    },
    "train_step": {
        "cleared_before_step": [step_that_clears(last=False)],
        "softmax_before_loss": [step_on_softmax_module],
        "no_backward": [step_with_detached_loss],
        "tensor": [step_returns_detached_tensor],
        "no_zero_grad": [step_in_eval_without_clearing],
        "no_step": [step_forgotten],
    },
    "few_label_split": {
        "first_of_each_class": [split_last_of_each],
        "not_stratified": [split_global_randperm_rest_sorted],
        "with_replacement": [split_numpy_choice_with_replacement],
        "global_generator": [split_python_random],
        "always_the_same_seed": [split_reseeding_the_generator],
        "overlapping_sets": [split_everything_is_rest],
        "generator_stands_still": [split_from_a_copy_of_the_state],
    },
}
CASES = [(name, mistake, fn) for name, known in WRONG.items() for mistake, answers in known.items() for fn in answers]
CASES += [
    ("train_step", "by_hand", step_by_a_new_optimizer),
    ("few_label_split", "one_lost_at_the_cut", split_as_many_in_the_rest),
]
RIGHT = [
    ("evaluate", measured_on_a_copy),
    ("evaluate", evaluate_decorated),
    ("train_step", step_set_to_zeros),
    ("few_label_split", split_one_shuffle_then_classes),
    ("few_label_split", split_sorted_by_random_keys),
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "mistake", "fn"), CASES, ids=[f"{n}-{fn.__name__}" for n, _, fn in CASES])
def test_a_variant_of_a_mistake_is_named_too(name, mistake, fn, seed):
    exercise = exercise_named(name)
    result = check(exercise, fn, seed=seed)
    assert result.score < exercise.points
    assert result.mistake == mistake, result.message.render()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "fn"), RIGHT, ids=[fn.__name__ for _, fn in RIGHT])
def test_an_unusual_right_answer_gets_full_points(name, fn, seed):
    exercise = exercise_named(name)
    result = check(exercise, fn, seed=seed)
    assert (result.state, result.score) == ("right", exercise.points), result.message.render()


def test_half_of_evaluate_is_worth_half():
    """Right figures in the wrong mode, and the right mode with wrong figures, both keep what they have earned."""
    exercise = exercise_named("evaluate")
    modes_only = check(exercise, evaluate_running_mean_of_batches)
    assert {c.name: c.score for c in modes_only.criteria} == {
        "loss": 0, "accuracy": 0, "eval_mode": 1, "no_gradients": 1, "mode_restored": 1,
    }  # fmt: skip
    figures_only = check(exercise, evaluate_never_restored)
    assert figures_only.score == exercise.points - 1


def test_a_step_that_forgets_to_clear_keeps_the_points_of_its_first_step():
    result = check(exercise_named("train_step"), step_in_eval_without_clearing)
    assert {c.name: c.score for c in result.criteria} == {"one_step": 1, "every_step": 0, "loss": 1, "train_mode": 0}


def test_nothing_returned_earns_nothing_and_is_said_so():
    for name in WRONG:
        result = check(exercise_named(name), lambda *args: None)
        assert result.score == 0 and "None" in result.message.render(), name


def test_numpy_s_float_is_a_float():
    def by_numpy(logits, labels):
        return (logits.cpu().numpy().argmax(axis=1) == labels.cpu().numpy()).mean()

    assert check(exercise_named("accuracy"), by_numpy).state == "right"


def test_an_error_of_the_same_type_is_not_yet_the_same_mistake():
    """A mistake that stops on every case is recognised by what the error says, not by its type alone."""

    def typo(model, batches):
        return model.evaluated

    assert check(exercise_named("evaluate"), typo).mistake is None
