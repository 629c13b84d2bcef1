"""`trainable_parameters`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values
from course_lib.exercises.judging import in_all, in_any, ran


def reference(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _listed(t: Trial) -> list[str]:
    listed = t.seen["parameters"]
    return listed if isinstance(listed, list) else []


def _wanted(t: Trial) -> list[str]:
    return t.expected["parameters"]


def _missing(t: Trial) -> set[str]:
    return set(_wanted(t)) - set(_listed(t))


def _frozen_listed(t: Trial) -> set[str]:
    return {name for name in _listed(t) if not name.startswith("another")} - set(_wanted(t))


def _frozen_stay(case: Case, seen: Values, expected: Values) -> bool:
    listed = set(seen["parameters"])
    return listed <= set(expected["parameters"]) and bool(listed or not expected["parameters"])


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "complete",
            1,
            "every parameter that wants a gradient is there",
            lambda c, s, e: set(e["parameters"]) <= set(s["parameters"]),
        ),
        Criterion(
            "nothing_frozen", 1, "no other is: frozen weights stay when the optimizer makes a step", _frozen_stay
        ),
        Criterion(
            "themselves",
            1,
            "the parameters themselves, each once, as trainable or frozen as before",
            lambda c, s, e: (
                len(set(s["parameters"])) == len(s["parameters"]) > 0
                and not any(name.startswith("another") for name in s["parameters"])
                and s["requires_grad_after"] == e["requires_grad_after"]
                and s["gradients_after"] == e["gradients_after"]
            ),
        ),
        Criterion(
            "a_list",
            1,
            "a list, which can be gone through again and again",
            lambda c, s, e: (
                s["type"] in ("list", "tuple") and len(s["parameters"]) > 0 and s["parameters"] == s["parameters_again"]
            ),
        ),
    ),
    predicates={
        "a_set": lambda trials: in_all(trials, lambda t: t.seen["type"] in ("set", "frozenset")),
        "names_of_parameters": lambda trials: in_all(trials, lambda t: "another str" in _listed(t)),
        "generator_of_parameters": lambda trials: in_any(
            trials, lambda t: t.seen["parameters_again"] != t.seen["parameters"]
        ),
        "layer_by_its_first_parameter": lambda trials: (
            {t.case.name for t in ran(trials) if _frozen_listed(t)} == {"single_layers_frozen"}
            or (in_any(trials, lambda t: bool(_frozen_listed(t))) and in_any(trials, lambda t: bool(_missing(t))))
        ),
    },
)
