"""`federated_training`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy

from course_lib.exercises.asking import all_of, as_expected, everywhere, in_all, in_any, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.many_owners.client_update.judge import reference as reference_client_update
from course_lib.exercises.many_owners.federated_average.judge import reference as reference_average


def building_on(client_update=reference_client_update, federated_average=reference_average):
    def federated_training(model, clients, *, draw, rounds, steps, lr, local=()):
        server = {name: value.clone() for name, value in model.state_dict().items()}
        kept = [{name: server[name].clone() for name in local} for _ in clients]
        for _ in range(rounds):
            found = []
            for k in draw():
                own = copy.deepcopy(model)
                own.load_state_dict({**server, **kept[k]})
                state, count = client_update(own, *clients[k], steps=steps, lr=lr)
                kept[k] = {name: state[name] for name in local}
                found.append((state, count))
            average = federated_average([state for state, _ in found], [count for _, count in found])
            server |= {name: value for name, value in average.items() if name not in local}
        model.load_state_dict(server)
        return kept

    return federated_training


def _shared(case: Case, state: Values) -> Values:
    return {name: value for name, value in state.items() if name not in case.inputs["local"]}


def _own(case: Case, state: Values) -> Values:
    return {name: state[name] for name in case.inputs["local"]}


def _near(seen: object, expected: object) -> bool:
    return close(seen, expected, rtol=1e-3, atol=1e-4)


def _by_round(case: Case, seen: Values) -> list[list[int]] | None:
    """Positions of the first steps of all clients, round by round, by client; None where other steps were made."""
    steps, at, found = case.inputs["steps"], 0, []
    for drawn in case.inputs["drawn"]:
        firsts = [(seen["clients"][k], k) for k in range(at, at + steps * len(drawn), steps) if k < len(seen["clients"])]
        if sorted(client for client, _ in firsts) != sorted(drawn):
            return None
        found.append([k for _, k in sorted(firsts)])
        at += steps * len(drawn)
    return found


def _drawn(case: Case, seen: Values, expected: Values) -> bool:
    return sorted(seen["clients"]) == sorted(expected["clients"]) and seen["draws"] == len(case.inputs["drawn"])


def _starts(case: Case, seen: Values, expected: Values) -> bool:
    mine, right = _by_round(case, seen), _by_round(case, expected)
    return mine is not None and all(
        _near(_shared(case, seen["held"][a]), _shared(case, expected["held"][b]))
        for a, b in zip(sum(mine, []), sum(right or [], []))
    )


def _server(case: Case, seen: Values, expected: Values) -> bool:
    return _near(_shared(case, seen["server_after"]), _shared(case, expected["server_after"]))


def _kept(case: Case, seen: Values, expected: Values) -> bool:
    return _near(seen["kept"], expected["kept"]) and _server(case, seen, expected)


def _local_apart(case: Case, seen: Values, expected: Values) -> bool:
    untouched = close(_own(case, seen["server_after"]), _own(case, seen["server_before"]))
    mine, right = _by_round(case, seen), _by_round(case, expected)
    return untouched and mine is not None and all(
        _near(_own(case, seen["held"][a]), _own(case, expected["held"][b]))
        for a, b in zip(sum(mine, []), sum(right or [], []))
    )  # fmt: skip


_LOCAL = ("local_normalization", "local_and_some", "local_head")
_NOT_LOCAL = ("all_clients", "some_clients", "one_round_in_eval_mode", "one_client", "float64")


def _unmoved(trial: Trial) -> bool:
    return close(trial.seen["server_after"], trial.seen["server_before"])


judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion("drawn", 1, "each round calls `draw` once, and these clients train, and no others", _drawn),
        Criterion("starts", 1, "all clients of a round start with the server's weights of this round", _starts, _NOT_LOCAL),
        Criterion("server", 2, "after each round the server has the weighted average of the round's clients", _server, _NOT_LOCAL),
        Criterion("kept", 1, "each client's local tensors are those of its own last round, and are returned", _kept, _LOCAL),
        Criterion("local_apart", 1, "local tensors go from a client's round into its next, and never to the server", _local_apart, _LOCAL),
    ),
    predicates={
        "average_never_loaded": lambda trials: in_all(named(trials, *_NOT_LOCAL), _unmoved),
        "one_after_the_other": everywhere(
            lambda t: _drawn(*t[:3]) and not _starts(*t[:3]) and len(t.case.inputs["drawn"][0]) > 1, "one_round_in_eval_mode"
        ),
        "drawn_once": lambda trials: in_any(
            named(trials, "some_clients"), lambda t: t.seen["draws"] == 1 < len(t.case.inputs["drawn"])
        ),
        "everyone_trains": everywhere(lambda t: len(set(t.seen["clients"])) == 5 and t.seen["clients"][: 5 * 2 : 2] == [0, 1, 2, 3, 4], "some_clients"),
        "local_written_into_the_server": somewhere(
            lambda t: _server(*t[:3]) and not close(_own(t.case, t.seen["server_after"]), _own(t.case, t.seen["server_before"])), "local_and_some"
        ),
    },
)
