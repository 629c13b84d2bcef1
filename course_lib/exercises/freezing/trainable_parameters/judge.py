"""`trainable_parameters`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Sequence

from course_lib.exercises.asking import everywhere, in_any, ran, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values


def reference(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _complete(seen: Values, expected: Values) -> bool:
    return set(expected["parameters"]) <= set(seen["parameters"])


def _networks(values: Values) -> set[str]:
    """The names of the networks whose parameters are listed: it should be the one of the case."""
    return {name.partition(".")[0] for name in values["parameters"]}


def _themselves(case: Case, seen: Values, expected: Values) -> bool:
    return (
        len(set(seen["parameters"])) == len(seen["parameters"]) > 0
        and not any(name.startswith("another") for name in seen["parameters"])
        and _networks(seen) == _networks(expected)
        and all(seen[key] == expected[key] for key in ("requires_grad_after", "gradients_after"))
    )


def _one_decides(trials: Sequence[Trial]) -> bool:
    """Whether frozen parameters are listed in half frozen layers only, or are listed while others are missing."""

    def lists_frozen(t: Trial) -> bool:
        too_many = set(t.seen["parameters"]) - set(t.expected["parameters"])
        return bool(too_many) and not any(name.startswith("another") for name in too_many)

    where = {t.case.name for t in ran(trials) if lists_frozen(t)}
    missing = in_any(trials, lambda t: not _complete(t.seen, t.expected))
    return where == {"single_layers_frozen"} or (bool(where) and missing)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion("complete", 1, "every trainable parameter is there", lambda c, s, e: _complete(s, e)),
        Criterion(
            "nothing_frozen",
            1,
            "no other is: frozen weights stay when the optimizer makes a step",
            lambda c, s, e: bool(s["parameters"]) and set(s["parameters"]) <= set(e["parameters"]),
        ),
        Criterion(
            "themselves", 1, "the parameters themselves, each once, as trainable or frozen as before", _themselves
        ),
        Criterion(
            "a_list",
            1,
            "a list, which can be gone through again and again",
            lambda c, s, e: s["type"] in ("list", "tuple") and s["parameters"] == s["parameters_again"] != [],
            form=True,
        ),
    ),
    predicates={
        "a_set": everywhere(lambda t: t.seen["type"] in ("set", "frozenset")),
        "names_of_parameters": everywhere(lambda t: "another str" in t.seen["parameters"]),
        "generator_of_parameters": somewhere(lambda t: t.seen["parameters_again"] != t.seen["parameters"]),
        "layer_by_its_first_parameter": _one_decides,
    },
)
