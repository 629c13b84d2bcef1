"""`clients_with_few_classes`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, global_state_kept, in_all, in_any, named, of_this_case, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.many_owners.judge import all_positions_of_clients


def reference(labels, num_clients, classes_each, *, generator):
    order = torch.randperm(len(labels), generator=generator)
    clients: list[Any] = [[] for _ in range(num_clients)]
    classes = labels.unique().tolist()
    for k, label in enumerate(classes):
        owners = [s // classes_each for s in range(num_clients * classes_each) if s % len(classes) == k]
        for j, position in enumerate(order[labels[order] == label].tolist()):
            clients[owners[j % len(owners)]].append(position)
    return [torch.tensor(client) for client in clients]


def _lists(case: Case, seen: Any) -> list[list[int]] | None:
    """The positions of each client; None for what is not a list of positions for each."""
    if not isinstance(seen, list) or len(seen) != case.inputs["num_clients"]:
        return None
    if not all(isinstance(part, Tensor) and part.ndim == 1 and part.dtype == torch.int64 for part in seen):
        return None
    found: list[list[int]] = [part.tolist() for part in seen]
    return found if all(0 <= i < len(case.inputs["labels"]) for part in found for i in part) else None


def _once(case: Case, seen: Values, expected: Values) -> bool:
    clients = _lists(case, seen["clients"])
    return clients is not None and sorted(all_positions_of_clients(clients)) == list(range(len(case.inputs["labels"])))


def _classes_of_each(case: Case, clients: Sequence[Sequence[int]]) -> list[dict[int, frozenset[int]]]:
    """For each client, its positions by class."""
    labels = case.inputs["labels"].tolist()
    return [{k: frozenset(i for i in part if labels[i] == k) for k in {labels[i] for i in part}} for part in clients]


def _has_few_classes(case: Case, seen: Values, expected: Values) -> bool:
    clients = _lists(case, seen["clients"])
    return clients is not None and all(
        len(own) == case.inputs["classes_each"] for own in _classes_of_each(case, clients)
    )


def _even(case: Case, seen: Values, expected: Values) -> bool:
    clients = _lists(case, seen["clients"])
    if clients is None or not _has_few_classes(case, seen, expected):
        return False
    classes = case.inputs["labels"].unique().tolist()
    seats = case.inputs["num_clients"] * case.inputs["classes_each"] // len(classes)
    sizes = [[len(own[k]) for own in _classes_of_each(case, clients) if k in own] for k in classes]
    return all(len(found) == seats and max(found) - min(found) <= 1 for found in sizes)


def _divisions(case: Case, seen: Any) -> list[set[frozenset[int]]] | None:
    """For each class, into which sets its images are divided, in no order of the clients."""
    clients = _lists(case, seen)
    if clients is None:
        return None
    found = _classes_of_each(case, clients)
    return [{own[k] for own in found if k in own} for k in case.inputs["labels"].unique().tolist()]


def _random(case: Case, seen: Values, expected: Values) -> bool:
    again = close(seen["clients"], seen["clients_again"])
    first, other = (_divisions(case, seen[key]) for key in ("clients", "clients_of_another_seed"))
    return again and first is not None and other is not None and first != other and global_state_kept(seen)


def _repeated(trial: Trial) -> bool:
    clients = _lists(trial.case, trial.seen["clients"])
    positions = all_positions_of_clients(clients)
    return len(positions) > len(set(positions))


def _missing(trial: Trial) -> bool:
    clients = _lists(trial.case, trial.seen["clients"])
    return clients is not None and len(set(all_positions_of_clients(clients))) < len(trial.case.inputs["labels"])


def _has_more(trials: Sequence[Trial], *cases: str) -> bool:
    """Whether in these cases a client has more classes than it should have."""

    def more(t: Trial) -> bool:
        clients, most = _lists(t.case, t.seen["clients"]), t.case.inputs["classes_each"]
        return clients is not None and any(len(own) > most for own in _classes_of_each(t.case, clients))

    return in_all(named(trials, *cases), more)


def _fits(trials: Sequence[Trial]) -> bool:
    return in_all(named(trials, "usual", "sorted"), lambda t: _has_few_classes(*t[:3]))


def _only_dealt_unevenly(trials: Sequence[Trial]) -> bool:
    """Whether all else is right; a part may be empty, so that a client has fewer classes."""
    fine = in_all(trials, lambda t: _once(*t[:3])) and in_any(trials, lambda t: _has_few_classes(*t[:3]))
    return fine and in_any(trials, lambda t: not _even(*t[:3])) and not _has_more(trials, "uneven_classes")


judge = Judge(
    reference=reference,
    criteria=of_this_case(
        "labels",
        Criterion("once", 1, "every position is in the list of exactly one client", _once),
        Criterion("few", 1, "each client has images of exactly `classes_each` classes", _has_few_classes),
        Criterion("even", 1, "the parts of a class are as many as its seats, and differ by at most one image", _even),
        Criterion(
            "random",
            1,
            "the generator decides which images of a class go together, and nothing else is drawn from",
            _random,
            ("usual", "sorted", "uneven_classes", "gaps_in_the_labels", "all_classes_for_each"),
        ),
    ),
    predicates={
        "shards_of_equal_size": lambda trials: (
            in_all(trials, lambda t: _once(*t[:3])) and _has_more(trials, "uneven_classes") and _fits(trials)
        ),
        "dealt_evenly": lambda trials: in_all(trials, lambda t: _once(*t[:3])) and _has_more(trials, "usual", "sorted"),
        "every_client_draws_for_itself": somewhere(_repeated),
        "rest_dropped": lambda trials: in_any(trials, _missing) and not in_any(trials, _repeated),
        "first_images_first": everywhere(
            lambda t: (
                _even(*t[:3])
                and _divisions(t.case, t.seen["clients"]) == _divisions(t.case, t.seen["clients_of_another_seed"])
            ),
            "usual",
            "sorted",
        ),
        "rest_to_the_last": _only_dealt_unevenly,
        "one_class_twice": everywhere(
            lambda t: (
                _once(*t[:3])
                and any(len(own) < t.case.inputs["classes_each"] for own in _classes_of_each(t.case, t.seen["clients"]))
            ),
            "usual",
            "sorted",
        ),
        "global_generator": everywhere(
            lambda t: _even(*t[:3]) and not close(t.seen["clients"], t.seen["clients_again"]), "usual", "sorted"
        ),
    },
    exact=False,
)
