"""`trainable_biases`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import everywhere, of_this_case
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values


def reference(model, head=None):
    whole = set() if head is None else {id(parameter) for parameter in head.parameters()}
    found = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad = id(parameter) in whole or "bias" in name.rpartition(".")[2]
        if parameter.requires_grad:
            found.append(parameter)
    return found


def _learning(values: Values) -> set[str]:
    return {name for name, flag in values["requires_grad"].items() if flag}


def _frozen(case: Case, seen: Values, expected: Values) -> bool:
    return _learning(seen) <= _learning(expected) and bool(_learning(seen)) and not seen["moved"]


def _returned(case: Case, seen: Values, expected: Values) -> bool:
    return (
        seen["type"] in ("list", "tuple")
        and sorted(seen["parameters"]) == sorted(expected["parameters"])
        and seen["requires_grad"] == expected["requires_grad"]
    )


def _returns_others(t: Trial) -> bool:
    return t.seen["requires_grad"] == t.expected["requires_grad"] and t.seen["type"] not in ("list", "tuple")


judge = Judge(
    reference=reference,
    criteria=of_this_case(
        "before",
        Criterion("frozen", 1, "every other parameter is frozen, and no value is changed", _frozen),
        Criterion(
            "biases",
            1,
            "every bias of the encoder is trainable, whatever its layer is",
            lambda c, s, e: (
                _learning(e) <= _learning(s) | {n for n in _learning(e) if n.startswith("head")}
                and not all(s["requires_grad"].values())
            ),
        ),
        Criterion(
            "head",
            1,
            "the head is trainable as a whole where it is given, and only there",
            lambda c, s, e: (
                {n for n in _learning(s) if n.startswith("head")} == {n for n in _learning(e) if n.startswith("head")}
                and not all(s["requires_grad"].values())
            ),
        ),
        Criterion("returned", 1, "all parameters that are trainable are returned in a list, each once", _returned),
    ),
    predicates={
        "head_twice": everywhere(
            lambda t: (
                len(set(t.seen["parameters"])) < len(t.seen["parameters"])
                and t.seen["requires_grad"] == t.expected["requires_grad"]
            ),
            *("images", "text", "came_frozen"),
        ),
        "nothing_returned": everywhere(lambda t: _returns_others(t) and t.seen["type"] == "NoneType"),
        "not_a_list": everywhere(lambda t: _returns_others(t) and t.seen["type"] != "NoneType"),
    },
)
