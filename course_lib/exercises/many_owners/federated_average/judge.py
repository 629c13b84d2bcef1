"""`federated_average`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch

from course_lib.exercises.asking import all_of, as_expected, everywhere, in_all, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close


def reference(states, counts):
    shares = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    average = {}
    for name, first in states[0].items():
        stacked = torch.stack([state[name] for state in states])
        if first.is_floating_point():
            average[name] = torch.tensordot(shares.to(first.device), stacked.double(), dims=1).to(first.dtype)
        else:
            average[name] = stacked[0]
    return average


def _averaged(*names: str) -> Passes:
    """Of the average's tensors, these are as expected; half precision is rounded in each sum."""

    def passes(case: Case, seen: Values, expected: Values) -> bool:
        found, atol = seen["average"], 0.02 if case.name == "half_precision" else 1e-5
        return isinstance(found, dict) and all(
            close(found.get(name), expected["average"][name], rtol=1e-3 if atol > 1e-3 else 1e-4, atol=atol)
            for name in names
        )

    return passes


def _left_alone(case: Case, seen: Values, expected: Values) -> bool:
    kept = close(seen["states_after"], case.inputs["states"])
    return kept and close(seen["average_when_clients_move"], seen["average"])


_parameters = _averaged("linear.weight", "linear.bias", "norm.weight")
_statistics = _averaged("norm.running_mean", "norm.running_var")
_WHOLE = ("norm.num_batches_tracked", "seen")


def _counts(case: Case, seen: Values, expected: Values) -> bool:
    kept = _averaged(*_WHOLE)(case, seen, expected)
    return kept and all(seen["dtypes"].get(name) == expected["dtypes"][name] for name in _WHOLE)


def _shared(trial: Trial) -> bool:
    changed = not close(trial.seen["average_when_clients_move"], trial.seen["average"])
    return changed and close(trial.seen["states_after"], trial.case.inputs["states"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("parameters", 2, "each parameter is the mean over clients, weighted by their images", _parameters),
        Criterion("statistics", 1, "running statistics are averaged with the same weights", _statistics),
        Criterion("counts", 1, "whole numbers and masks are those of the first client, with their dtype", _counts),
        Criterion(
            "own_tensors",
            1,
            "dtypes are kept, and the new state shares no tensor with a client's, which stay as they are",
            all_of(_parameters, _left_alone, as_expected("dtypes", "with_history")),
            form=True,
        ),
    ),
    predicates={
        "first_state_changed": somewhere(lambda t: not close(t.seen["states_after"], t.case.inputs["states"])),
        "shares_the_first_clients_tensors": lambda trials: (
            in_all(trials, lambda t: _parameters(*t[:3]) and _statistics(*t[:3])) and somewhere(_shared)(trials)
        ),
        "dtype_lost": everywhere(
            lambda t: (
                _parameters(*t[:3]) and _counts(*t[:3])
                and t.seen["dtypes"]["linear.weight"] != t.expected["dtypes"]["linear.weight"]
            ),
            "half_precision",
        ),
    },
)  # fmt: skip
