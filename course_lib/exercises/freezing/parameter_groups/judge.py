"""`parameter_groups`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from itertools import pairwise

from course_lib.exercises.asking import everywhere, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.freezing.trainable_parameters.judge import reference as right_parameters


def building_on(trainable_parameters=right_parameters):
    def parameter_groups(blocks, head, *, lr, decay):
        groups = []
        for part in [head, *reversed(blocks)]:
            params = trainable_parameters(part)
            groups += [{"params": params, "lr": lr}] if params else []
            lr = lr * decay
        return groups

    return parameter_groups


def _rates_of(part: str, seen: Values, expected: Values) -> bool:
    """Whether the parameters that are there, of the head or of blocks, have the expected rates."""
    names = [name for name in seen["rate"].keys() & expected["rate"].keys() if f".{part}." in name]
    return bool(names) and all(close(seen["rate"][name], expected["rate"][name]) for name in names)


def _in_order(case: Case, seen: Values, expected: Values) -> bool:
    dictionaries = seen["type"] == "list" and all("lr" in keys for keys in seen["keys"])
    falling = all(above >= below - 1e-9 for above, below in pairwise(seen["rates_in_order"]))
    return dictionaries and falling and not any(seen["weight_decays"])


def _decayed_once(t: Trial) -> bool:
    rates = [rate for name, rate in t.seen["rate"].items() if ".blocks." in name]
    return bool(rates) and all(close(rate, t.case.inputs["decay"]) for rate in rates)


def _without_biases(t: Trial) -> bool:
    """Whether parameters are missing, all biases among them, and nothing else is wrong with what is there."""
    there, wanted = t.seen["rate"], t.expected["rate"]
    biases = {name for name in wanted if name.endswith("bias")}
    return bool(there) and biases.isdisjoint(there) and all(close(there[name], wanted.get(name)) for name in there)


judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion("head", 1, "the head gets the full rate", lambda c, s, e: _rates_of("head", s, e)),
        Criterion(
            "falls",
            1,
            "each block gets `decay` times the rate of the part above it",
            lambda c, s, e: _rates_of("blocks", s, e),
        ),
        Criterion(
            "complete",
            1,
            "all trainable parameters are there, and no others",
            lambda c, s, e: s["rate"].keys() == e["rate"].keys(),
        ),
        Criterion(
            "groups",
            1,
            "a list of dictionaries with `params` and `lr`, the head's first, then downwards",
            _in_order,
            form=True,
        ),
    ),
    predicates={
        "key_that_nobody_reads": everywhere(lambda t: not any("lr" in keys for keys in t.seen["keys"])),
        "decayed_once": everywhere(_decayed_once),
        "weights_alone": everywhere(_without_biases),
        "frozen_ones_too": somewhere(lambda t: bool(t.seen["rate"].keys() - t.expected["rate"].keys())),
    },
)
