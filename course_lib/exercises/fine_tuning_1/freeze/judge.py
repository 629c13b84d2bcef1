"""`freeze`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from course_lib.exercises.asking import as_expected, everywhere, failed_with, in_all, named, ran
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close


def reference(module, frozen=True):
    for part in module.modules():
        vars(part).pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module.requires_grad_(not frozen)


# A part that came frozen by other hands is the matter of one criterion: an error there costs that one only.
_FROZEN = ("first_layers", "in_the_middle", "nested", "vectors", "own_class")
_OPENED = ("first_layers", "nested", "vectors", "frozen_by_another")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def _here(test: Passes) -> Passes:
    """A test of what was seen of the network of this very case, by the weights that its part was given with."""
    return lambda case, seen, expected: (
        close(seen["state_given"], expected["state_given"]) and test(case, seen, expected)
    )


def _is_frozen(seen: Values) -> bool:
    return set(seen["requires_grad"].values()) == {0}


def _changed(seen: Values, before: str, after: str) -> set[str]:
    """The names of weights and statistics that are gone in the later state, or not the same to the last bit."""
    then, now = seen[before], seen[after]
    return {name for name, value in then.items() if name not in now or not torch.equal(now[name], value)}


def _all_changed(seen: Values, before: str, after: str) -> bool:
    return _changed(seen, before, after) == seen[before].keys() == seen[after].keys()


def _moved(seen: Values, *, statistics: bool) -> list[str]:
    """The weights, or the statistics, of the frozen part that training has changed."""
    names = _changed(seen, "state_given", "state_after_training")
    return [name for name in names if name.endswith(_STATISTICS) == statistics]


def _rest_learns(case: Case, seen: Values, expected: Values) -> bool:
    """Also asks that the part is frozen at all: what does nothing earns nothing."""
    learns = all(seen["requires_grad_elsewhere"].values()) and _all_changed(seen, "rest_given", "rest_after_training")
    return learns and not all(seen["requires_grad"].values())


def _is_the_module(case: Case, seen: Values, expected: Values) -> bool:
    weights_kept = not _changed(seen, "state_given", "state_when_frozen")
    return seen["returned"] == "the module" and _is_frozen(seen) and weights_kept


def _opens(case: Case, seen: Values, expected: Values) -> bool:
    modes = seen["modes_when_open"], seen["modes_at_rest"]
    learns = all(seen["requires_grad_open"].values()) and _all_changed(seen, "state_before_opening", "state_trained_on")
    return learns and modes == (["train"], ["eval"]) and not all(seen["requires_grad"].values())


def _output_differs(t: Trial) -> bool:
    return not close(t.seen["output_after_train"], t.expected["output_after_train"])


def _normalizes_by_batch(t: Trial) -> bool:
    """Whether all layers are in train mode after `model.train()`, but no running average moves."""
    averages = [name for name in _moved(t.seen, statistics=True) if "running" in name]
    return _output_differs(t) and not averages and set(t.seen["modes_after_train"].values()) == {"train"}


def _where(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> set[str]:
    """The names of the cases that came to an end in which it is so."""
    return {t.case.name for t in ran(trials) if predicate(t)}


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "weights",
            1,
            "the part's parameters want no gradient, and training leaves them as they are, bit by bit",
            _here(lambda c, s, e: _is_frozen(s) and not _moved(s, statistics=False)),
            _FROZEN,
        ),
        Criterion(
            "statistics",
            1,
            "so do the statistics of its batch normalization, although `model.train()` is called",
            _here(lambda c, s, e: not _moved(s, statistics=True)),
            _FROZEN,
        ),
        Criterion(
            "at_rest",
            1,
            "after `model.train()` the part still computes as in eval mode: no batch statistics, no dropout",
            as_expected("output_after_train"),
            _FROZEN,
        ),
        Criterion(
            "rest_learns",
            1,
            "the rest of the network goes on learning, what lies below the part too",
            _here(_rest_learns),
            _FROZEN,
        ),
        Criterion(
            "the_module",
            1,
            "it is the module given that is frozen and returned, with the weights that it had",
            _here(_is_the_module),
            _FROZEN,
        ),
        Criterion(
            "opens",
            1,
            "with `frozen=False` the part learns again, and follows `train()` and `eval()`, whichever code froze it "
            "and however often",
            _here(_opens),
            _OPENED,
        ),
    ),
    predicates={
        "endless_recursion": lambda trials: failed_with(trials, "RecursionError"),
        "no_grad_around_it": everywhere(
            lambda t: "stem.0.weight" not in _changed(t.seen, "rest_given", "rest_after_training"), "in_the_middle"
        ),
        "attribute_of_the_module": everywhere(
            lambda t: not _is_frozen(t.seen) and "requires_grad" in t.seen["new_attributes"], *_FROZEN
        ),
        "momentum_of_zero": everywhere(_normalizes_by_batch, "first_layers", "in_the_middle", "nested", "own_class"),
        "held_as_it_was": lambda trials: (
            {t.case.inputs["mode_before"] for t in ran(trials) if _moved(t.seen, statistics=True)} == {"train"}
        ),
        "gradients_only": everywhere(
            lambda t: bool(_moved(t.seen, statistics=True)) and not _moved(t.seen, statistics=False), *_FROZEN
        ),
        "children_only": lambda trials: _where(trials, _output_differs) == {"own_class"},
        "own_train_kept_as_the_old_one": lambda trials: (
            _where(trials, lambda t: t.seen.get("modes_when_open") == ["eval"]) == {"vectors"}
        ),
        "inner_part_stays_frozen": lambda trials: (
            _where(trials, lambda t: "eval" in t.seen.get("modes_when_open", ())) == {"nested"}
            and in_all(trials, lambda t: t.seen["returned"] == "the module")
            and in_all(trials, lambda t: all(t.seen.get("requires_grad_open", {}).values()))
        ),
        "nothing_returned": everywhere(lambda t: t.seen["returned"] == "None" and _is_frozen(t.seen)),
        "opens_only_what_it_froze": lambda trials: (
            in_all(named(trials, *_FROZEN), lambda t: _is_frozen(t.seen))
            and {t.case.name for t in trials if t.error or 0 in t.seen.get("requires_grad_open", {}).values()}
            == {"frozen_by_another"}
        ),
    },
)
