"""`freeze`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any, ran


def reference(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def _changed(before: dict[str, Tensor], after: dict[str, Tensor], *, statistics: bool) -> set[str]:
    """The names of weights, or of statistics, that are not the same to the last bit (or gone)."""
    return {
        name for name, value in before.items()
        if name.endswith(_STATISTICS) == statistics and not (name in after and torch.equal(after[name], value))
    }  # fmt: skip


def _weights_moved(t: Trial) -> set[str]:
    return _changed(t.seen["state_given"], t.seen["state_after_training"], statistics=False)


def _statistics_moved(t: Trial) -> set[str]:
    return _changed(t.seen["state_given"], t.seen["state_after_training"], statistics=True)


def _touched_when_frozen(t: Trial, *, statistics: bool) -> bool:
    return bool(_changed(t.seen["state_given"], t.seen["state_when_frozen"], statistics=statistics))


def _as_trial(case: Case, seen: Values, expected: Values) -> Trial:
    return Trial(case, seen, expected)


def _all_change(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    both = _changed(before, after, statistics=False) | _changed(before, after, statistics=True)
    return before.keys() == after.keys() and both == before.keys()


def _rest_learns(case: Case, seen: Values, expected: Values) -> bool:
    """Also asks that the part is frozen at all: what does nothing earns nothing."""
    return (
        not all(seen["requires_grad"].values())
        and _all_change(seen["rest_given"], seen["rest_after_training"])
        and all(seen["requires_grad_elsewhere"].values())
    )


def _opens(case: Case, seen: Values, expected: Values) -> bool:
    return (
        not all(seen["requires_grad"].values())
        and all(seen["requires_grad_open"].values())
        and (seen["mode_when_open"], seen["mode_at_rest"]) == ("train", "eval")
        and _all_change(seen["state_before_opening"], seen["state_trained_on"])
    )


_OPENED = ("first_layers", "vectors", "frozen_by_another")
# What opens a part that came frozen by other hands is asked for by one criterion: an error there costs that one only.
_FROZEN = ("first_layers", "in_the_middle", "nested", "vectors", "own_class")


def _in_frozen(trials: Sequence[Trial], predicate: Callable[[Trial], bool]) -> bool:
    """Whether it is so in all cases in which the answer itself froze the part."""
    return in_all([t for t in trials if t.case.name in _FROZEN], predicate)


def _stays_learning(t: Trial) -> bool:
    """Whether the part still learns or computes as in train mode, although it should be frozen."""
    return _gradients(t) != {0} or not close(t.seen["output_after_train"], t.expected["output_after_train"])


def _gradients(t: Trial) -> set[int]:
    return set(t.seen["requires_grad"].values())


def _normalization_modes(t: Trial) -> set[str]:
    """The modes of the part's batch normalizations after `model.train()`."""
    layers = {name.rpartition(".")[0] for name in t.seen["state_given"] if name.endswith("running_mean")}
    return {mode for name, mode in t.seen["modes_after_train"].items() if name in layers}


def _averages_moved(t: Trial) -> bool:
    """Whether running means or variances changed; the count of batches aside."""
    return any(not name.endswith("num_batches_tracked") for name in _statistics_moved(t))


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "weights",
            1,
            "the part's parameters want no gradient, and training leaves them as they are, bit by bit",
            lambda c, s, e: _gradients(_as_trial(c, s, e)) == {0} and not _weights_moved(_as_trial(c, s, e)),
            _FROZEN,
        ),
        Criterion(
            "statistics",
            1,
            "so do the statistics of its batch normalization, although `model.train()` is called",
            lambda c, s, e: not _statistics_moved(_as_trial(c, s, e)),
            _FROZEN,
        ),
        Criterion(
            "at_rest",
            1,
            "after `model.train()` the part still computes as in eval mode: no batch statistics, no dropout",
            lambda c, s, e: close(s["output_after_train"], e["output_after_train"]),
            _FROZEN,
        ),
        Criterion(
            "rest_learns",
            1,
            "the rest of the network goes on learning, what lies below the part too",
            _rest_learns,
            _FROZEN,
        ),
        Criterion(
            "the_module",
            1,
            "it is the module given that is frozen and returned, with the weights that it had",
            lambda c, s, e: (
                s["returned"] == "the module"
                and set(s["requires_grad"].values()) == {0}
                and not _touched_when_frozen(_as_trial(c, s, e), statistics=False)
                and not _touched_when_frozen(_as_trial(c, s, e), statistics=True)
            ),
            _FROZEN,
        ),
        Criterion(
            "opens",
            1,
            "with `frozen=False` the part learns again, and follows `train()` and `eval()`, whoever froze "
            "it and however often",
            _opens,
            _OPENED,
        ),
    ),
    predicates={
        "endless_recursion": lambda trials: failed_with(trials, "RecursionError"),
        "no_grad_around_it": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "in_the_middle"
                and torch.equal(t.seen["rest_given"]["stem.0.weight"], t.seen["rest_after_training"]["stem.0.weight"])
            ),
        ),
        "attribute_of_the_module": lambda trials: _in_frozen(
            trials, lambda t: 1 in _gradients(t) and "requires_grad" in t.seen["new_attributes"]
        ),
        "momentum_of_zero": lambda trials: _in_frozen(
            [t for t in trials if t.case.name != "vectors"],  # some know one kind of batch normalization only
            lambda t: (
                not _averages_moved(t)
                and _normalization_modes(t) == {"train"}
                and not close(t.seen["output_after_train"], t.expected["output_after_train"])
            ),
        ),
        "held_as_it_was": lambda trials: (
            {t.case.inputs["mode_before"] for t in ran(trials) if _statistics_moved(t)} == {"train"}
            and in_any(trials, lambda t: not _statistics_moved(t))
        ),
        "gradients_only": lambda trials: _in_frozen(
            trials, lambda t: bool(_statistics_moved(t)) and not _weights_moved(t)
        ),
        "children_only": lambda trials: (
            {t.case.name for t in ran(trials) if _stays_learning(t)} == {"own_class"}
            and not in_any(trials, lambda t: bool(_statistics_moved(t)))
        ),
        "own_train_kept_as_the_old_one": lambda trials: (
            {t.case.name for t in ran(trials) if t.seen.get("mode_when_open") == "eval"} == {"vectors"}
        ),
        "opens_only_what_it_froze": lambda trials: (
            {t.case.name for t in trials if t.error} == {"frozen_by_another"}
            or {t.case.name for t in ran(trials) if not all(t.seen.get("requires_grad_open", {}).values())}
            == {"frozen_by_another"}
        ),
    },
)
