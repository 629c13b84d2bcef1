"""`add_adapters`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import nn

from course_lib.exercises.asking import as_expected, everywhere, failed_with, in_any, of_this_case
from course_lib.exercises.contract import Case, Criterion, Judge, Values


def reference(model, make):
    for parameter in model.parameters():
        parameter.requires_grad = False
    made: dict[int, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, nn.Linear):
                made[id(child)] = made.get(id(child)) or make(child)
                parent._modules[name] = made[id(child)]
    return len(made)


def _replaced(values: Values) -> set[str]:
    return {name for name, kind in values["layers"].items() if kind == "Wrapped"}


def _frozen(case: Case, seen: Values, expected: Values) -> bool:
    return not seen["old_trainable"] and not seen["moved"] and bool(seen["new_trainable"])


def _every(case: Case, seen: Values, expected: Values) -> bool:
    return _replaced(expected) <= _replaced(seen)


def _no_other(case: Case, seen: Values, expected: Values) -> bool:
    return bool(_replaced(seen)) and seen["layers"] == expected["layers"] and seen["given"] == expected["given"]


_WHOLE = ("flat", "own_layers", "images", "subclass")  # a layer at two places costs one criterion only

judge = Judge(
    reference=reference,
    criteria=of_this_case(
        "before",
        Criterion("every", 2, "every linear layer at every depth is replaced by what `make` returns", _every, _WHOLE),
        Criterion("no_other", 1, "`make` is called once per linear layer, also for one at two places", _no_other),
        Criterion("frozen", 1, "the weights of the model are frozen, and keep their values", _frozen),
        Criterion(
            "trainable",
            1,
            "the parameters of the adapters are trainable, and the model still runs",
            as_expected("new_trainable", "output", atol=1e-3),
            _WHOLE,
        ),
        Criterion(
            "returned",
            1,
            "the number of adapters is returned",
            lambda c, s, e: s["returned"] == e["returned"] and bool(_replaced(s)),
        ),
    ),
    predicates={
        "wrapped_again": lambda trials: (
            failed_with(trials, "make was called more than")
            or failed_with(trials, "RecursionError")
            or in_any(trials, lambda t: any(name.endswith(".layer.layer") for name in t.seen["layers"]))
        ),
        "set_at_the_model": lambda trials: failed_with(trials, "module name can't contain"),
        "not_replaced": everywhere(lambda t: not _replaced(t.seen)),
        "adapters_frozen": everywhere(lambda t: bool(_replaced(t.seen)) and not t.seen["new_trainable"]),
        "own_weights_trained": everywhere(lambda t: bool(_replaced(t.seen)) and len(t.seen["old_trainable"]) > 1),
    },
)
