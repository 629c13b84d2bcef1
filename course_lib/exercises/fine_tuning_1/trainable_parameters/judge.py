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


def _below_the_head(t: Trial) -> list[str]:
    """The parameters that have a gradient from before; those of the new head have none."""
    return [name for name in t.seen["requires_grad_after"] if not name.startswith("head")]


def _outside_what_rests(t: Trial) -> list[str]:
    """The parameters of all modules in train mode."""
    resting = tuple(f"{name}." for name in t.case.inputs["at_rest"].split())
    return [name for name in t.seen["requires_grad_after"] if not (resting and name.startswith(resting))]


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
        "how_many": lambda trials: in_all(trials, lambda t: t.seen["type"] in ("int", "float", "Tensor")),
        "names_of_parameters": lambda trials: in_all(trials, lambda t: "another str" in _listed(t)),
        "pairs_with_names": lambda trials: in_all(trials, lambda t: "another tuple" in _listed(t)),
        "data_of_parameters": lambda trials: in_all(
            trials, lambda t: any(name in ("another Tensor", "another Parameter") for name in _listed(t))
        ),
        "all_opened_first": lambda trials: in_any(
            trials, lambda t: t.seen["requires_grad_after"] != t.expected["requires_grad_after"]
        ),
        "gradients_forgotten": lambda trials: in_all(
            trials,
            lambda t: set(_listed(t)) == set(_wanted(t)) and t.seen["gradients_after"] != t.expected["gradients_after"],
        ),
        "those_with_a_gradient": lambda trials: in_all(trials, lambda t: set(_listed(t)) == set(_below_the_head(t))),
        "those_in_train_mode": lambda trials: in_all(trials, lambda t: set(_listed(t)) == set(_outside_what_rests(t))),
        "a_set": lambda trials: in_all(trials, lambda t: t.seen["type"] in ("set", "frozenset")),
        "generator_of_parameters": lambda trials: in_any(
            trials, lambda t: t.seen["parameters_again"] != t.seen["parameters"]
        ),
        "every_level_again": lambda trials: in_all(trials, lambda t: len(_listed(t)) > len(set(_listed(t)))),
        "shared_one_twice": lambda trials: in_any(trials, lambda t: len(_listed(t)) > len(set(_listed(t)))),
        "all_parameters": lambda trials: in_all(trials, lambda t: _listed(t) == list(t.seen["requires_grad_after"])),
        "the_frozen_ones": lambda trials: (
            in_all(trials, lambda t: not set(_listed(t)) & set(_wanted(t)))
            and in_any(trials, lambda t: bool(_frozen_listed(t)))
        ),
        "the_head_only": lambda trials: in_all(
            trials,
            lambda t: (
                bool(_listed(t))
                and all(name.startswith("head") or t.case.name.startswith("two_layers") for name in _listed(t))
            ),
        ),
        "without_submodules": lambda trials: (
            in_all(trials, lambda t: set(_listed(t)) <= {"scale"}) and in_any(trials, lambda t: bool(_listed(t)))
        ),
        "named_weight_only": lambda trials: (
            in_all(trials, lambda t: not _frozen_listed(t) and all(not n.endswith("weight") for n in _missing(t)))
            and in_any(trials, lambda t: any(name.endswith("bias") for name in _missing(t)))
        ),
        "linear_layers_only": lambda trials: (
            in_all(
                trials,
                lambda t: not _frozen_listed(t) and all(name == "scale" or ".1." in name for name in _missing(t)),
            )
            and in_any(trials, lambda t: any(".1." in name for name in _missing(t)))
        ),
        "layer_by_its_first_parameter": lambda trials: (
            {t.case.name for t in ran(trials) if _frozen_listed(t)} == {"single_layers_frozen"}
            or (in_any(trials, lambda t: bool(_frozen_listed(t))) and in_any(trials, lambda t: bool(_missing(t))))
        ),
        "whole_blocks_only": lambda trials: (
            {t.case.name for t in ran(trials) if _missing(t)} == {"single_layers_frozen"}
        ),
    },
)
