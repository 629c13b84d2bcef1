"""Notebook 11b's checks against answers that are not written down in mistakes.md: written from the statements alone."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F

from tests.exercises.shared import answers_tested

# --- clients_with_few_classes


def _parts(labels, num_clients, classes_each, generator, divide):
    classes = sorted(set(labels.tolist()))
    seats = num_clients * classes_each // len(classes)
    pieces = {}
    for k in classes:
        own = torch.where(labels == k)[0]
        pieces[k] = divide(own[torch.randperm(own.numel(), generator=generator)], seats)
    clients = [[] for _ in range(num_clients)]
    for seat, k in enumerate(classes * seats):
        clients[seat // classes_each].append(pieces[k].pop())
    return clients


def every_nth(labels, num_clients, classes_each, *, generator):
    clients = _parts(labels, num_clients, classes_each, generator, lambda own, n: [own[j::n] for j in range(n)])
    return tuple(torch.cat(client) for client in clients)


def classes_drawn_by_need(labels, num_clients, classes_each, *, generator):
    classes = labels.unique()
    left = torch.full((len(classes),), num_clients * classes_each // len(classes))
    owners = [[] for _ in classes]
    for client in range(num_clients):
        chosen = (left + 0.5 * torch.rand(len(classes), generator=generator)).topk(classes_each).indices
        left[chosen] -= 1
        for k in chosen.tolist():
            owners[k].append(client)
    of_whom = torch.empty(len(labels), dtype=torch.long)
    for j, k in enumerate(classes):
        own = (labels == k).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator)]
        of_whom[own] = torch.tensor(owners[j])[torch.arange(len(own)) % len(owners[j])]
    return [(of_whom == client).nonzero()[:, 0] for client in range(num_clients)]


def lists_of_numbers(labels, num_clients, classes_each, *, generator):
    return [part.tolist() for part in every_nth(labels, num_clients, classes_each, generator=generator)]


def cut_anywhere(labels, num_clients, classes_each, *, generator):
    def divide(own, n):
        edges = torch.randint(0, len(own) + 1, (n - 1,), generator=generator)
        return list(own.tensor_split(edges.sort().values.tolist()))

    return [torch.cat(client) for client in _parts(labels, num_clients, classes_each, generator, divide)]


def whole_classes(labels, num_clients, classes_each, *, generator):
    classes, clients = labels.unique(), []
    for client in range(num_clients):
        mine = [classes[(client * classes_each + j) % len(classes)] for j in range(classes_each)]
        own = torch.cat([(labels == k).nonzero()[:, 0] for k in mine])
        clients.append(own[torch.randperm(len(own), generator=generator)])
    return clients


def shuffled_within_clients(labels, num_clients, classes_each, *, generator):
    classes = labels.unique()
    parts = [(labels == k).nonzero()[:, 0].tensor_split(num_clients * classes_each // len(classes)) for k in classes]
    dealt = [parts[s % len(classes)][s // len(classes)] for s in range(num_clients * classes_each)]
    clients = [torch.cat(dealt[c * classes_each : (c + 1) * classes_each]) for c in range(num_clients)]
    return [own[torch.randperm(len(own), generator=generator)] for own in clients]


def equal_shards(labels, num_clients, classes_each, *, generator):
    order = torch.randperm(len(labels), generator=generator)
    shards = order[labels[order].sort(stable=True).indices].tensor_split(num_clients * classes_each)
    return [torch.cat(shards[c::num_clients]).sort().values for c in range(num_clients)]


# --- federated_average


def _average(states, counts, *, share, whole=lambda values: values[0].clone()):
    shares = share(torch.tensor(counts, dtype=torch.float64))
    average = {}
    for name, first in states[0].items():
        values = [state[name] for state in states]
        average[name] = whole(values)
        if first.is_floating_point():
            average[name] = torch.zeros_like(first)
            for weight, value in zip(shares.tolist(), values):
                average[name] += weight * value
    return average


def added_up(states, counts):
    return _average(states, counts, share=lambda n: n / n.sum())


def by_einsum(states, counts):
    shares = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    average = copy.deepcopy(states[0])
    for name, value in average.items():
        if value.is_floating_point():
            stacked = torch.stack([state[name] for state in states]).double()
            average[name] = torch.einsum("k,k...->...", shares.to(value.device), stacked).to(value.dtype)
    return average


def root_of_the_counts(states, counts):
    return _average(states, counts, share=lambda n: n.sqrt() / n.sqrt().sum())


def divided_by_the_clients(states, counts):
    return _average(states, counts, share=lambda n: n / len(n))


def largest_count(states, counts):
    return _average(states, counts, share=lambda n: n / n.sum(), whole=lambda v: torch.stack(v).amax(dim=0))


def count_of_the_last(states, counts):
    return _average(states, counts, share=lambda n: n / n.sum(), whole=lambda v: v[-1].clone())


def everything_averaged(states, counts):
    return {name: sum(n * state[name] for n, state in zip(counts, states)) / sum(counts) for name in states[0]}


# --- client_update


def _update(model, images, labels, steps, lr, *, loss=F.cross_entropy, late=False, **options):
    own = copy.deepcopy(model)
    optimizer = torch.optim.SGD(own.parameters(), lr, **{"momentum": 0.9} | options)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(own(images), labels).backward()
        if late:
            optimizer.zero_grad()
        optimizer.step()
    return own.state_dict()


def cloned(model, images, labels, *, steps, lr):
    return dict(_update(model, images, labels, steps, lr)), images.shape[0]


def trained_and_put_back(model, images, labels, *, steps, lr):
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    for _ in range(steps):
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    after = copy.deepcopy(model.state_dict())
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return after, len(labels)


def half_the_momentum(model, images, labels, *, steps, lr):
    return _update(model, images, labels, steps, lr, momentum=0.5), len(images)


def weights_decayed(model, images, labels, *, steps, lr):
    return _update(model, images, labels, steps, lr, weight_decay=0.01), len(images)


def cleared_late(model, images, labels, *, steps, lr):
    return _update(model, images, labels, steps, lr, late=True), len(images)


def count_in_a_tensor(model, images, labels, *, steps, lr):
    return _update(model, images, labels, steps, lr), torch.tensor(len(images))


def classes_counted(model, images, labels, *, steps, lr):
    return _update(model, images, labels, steps, lr), len(labels.unique())


# --- federated_training


def _trained(model, clients, draw, rounds, steps, lr, local, *, order=list, keep=None, loads=None, mode=None):
    kept = [{name: model.state_dict()[name].clone() for name in local} for _ in clients]
    for _ in range(rounds):
        states, counts = [], []
        for k in order(draw()):
            own = copy.deepcopy(model)
            own.load_state_dict(kept[k], strict=False)
            if mode:
                own.train(mode == "train")
            states.append(_update(own, *clients[k], steps, lr))
            counts.append(len(clients[k][0]))
            kept[k] = {name: value for name, value in states[-1].items() if name in local or keep == "everything"}
        average = added_up(states, counts)
        names = [name for name in average if name not in local and (loads is None or name in loads(model))]
        model.load_state_dict({name: average[name] for name in names}, strict=False)
    return kept


def loaded_not_strictly(model, clients, *, draw, rounds, steps, lr, local=()):
    return _trained(model, clients, draw, rounds, steps, lr, local)


def last_client_first(model, clients, *, draw, rounds, steps, lr, local=()):
    return _trained(model, clients, draw, rounds, steps, lr, local, order=lambda drawn: sorted(drawn, reverse=True))


def goes_on_with_its_own(model, clients, *, draw, rounds, steps, lr, local=()):
    return _trained(model, clients, draw, rounds, steps, lr, local, keep="everything")


def parameters_only(model, clients, *, draw, rounds, steps, lr, local=()):
    return _trained(model, clients, draw, rounds, steps, lr, local, loads=lambda m: dict(m.named_parameters()))


def in_eval_mode(model, clients, *, draw, rounds, steps, lr, local=()):
    return _trained(model, clients, draw, rounds, steps, lr, local, mode="eval")


def nothing_returned(model, clients, *, draw, rounds, steps, lr, local=()):
    _trained(model, clients, draw, rounds, steps, lr, local)


def one_round_more(model, clients, *, draw, rounds, steps, lr, local=()):
    return _trained(model, clients, draw, rounds + 1, steps, lr, local)


# --- image_from_gradient


def mean_of_the_large_rows(weight_grad, bias_grad):
    large = bias_grad.abs() > 0.5 * bias_grad.abs().max()
    return (weight_grad[large] / bias_grad[large][:, None]).mean(dim=0)


def weighted_quotients(weight_grad, bias_grad):
    weights = bias_grad.abs() / bias_grad.abs().sum()
    safe = torch.where(bias_grad == 0, torch.ones_like(bias_grad), bias_grad)
    return (weights[:, None] * weight_grad / safe[:, None]).sum(dim=0)


def direction_alone(weight_grad, bias_grad):
    return torch.linalg.svd(weight_grad, full_matrices=False).Vh[0]


def rows_without_sign(weight_grad, bias_grad):
    return weight_grad[bias_grad.abs().argmax()].abs()


def norms_alone(weight_grad, bias_grad):
    return weight_grad.norm(dim=0) / bias_grad.norm()


def positive_rows(weight_grad, bias_grad):
    positive = bias_grad > 0
    return (weight_grad[positive] / bias_grad[positive][:, None]).mean(dim=0)


def a_column(weight_grad, bias_grad):
    return weight_grad[:, 0] / bias_grad


# --- clip_and_noise


def _sent(update, max_norm, noise, generator, *, length=torch.linalg.vector_norm, deviation=lambda z, c, d: z * c):
    flat = torch.cat([value.reshape(-1) for value in update.values()])
    factor = min(1.0, max_norm / max(float(length(flat)), 1e-12))
    spread = deviation(noise, max_norm, flat.numel())
    return {
        name: factor * value + torch.normal(0.0, 1.0, value.shape, generator=generator, dtype=value.dtype) * spread
        for name, value in update.items()
    }


def flattened_first(update, max_norm, noise, *, generator):
    return _sent(update, max_norm, noise, generator)


def by_clamping_the_factor(update, max_norm, noise, *, generator):
    norm = torch.sqrt(sum((value.double() ** 2).sum() for value in update.values()))
    factor = torch.clamp(max_norm / (norm + 1e-12), max=1.0).item()
    added = {name: torch.empty_like(value).normal_(generator=generator) for name, value in update.items()}
    return {name: value * factor + noise * max_norm * added[name] for name, value in update.items()}


def noise_squared(update, max_norm, noise, *, generator):
    return _sent(update, max_norm, noise, generator, deviation=lambda z, c, d: (z * c) ** 2)


def noise_shared_out(update, max_norm, noise, *, generator):
    return _sent(update, max_norm, noise, generator, deviation=lambda z, c, d: z * c / d**0.5)


def absolute_values(update, max_norm, noise, *, generator):
    return _sent(update, max_norm, noise, generator, length=lambda flat: flat.abs().sum())


def changed_in_place(update, max_norm, noise, *, generator):
    for name, value in _sent(update, max_norm, noise, generator).items():
        update[name].copy_(value)
    return update


def in_float64(update, max_norm, noise, *, generator):
    return {name: value.double() for name, value in _sent(update, max_norm, noise, generator).items()}


def noise_alone(update, max_norm, noise, *, generator):
    zeros = {name: torch.zeros_like(value) for name, value in update.items()}
    return _sent(zeros, max_norm, noise, generator)


RIGHT = {
    "clients_with_few_classes": [every_nth, classes_drawn_by_need],
    "federated_average": [added_up, by_einsum],
    "client_update": [cloned, trained_and_put_back],
    "federated_training": [loaded_not_strictly, last_client_first],
    "image_from_gradient": [mean_of_the_large_rows, weighted_quotients],
    "clip_and_noise": [flattened_first, by_clamping_the_factor],
}
WRONG = {
    "clients_with_few_classes": {
        lists_of_numbers: None,
        cut_anywhere: "rest_to_the_last",
        whole_classes: "every_client_draws_for_itself",
        shuffled_within_clients: "first_images_first",
        equal_shards: "shards_of_equal_size",
    },
    "federated_average": {
        root_of_the_counts: None,
        divided_by_the_clients: None,
        largest_count: None,
        count_of_the_last: "counts_of_another_client",
        everything_averaged: "counts_averaged",
    },
    "client_update": {
        half_the_momentum: None,
        weights_decayed: None,
        cleared_late: "gradients_cleared_too_early",
        count_in_a_tensor: None,
        classes_counted: None,
    },
    "federated_training": {
        goes_on_with_its_own: "own_network_continued",
        parameters_only: "buffers_left_behind",
        in_eval_mode: None,
        nothing_returned: None,
        one_round_more: None,
    },
    "image_from_gradient": {
        direction_alone: None,
        rows_without_sign: None,
        norms_alone: "norms_divided",
        positive_rows: "not_finite",
        a_column: "not_finite",
    },
    "clip_and_noise": {
        noise_squared: None,
        noise_shared_out: None,
        absolute_values: "absolute_values_added",
        changed_in_place: "written_into_the_update",
        in_float64: "dtype_lost",
        noise_alone: None,
    },
}
test_a_right_answer_written_another_way_has_full_points, test_a_wrong_answer_loses_points_and_is_told_why = (
    answers_tested(RIGHT, WRONG)
)
