"""`federated_training`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy

from course_lib.exercises.asking import everywhere, in_all, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.many_owners.client_update.judge import reference as reference_client_update
from course_lib.exercises.many_owners.federated_average.judge import reference as reference_average
from course_lib.exercises.many_owners.judge import (
    begins_alike_in_each_round,
    networks_agree,
    what_goes_to_the_server,
    what_stays_with_a_client,
)


def building_on(client_update=reference_client_update, federated_average=reference_average):
    def federated_training(model, clients, *, draw, rounds, steps, lr, local=()):
        server = {name: value.clone() for name, value in model.state_dict().items()}
        kept = [{name: server[name].clone() for name in local} for _ in clients]
        for _ in range(rounds):
            found = []
            for k in draw():
                network = copy.deepcopy(model)
                network.load_state_dict({**server, **kept[k]})
                state, count = client_update(network, *clients[k], steps=steps, lr=lr)
                kept[k] = {name: state[name] for name in local}
                found.append((state, count))
            average = federated_average([state for state, _ in found], [count for _, count in found])
            server |= {name: value for name, value in average.items() if name not in local}
        model.load_state_dict(server)
        return kept

    return federated_training


def _drawn(case: Case, seen: Values, expected: Values) -> bool:
    return sorted(seen["clients"]) == sorted(expected["clients"]) and seen["draws"] == len(case.inputs["drawn"])


def _starts(case: Case, seen: Values, expected: Values) -> bool:
    return begins_alike_in_each_round(what_goes_to_the_server, case, seen, expected)


def _server(case: Case, seen: Values, expected: Values) -> bool:
    return networks_agree(
        what_goes_to_the_server(case, seen["server_after"]), what_goes_to_the_server(case, expected["server_after"])
    )


def _kept(case: Case, seen: Values, expected: Values) -> bool:
    return networks_agree(seen["kept"], expected["kept"]) and _server(case, seen, expected)


def _local_apart(case: Case, seen: Values, expected: Values) -> bool:
    untouched = close(
        what_stays_with_a_client(case, seen["server_after"]), what_stays_with_a_client(case, seen["server_before"])
    )
    return untouched and begins_alike_in_each_round(what_stays_with_a_client, case, seen, expected)


_LOCAL = ("local_normalization", "local_and_some", "local_head")
_NOT_LOCAL = ("all_clients", "some_clients", "one_round_in_eval_mode", "one_client", "float64")


def _unmoved(trial: Trial) -> bool:
    return close(trial.seen["server_after"], trial.seen["server_before"])


judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion("drawn", 1, "each round calls `draw` once, and these clients train, and no others", _drawn),
        Criterion(
            "starts", 1, "all clients of a round start with the server's weights of this round", _starts, _NOT_LOCAL
        ),
        Criterion(
            "server",
            2,
            "after each round the server has the weighted average of the round's clients",
            _server,
            _NOT_LOCAL,
        ),
        Criterion(
            "kept", 1, "each client's local tensors are those of its own last round, and are returned", _kept, _LOCAL
        ),
        Criterion(
            "local_apart",
            1,
            "local tensors go from a client's round into its next, and never to the server",
            _local_apart,
            _LOCAL,
        ),
    ),
    predicates={
        "average_never_loaded": lambda trials: in_all(named(trials, *_NOT_LOCAL), _unmoved),
        "one_after_the_other": everywhere(
            lambda t: _drawn(*t[:3]) and not _starts(*t[:3]) and len(t.case.inputs["drawn"][0]) > 1,
            "one_round_in_eval_mode",
        ),
        "local_written_into_the_server": somewhere(
            lambda t: (
                _server(*t[:3])
                and not close(
                    what_stays_with_a_client(t.case, t.seen["server_after"]),
                    what_stays_with_a_client(t.case, t.seen["server_before"]),
                )
            ),
            "local_and_some",
        ),
    },
)
