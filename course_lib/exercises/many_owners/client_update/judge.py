"""`client_update`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F

from course_lib.exercises.asking import all_of, everywhere, in_all, in_any, of_this_case
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close

MOMENTUM = 0.9


def reference(model, images, labels, *, steps, lr):
    own = copy.deepcopy(model)
    learning = [p for p in own.parameters() if p.requires_grad]
    velocity = [torch.zeros_like(p) for p in learning]
    for _ in range(steps):
        gradients = torch.autograd.grad(F.cross_entropy(own(images), labels), learning)
        with torch.no_grad():
            for p, v, gradient in zip(learning, velocity, gradients):
                p -= lr * v.mul_(MOMENTUM).add_(gradient)
    return {name: value.detach().clone() for name, value in own.state_dict().items()}, len(images)


def _returned(*parts: str) -> Passes:
    """Of the returned state, the tensors whose names end so are as expected."""

    def passes(case: Case, seen: Values, expected: Values) -> bool:
        found, names = seen["state"], [name for name in expected["state"] if name.endswith(parts)]
        return isinstance(found, dict) and all(
            close(found.get(name), expected["state"][name], rtol=1e-3, atol=1e-4) for name in names
        )

    return passes


_weights = _returned("weight", "bias")
_statistics = _returned("running_mean", "running_var", "num_batches_tracked")


def _server_kept(case: Case, seen: Values, expected: Values) -> bool:
    kept = close(seen["server_after"], seen["server_before"]) and not seen["gradients_after"]
    alone = close(seen["state_when_server_moves"], seen["state"]) and close(
        seen["state_of_a_second_call"], seen["state"]
    )
    return kept and alone and not close(seen["state"], seen["server_before"])


def _equals_server(trial: Trial) -> bool:
    return close(trial.seen["state"], trial.seen["server_before"])


_TRAINED = ("usual", "one_step", "many_steps", "eval_mode", "normalization_in_eval_mode", "a_frozen_layer", "float64")

judge = Judge(
    reference=reference,
    criteria=of_this_case(
        "server_before",
        Criterion(
            "weights", 2, "the weights are those after `steps` steps of SGD with momentum on all images", _weights
        ),
        Criterion(
            "statistics",
            1,
            "running statistics are returned too, and move only where the server's network is in train mode",
            all_of(
                _statistics,
                lambda case, seen, expected: case.name == "no_steps" or not _equals_server(Trial(case, seen, expected)),
            ),
        ),
        Criterion(
            "count",
            1,
            "the number of the client's images is returned as a whole number",
            lambda case, seen, expected: close(seen["count"], expected["count"]) and seen["count_kind"] == "int",
        ),
        Criterion(
            "server_kept",
            1,
            "the server's network stays as it is and shares no tensor with the state, and a second call gives the same",
            _server_kept,
            _TRAINED,
        ),
    ),
    predicates={
        "server_trained_itself": lambda trials: (
            in_any(trials, lambda t: not close(t.seen["server_after"], t.seen["server_before"]))
            and not in_any(trials, lambda t: t.case.name in _TRAINED and _equals_server(t))
        ),
        "optimizer_of_the_server": lambda trials: in_all(
            [t for t in trials if t.case.name == "eval_mode"],
            lambda t: _equals_server(t) and not close(t.seen["server_after"], t.seen["server_before"]),
        ),
        "momentum_of_the_round_before": everywhere(
            lambda t: (
                _weights(*t[:3])
                and close(t.seen["server_after"], t.seen["server_before"])
                and not close(t.seen["state_of_a_second_call"], t.seen["state"])
            ),
            "usual",
            "eval_mode",
        ),
    },
)
