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


def _still_asked(t: Trial) -> set[str]:
    """The endings of the parameters' names that still want gradients: weight, bias."""
    return {name.rpartition(".")[2] for name, flag in t.seen["requires_grad"].items() if flag}


def _normalization(t: Trial) -> set[str]:
    """The names of the parameters that belong to batch normalization."""
    layers = {name.rpartition(".")[0] for name in t.seen["state_given"] if name.endswith("running_mean")}
    return {name for name in t.seen["requires_grad"] if name.rpartition(".")[0] in layers}


def _shrunk_only(t: Trial) -> bool:
    """Two steps of weight decay at rate 0.05 and decay 0.2, and nothing else."""
    given, after = t.seen["state_given"], t.seen["state_after_training"]
    return all(close(after[name], given[name] * 0.99**2) for name in t.seen["requires_grad"])


def _kept(t: Trial) -> bool:
    return not _weights_moved(t) and not _statistics_moved(t)


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
        "mode_in_place_of_the_method": lambda trials: failed_with(trials, "object is not callable"),
        "train_without_a_mode": lambda trials: failed_with(trials, "takes 0 positional arguments"),
        "frozen_and_open_exchanged": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "first_layers"
                and _gradients(t) == {1}
                and not any(t.seen["requires_grad_open"].values())
            ),
        ),
        "a_copy": lambda trials: _in_frozen(
            trials, lambda t: t.seen["returned"] == "another module" and _gradients(t) == {1}
        ),
        "weights_drawn_again": lambda trials: _in_frozen(trials, lambda t: _touched_when_frozen(t, statistics=False)),
        "statistics_thrown_away": lambda trials: _in_frozen(trials, lambda t: _touched_when_frozen(t, statistics=True)),
        "class_changed": lambda trials: in_any(
            trials,
            lambda t: torch.equal(
                t.seen["rest_given"]["head.0.num_batches_tracked"],
                t.seen["rest_after_training"]["head.0.num_batches_tracked"],
            ),
        ),
        "no_grad_around_it": lambda trials: in_any(
            trials,
            lambda t: (
                t.case.name == "in_the_middle"
                and torch.equal(t.seen["rest_given"]["stem.0.weight"], t.seen["rest_after_training"]["stem.0.weight"])
            ),
        ),
        "gradients_set_to_zero": lambda trials: _in_frozen(trials, lambda t: _gradients(t) == {1} and _shrunk_only(t)),
        "attribute_of_the_module": lambda trials: _in_frozen(
            trials, lambda t: 1 in _gradients(t) and "requires_grad" in t.seen["new_attributes"]
        ),
        "normalization_left_out": lambda trials: _in_frozen(
            trials,
            lambda t: {n for n, flag in t.seen["requires_grad"].items() if flag and n != "weight"} == _normalization(t),
        ),
        "weights_without_biases": lambda trials: _in_frozen(trials, lambda t: _still_asked(t) == {"bias"}),
        "nothing_happens": lambda trials: _in_frozen(
            trials,
            lambda t: (
                _gradients(t) == {1}
                and bool(_statistics_moved(t))
                and not t.seen["new_attributes"]
                and t.seen["modes_when_frozen"] == [t.case.inputs["mode_before"]]
            ),
        ),
        "eval_without_gradients_off": lambda trials: _in_frozen(trials, lambda t: 1 in _gradients(t)),
        "momentum_of_zero": lambda trials: _in_frozen(
            [t for t in trials if t.case.name != "vectors"],  # some know one kind of batch normalization only
            lambda t: (
                not _averages_moved(t)
                and _normalization_modes(t) == {"train"}
                and not close(t.seen["output_after_train"], t.expected["output_after_train"])
            ),
        ),
        "only_normalization_of_images": lambda trials: (
            {t.case.name for t in ran(trials) if _statistics_moved(t)} == {"vectors"}
        ),
        "held_as_it_was": lambda trials: (
            {t.case.inputs["mode_before"] for t in ran(trials) if _statistics_moved(t)} == {"train"}
            and in_any(trials, lambda t: not _statistics_moved(t))
        ),
        "eval_once": lambda trials: _in_frozen(
            trials, lambda t: bool(_statistics_moved(t)) and t.seen["modes_when_frozen"] == ["eval"]
        ),
        "gradients_only": lambda trials: _in_frozen(
            trials, lambda t: bool(_statistics_moved(t)) and not _weights_moved(t)
        ),
        "children_only": lambda trials: (
            {t.case.name for t in ran(trials) if _stays_learning(t)} == {"own_class"}
            and not in_any(trials, lambda t: bool(_statistics_moved(t)))
        ),
        "only_normalization_at_rest": lambda trials: (
            _in_frozen(trials, lambda t: _kept(t) and _normalization_modes(t) == {"eval"})
            and in_any(trials, lambda t: t.case.name in _FROZEN and _stays_learning(t))
        ),
        "open_part_always_trains": lambda trials: in_any(
            trials, lambda t: t.seen.get("mode_at_rest") == "train" and t.seen["mode_when_open"] == "train"
        ),
        "never_opened": lambda trials: in_any(
            trials, lambda t: t.case.name == "first_layers" and not all(t.seen["requires_grad_open"].values())
        ),
        "own_train_kept_as_the_old_one": lambda trials: (
            {t.case.name for t in ran(trials) if t.seen.get("mode_when_open") == "eval"} == {"vectors"}
        ),
        "opened_for_gradients_only": lambda trials: in_any(trials, lambda t: t.seen.get("mode_when_open") == "eval"),
        "opens_only_what_it_froze": lambda trials: (
            {t.case.name for t in trials if t.error} == {"frozen_by_another"}
            or {t.case.name for t in ran(trials) if not all(t.seen.get("requires_grad_open", {}).values())}
            == {"frozen_by_another"}
        ),
        "nothing_returned": lambda trials: _in_frozen(trials, lambda t: t.seen["returned"] == "None"),
    },
)
