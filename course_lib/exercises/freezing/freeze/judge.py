"""`freeze`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from course_lib.exercises.asking import as_expected, changed, everywhere, failed_with, of_this_network, ran, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values
from course_lib.exercises.freezing.judge import all_changed, moved


def reference(module, frozen=True):
    module.apply(lambda part: part.__dict__.pop("train", None)).train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module.requires_grad_(not frozen)


# A part that came frozen by other hands is the matter of one criterion: an error there costs that one only.
_FROZEN = ("first_layers", "in_the_middle", "nested", "vectors", "own_class")
_OPENED = ("first_layers", "nested", "vectors", "frozen_by_another")


def _is_frozen(seen: Values) -> bool:
    return set(seen["requires_grad"].values()) == {0}


def _weights(case: Case, seen: Values, expected: Values) -> bool:
    return _is_frozen(seen) and not moved(seen, statistics=False)


def _rest_learns(case: Case, seen: Values, expected: Values) -> bool:
    """Also asks that the part is frozen at all: what does nothing earns nothing."""
    learns = all(seen["requires_grad_elsewhere"].values()) and all_changed(seen, "rest_given", "rest_after_training")
    return learns and not all(seen["requires_grad"].values())


def _is_the_module(case: Case, seen: Values, expected: Values) -> bool:
    weights_kept = not changed(seen["state_given"], seen["state_when_frozen"])
    return seen["returned"] == "the module" and _is_frozen(seen) and weights_kept


def _opens(case: Case, seen: Values, expected: Values) -> bool:
    modes = seen["modes_when_open"], seen["modes_at_rest"]
    learns = all(seen["requires_grad_open"].values()) and all_changed(seen, "state_before_opening", "state_trained_on")
    return learns and modes == (["train"], ["eval"]) and not all(seen["requires_grad"].values())


def _opened(t: Trial) -> bool:
    return all(t.seen.get("requires_grad_open", {}).values())


def _part(name: str, title: str, passes: Passes, cases: tuple[str, ...] = _FROZEN) -> Criterion:
    return Criterion(name, 1, title, of_this_network(passes, "state_given"), cases)


_AT_REST = "after `model.train()` the part still computes as in eval mode, without dropout"

judge = Judge(
    reference=reference,
    criteria=(
        _part("weights", "the part's parameters require no gradient, and training changes no bit of them", _weights),
        _part("statistics", "training changes no running statistics", lambda c, s, e: not moved(s, statistics=True)),
        _part("at_rest", _AT_REST, as_expected("output_after_train"), (*_FROZEN, "without_gradients_before")),
        _part("rest_learns", "the rest of the network goes on learning, also what lies below the part", _rest_learns),
        _part("the_module", "the module given is frozen and returned, with the weights that it had", _is_the_module),
        _part("opens", "with `frozen=False` it learns again, and follows `train()` and `eval()`", _opens, _OPENED),
    ),
    predicates={
        "endless_recursion": lambda trials: failed_with(trials, "RecursionError"),
        "train_without_a_mode": lambda trials: any(failed_with(trials, x) for x in ("not callable", "takes 0 pos")),
        "no_grad_around_it": everywhere(
            lambda t: "stem.0.weight" not in changed(t.seen["rest_given"], t.seen["rest_after_training"]),
            "in_the_middle",
        ),
        "normalization_left_out": everywhere(
            lambda t: len(set(t.seen["requires_grad"].values())) == 2, "first_layers", "in_the_middle"
        ),
        "eval_without_gradients_off": everywhere(
            lambda t: all(t.seen["requires_grad"].values()) and t.seen["returned"] == "the module", *_FROZEN
        ),
        "held_as_it_was": lambda trials: (
            {t.case.inputs["mode_before"] for t in ran(trials) if moved(t.seen, statistics=True)} == {"train"}
        ),
        "gradients_only": everywhere(
            lambda t: _is_frozen(t.seen) and {*t.seen["modes_after_train"].values()} == {"train"}, *_FROZEN
        ),
        "only_normalization_at_rest": somewhere(lambda t: len({*t.seen["modes_after_train"].values()}) == 2),
        "inner_part_stays_frozen": lambda trials: (
            {t.case.name for t in ran(trials) if "eval" in t.seen.get("modes_when_open", ())} == {"nested"}
            and everywhere(lambda t: t.seen["returned"] == "the module" and _opened(t))(trials)
        ),
        "opened_for_gradients_only": somewhere(
            lambda t: t.seen["modes_when_open"] == ["eval"] and _opened(t), "first_layers", "vectors"
        ),
        "nothing_returned": everywhere(lambda t: t.seen["returned"] == "another NoneType" and _is_frozen(t.seen)),
        "opens_only_what_it_froze": lambda trials: [t.case.name for t in trials if t.error] == ["frozen_by_another"],
        "opened_as_it_was": lambda trials: (
            {t.case.name for t in ran(trials) if not _opened(t)} - {"without_gradients_before"} == {"frozen_by_another"}
            and everywhere(lambda t: _is_frozen(t.seen), *_FROZEN)(trials)
        ),
    },
)
