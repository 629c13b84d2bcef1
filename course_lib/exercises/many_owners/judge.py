"""What judges of notebook 11b ask of observed networks and positions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Values, close


def networks_agree(seen: object, expected: object) -> bool:
    """Whether two networks agree as far as steps of training in float32 can."""
    return close(seen, expected, rtol=1e-3, atol=1e-4)


def what_goes_to_the_server(case: Case, state: Values) -> Values:
    """Of a state, what goes to the server."""
    return {name: value for name, value in state.items() if name not in case.inputs["local"]}


def what_stays_with_a_client(case: Case, state: Values) -> Values:
    """Of a state, what stays with a client."""
    return {name: state[name] for name in case.inputs["local"]}


def first_steps_of_clients(case: Case, seen: Values) -> list[int] | None:
    """Positions of the first steps of all clients, by round and client; None where other clients trained."""
    steps, at, found = case.inputs["steps"], 0, []
    for drawn in case.inputs["drawn"]:
        last = min(at + steps * len(drawn), len(seen["clients"]))
        firsts = sorted((seen["clients"][k], k) for k in range(at, last, steps))
        if [client for client, _ in firsts] != sorted(drawn):
            return None
        found += [k for _, k in firsts]
        at += steps * len(drawn)
    return found


def begins_alike_in_each_round(
    part: Callable[[Case, Values], Values], case: Case, seen: Values, expected: Values
) -> bool:
    """Whether a part of the network is as expected before the first step of each client in each round."""
    mine, right = first_steps_of_clients(case, seen), first_steps_of_clients(case, expected)
    return mine is not None and all(
        networks_agree(part(case, seen["held"][a]), part(case, expected["held"][b])) for a, b in zip(mine, right or [])
    )


def all_positions_of_clients(clients: list[list[int]] | None) -> list[int]:
    """The positions of all clients in one list."""
    return list(itertools.chain.from_iterable(clients or []))


def in_one_vector(update: dict[str, Tensor]) -> Tensor:
    """All numbers of an update in one double vector."""
    return torch.cat([value.flatten() for value in update.values()]).double()


def clipped_update(case: Case) -> Tensor:
    """The case's update, shortened to its `max_norm`, in one vector."""
    numbers = in_one_vector(case.inputs["update"])
    return numbers * min(1.0, case.inputs["max_norm"] / max(float(numbers.norm()), 1e-12))
