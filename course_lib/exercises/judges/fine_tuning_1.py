"""Unit 06, first notebook, freezing: references, criteria with points, known mistakes, other right answers.

Mistakes and alternatives use only torch, F, nn and math, because a demo submission is made of their source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Criterion, Judge, Mistake, Trial, Values, close
from course_lib.exercises.judging import failed_with, in_all, in_any, ran

# --- 6.1 freeze -----------------------------------------------------------------------------------------------------


def _reference_freeze(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def held_in_every_layer(module, frozen=True):
    for layer in module.modules():
        if frozen:
            layer.training = False
            layer.__dict__["train"] = lambda mode=True, layer=layer: layer
        elif "train" in vars(layer):
            del layer.__dict__["train"]
    for parameter in module.parameters():
        parameter.requires_grad = not frozen
    return module


def of_another_class(module, frozen=True):
    if frozen and not hasattr(module, "thawed_class"):

        class Frozen(type(module)):  # type: ignore[misc]
            def train(self, mode=True):
                return super().train(False)

        module.thawed_class = type(module)
        module.__class__ = Frozen
        module.eval()
    elif not frozen and hasattr(module, "thawed_class"):
        module.__class__ = module.thawed_class
        del module.thawed_class
    return module.requires_grad_(not frozen)


def put_to_rest_before_each_call(module, frozen=True):
    if frozen:
        module.eval()
    if frozen and not hasattr(module, "rest"):
        module.rest = module.register_forward_pre_hook(lambda part, x: part.eval() and None)
    if not frozen and hasattr(module, "rest"):
        module.rest.remove()
        del module.rest
    for parameter in module.parameters():
        parameter.requires_grad_(not frozen)
    return module


def gradients_only(module, frozen=True):
    for parameter in module.parameters():
        parameter.requires_grad = not frozen
    return module


def eval_once(module, frozen=True):
    module.requires_grad_(not frozen)
    module.train(not frozen)
    return module


def nothing_happens(module, frozen=True):
    frozen_module = module
    return frozen_module


def eval_without_gradients_off(module, frozen=True):
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def attribute_of_the_module(module, frozen=True):
    module.requires_grad = not frozen
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def normalization_left_out(module, frozen=True):
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def weights_without_biases(module, frozen=True):
    for name, parameter in module.named_parameters():
        if "weight" in name:
            parameter.requires_grad = not frozen
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def only_normalization_at_rest(module, frozen=True):
    module.requires_grad_(not frozen)
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.__dict__.pop("train", None)
            layer.train(not frozen)
            if frozen:
                layer.train = lambda mode=True, layer=layer: layer  # type: ignore[method-assign, misc]
    return module


def only_normalization_of_images(module, frozen=True):
    module.requires_grad_(not frozen)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__dict__.pop("train", None)
            layer.train(not frozen)
            if frozen:
                layer.train = lambda mode=True, layer=layer: layer  # type: ignore[method-assign, misc]
    return module


def class_changed(module, frozen=True):
    module.requires_grad_(not frozen)
    type(module).train = nn.Module.train  # type: ignore[method-assign]
    module.train(not frozen)
    if frozen:
        type(module).train = lambda self, mode=True: self  # type: ignore[method-assign, misc]
    return module


def no_grad_around_it(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.__dict__.pop("forward", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
        module.forward = torch.no_grad()(module.forward)
    return module


def a_copy(module, frozen=True):
    import copy

    twin = copy.deepcopy(module)
    twin.requires_grad_(not frozen)
    twin.eval()
    twin.train = lambda mode=True: twin
    return twin


def gradients_set_to_zero(module, frozen=True):
    for parameter in module.parameters():
        if frozen:
            parameter.stop = parameter.register_hook(torch.zeros_like)
        elif hasattr(parameter, "stop"):
            parameter.stop.remove()
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def momentum_of_zero(module, frozen=True):
    module.requires_grad_(not frozen)
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = 0.0 if frozen else 0.1
    return module


def held_as_it_was(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    if frozen:
        module.train = lambda mode=True: module
    return module


def statistics_thrown_away(module, frozen=True):
    module.requires_grad_(not frozen)
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and frozen:
            layer.reset_running_stats()
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def weights_drawn_again(module, frozen=True):
    for layer in module.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
    return module


def nothing_returned(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module


def never_opened(module, frozen=True):
    module.requires_grad_(False)
    module.eval()
    module.train = lambda mode=True: module
    return module


def opened_for_gradients_only(module, frozen=True):
    module.requires_grad_(not frozen)
    if frozen:
        module.eval()
        module.train = lambda mode=True: module
    return module


def children_only(module, frozen=True):
    for child in module.children():
        child.requires_grad_(not frozen)
        child.__dict__.pop("train", None)
        child.train(not frozen)
        if frozen:
            child.train = lambda mode=True, child=child: child
    return module


def own_train_kept_as_the_old_one(module, frozen=True):
    module.requires_grad_(not frozen)
    if frozen:
        module.eval()
        module.train_before = module.train
        module.train = lambda mode=True: module
    elif hasattr(module, "train_before"):
        module.train = module.train_before
        module.train()
    return module


def opens_only_what_it_froze(module, frozen=True):
    module.requires_grad_(not frozen)
    if frozen:
        module.eval()
        module.train = lambda mode=True: module
    else:
        del module.train
        module.train()
    return module


def open_part_always_trains(module, frozen=True):
    module.requires_grad_(not frozen)
    module.train = lambda mode=True: nn.Module.train(module, not frozen)
    return module.train()


def mode_in_place_of_the_method(module, frozen=True):
    module.requires_grad_(not frozen)
    module.train = not frozen
    return module


def endless_recursion(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    if frozen:
        module.train = lambda mode=True: module.eval()
    return module


def train_without_a_mode(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda: module
    return module


def frozen_and_open_exchanged(module, frozen=True):
    module.requires_grad_(frozen)
    module.__dict__.pop("train", None)
    module.train(frozen)
    if not frozen:
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


freeze = Judge(
    reference=_reference_freeze,
    criteria=(
        Criterion(
            "weights", 1, "the part's parameters want no gradient, and training leaves them as they are, bit by bit",
            lambda c, s, e: _gradients(_as_trial(c, s, e)) == {0} and not _weights_moved(_as_trial(c, s, e)),
            _FROZEN,
        ),
        Criterion(
            "statistics", 1, "so do the statistics of its batch normalization, although `model.train()` is called",
            lambda c, s, e: not _statistics_moved(_as_trial(c, s, e)), _FROZEN,
        ),
        Criterion(
            "at_rest", 1, "after `model.train()` the part still computes as in eval mode: no batch statistics, no "
            "dropout",
            lambda c, s, e: close(s["output_after_train"], e["output_after_train"]), _FROZEN,
        ),
        Criterion(
            "rest_learns", 1, "the rest of the network goes on learning, what lies below the part too", _rest_learns,
            _FROZEN,
        ),
        Criterion(
            "the_module", 1, "it is the module given that is frozen and returned, with the weights that it had",
            lambda c, s, e: s["returned"] == "the module" and set(s["requires_grad"].values()) == {0}
            and not _touched_when_frozen(_as_trial(c, s, e), statistics=False)
            and not _touched_when_frozen(_as_trial(c, s, e), statistics=True), _FROZEN,
        ),
        Criterion(
            "opens", 1, "with `frozen=False` the part learns again, and follows `train()` and `eval()`, whoever froze "
            "it and however often", _opens, _OPENED,
        ),
    ),
    mistakes=(
        Mistake(
            "endless_recursion", endless_recursion,
            "`module.eval()` calls `module.train(False)`, which is now your own function, which calls `module.eval()` "
            "again, and so on. Go to eval mode once, before; afterwards your `train` only has to return the module.",
            behaves=lambda trials: failed_with(trials, "RecursionError"),
        ),
        Mistake(
            "mode_in_place_of_the_method", mode_in_place_of_the_method,
            "You put a value where the method `train` was, and the next `model.train()` tries to call it. "
            "`module.training` is the mode, `module.train` the function that sets it.",
            behaves=lambda trials: failed_with(trials, "object is not callable"),
        ),
        Mistake(
            "train_without_a_mode", train_without_a_mode,
            "Your `train` takes no argument, but `model.train()` hands one on to each part. Let it accept a mode.",
            behaves=lambda trials: failed_with(trials, "takes 0 positional arguments"),
        ),
        Mistake(
            "frozen_and_open_exchanged", frozen_and_open_exchanged,
            "Frozen and open are exchanged: `requires_grad` is the opposite of `frozen`.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "first_layers" and _gradients(t) == {1}
                and not any(t.seen["requires_grad_open"].values())
            ),
        ),
        Mistake(
            "a_copy", a_copy,
            "You freeze a copy; the network still uses the original, which goes on learning. Change the module that "
            "you are given.",
            behaves=lambda trials: _in_frozen(
                trials, lambda t: t.seen["returned"] == "another module" and _gradients(t) == {1}
            ),
        ),
        Mistake(
            "weights_drawn_again", weights_drawn_again,
            "The part has other weights than before: they were drawn again, and what it had learned is lost. Freezing "
            "changes no number.",
            behaves=lambda trials: _in_frozen(trials, lambda t: _touched_when_frozen(t, statistics=False)),
        ),
        Mistake(
            "statistics_thrown_away", statistics_thrown_away,
            "The running mean and variance are no longer those of the pretraining. They belong to what was learned: "
            "keep them as they are.",
            behaves=lambda trials: _in_frozen(trials, lambda t: _touched_when_frozen(t, statistics=True)),
        ),
        Mistake(
            "class_changed", class_changed,
            "You changed a class, and with it every layer of that kind: other parts of the network no longer go to "
            "train mode. Give `train` to this one module only.",
            behaves=lambda trials: in_any(
                trials, lambda t: torch.equal(
                    t.seen["rest_given"]["head.0.num_batches_tracked"],
                    t.seen["rest_after_training"]["head.0.num_batches_tracked"],
                )
            ),
        ),
        Mistake(
            "no_grad_around_it", no_grad_around_it,
            "No gradient gets through your frozen part, so the layers below it do not learn. A frozen part passes "
            "gradients on; it only keeps none for itself.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "in_the_middle"
                and torch.equal(t.seen["rest_given"]["stem.0.weight"], t.seen["rest_after_training"]["stem.0.weight"])
            ),
        ),
        Mistake(
            "gradients_set_to_zero", gradients_set_to_zero,
            "The gradients are zero, but they are there, so weight decay (and momentum) still moves the weights. "
            "Parameters that want no gradient have none, and the optimizer passes them by.",
            behaves=lambda trials: _in_frozen(trials, lambda t: _gradients(t) == {1} and _shrunk_only(t)),
        ),
        Mistake(
            "attribute_of_the_module", attribute_of_the_module,
            "`module.requires_grad = False` only writes a new attribute on the module; its parameters know nothing of "
            "it. The method ends in an underscore.",
            behaves=lambda trials: _in_frozen(
                trials, lambda t: 1 in _gradients(t) and "requires_grad" in t.seen["new_attributes"]
            ),
        ),
        Mistake(
            "normalization_left_out", normalization_left_out,
            "Scale and shift of the batch normalization still learn. They are parameters like the others: go through "
            "all of them, not through some kinds of layers.",
            behaves=lambda trials: _in_frozen(
                trials, lambda t: {n for n, flag in t.seen["requires_grad"].items() if flag and n != "weight"}
                == _normalization(t)
            ),
        ),
        Mistake(
            "weights_without_biases", weights_without_biases,
            "The biases still learn. Do not choose parameters by their names: all of the part are frozen.",
            behaves=lambda trials: _in_frozen(trials, lambda t: _still_asked(t) == {"bias"}),
        ),
        Mistake(
            "nothing_happens", nothing_happens,
            "Nothing has happened to the part: its parameters want gradients as before, and `train()` reaches it. "
            "Change both, on the module itself.",
            behaves=lambda trials: _in_frozen(
                trials, lambda t: _gradients(t) == {1} and bool(_statistics_moved(t)) and not t.seen["new_attributes"]
                and t.seen["modes_when_frozen"] == [t.case.inputs["mode_before"]]
            ),
        ),
        Mistake(
            "eval_without_gradients_off", eval_without_gradients_off,
            "The parameters still want gradients, so the part goes on learning. Eval mode is about dropout and batch "
            "statistics only.",
            behaves=lambda trials: _in_frozen(trials, lambda t: 1 in _gradients(t)),
        ),
        Mistake(
            "momentum_of_zero", momentum_of_zero,
            "The running statistics stay, but they are not used: in train mode the layer normalizes by its batch "
            "whatever the momentum is. The frozen part has to stay in eval mode.",
            behaves=lambda trials: _in_frozen(
                [t for t in trials if t.case.name != "vectors"],  # some know one kind of batch normalization only
                lambda t: not _averages_moved(t) and _normalization_modes(t) == {"train"}
                and not close(t.seen["output_after_train"], t.expected["output_after_train"])
            ),
        ),
        Mistake(
            "only_normalization_of_images", only_normalization_of_images,
            "`BatchNorm2d` is held, but the batch normalization of vectors goes on. Hold the whole part, without "
            "asking for kinds of layers.",
            behaves=lambda trials: {t.case.name for t in ran(trials) if _statistics_moved(t)} == {"vectors"},
        ),
        Mistake(
            "held_as_it_was", held_as_it_was,
            "You hold the part in the mode that it happens to have, mostly train mode, where batch normalization "
            "gathers statistics. Go to eval mode first.",
            behaves=lambda trials: {t.case.inputs["mode_before"] for t in ran(trials) if _statistics_moved(t)}
            == {"train"} and in_any(trials, lambda t: not _statistics_moved(t)),
        ),
        Mistake(
            "eval_once", eval_once,
            "You set eval mode once, and the next `model.train()` undoes it: the statistics of batch normalization "
            "move again. The part has to refuse that call.",
            behaves=lambda trials: _in_frozen(
                trials, lambda t: bool(_statistics_moved(t)) and t.seen["modes_when_frozen"] == ["eval"]
            ),
        ),
        Mistake(
            "gradients_only", gradients_only,
            "No weight moves, but the running mean and variance of batch normalization do: they are learned without "
            "gradients, in train mode. A frozen part stays in eval mode.",
            behaves=lambda trials: _in_frozen(trials, lambda t: bool(_statistics_moved(t)) and not _weights_moved(t)),
        ),
        Mistake(
            "children_only", children_only,
            "You hold what is inside the part, and not the part itself: it may have parameters of its own, and dropout "
            "that follows its own mode. Freeze the module too.",
            behaves=lambda trials: {t.case.name for t in ran(trials) if _stays_learning(t)} == {"own_class"}
            and not in_any(trials, lambda t: bool(_statistics_moved(t))),
        ),
        Mistake(
            "only_normalization_at_rest", only_normalization_at_rest,
            "Batch normalization is at rest, dropout is not: the frozen part gives another answer each time. Hold all "
            "of it in eval mode.",
            behaves=lambda trials: _in_frozen(trials, lambda t: _kept(t) and _normalization_modes(t) == {"eval"})
            and in_any(trials, lambda t: t.case.name in _FROZEN and _stays_learning(t)),
        ),
        Mistake(
            "open_part_always_trains", open_part_always_trains,
            "Once it is open again, the part stays in train mode even when `model.eval()` is called. Take your own "
            "`train` away, so that the method of the class is back.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen.get("mode_at_rest") == "train" and t.seen["mode_when_open"] == "train"
            ),
        ),
        Mistake(
            "never_opened", never_opened,
            "`frozen=False` leaves the part frozen. It should learn again.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.case.name == "first_layers" and not all(t.seen["requires_grad_open"].values())
            ),
        ),
        Mistake(
            "own_train_kept_as_the_old_one", own_train_kept_as_the_old_one,
            "Frozen twice, the part cannot be opened any more: the second time you put your own `train` away as the "
            "one to bring back. The method of the class need not be kept, only yours removed.",
            behaves=lambda trials: {t.case.name for t in ran(trials) if t.seen.get("mode_when_open") == "eval"}
            == {"vectors"},
        ),
        Mistake(
            "opened_for_gradients_only", opened_for_gradients_only,
            "Opened again, the part gets gradients but stays in eval mode: its `train` is still the one that you put "
            "there. Remove it.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen.get("mode_when_open") == "eval"),
        ),
        Mistake(
            "opens_only_what_it_froze", opens_only_what_it_froze,
            "A part that somebody else has frozen is not opened, or stops you with an error. There is no `train` of "
            "yours to take away then: ask before you remove it, and switch the gradients on in any case.",
            behaves=lambda trials: {t.case.name for t in trials if t.error} == {"frozen_by_another"}
            or {t.case.name for t in ran(trials) if not all(t.seen.get("requires_grad_open", {}).values())}
            == {"frozen_by_another"},
        ),
        Mistake(
            "nothing_returned", nothing_returned,
            "The part is frozen as it should be, but nothing comes back. Return the module.",
            behaves=lambda trials: _in_frozen(trials, lambda t: t.seen["returned"] == "None"),
        ),
    ),
    alternatives=(held_in_every_layer, of_another_class, put_to_rest_before_each_call),
)  # fmt: skip


# --- 6.2 trainable_parameters ---------------------------------------------------------------------------------------


def _reference_trainable(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def by_filter(model):
    return list(filter(lambda parameter: parameter.requires_grad, model.parameters()))


def module_by_module(model):
    found = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad:
                found[id(parameter)] = parameter
    return tuple(found.values())


def all_parameters(model):
    return list(model.parameters())


def generator_of_parameters(model):
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def names_of_parameters(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def pairs_with_names(model):
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def the_frozen_ones(model):
    return [parameter for parameter in model.parameters() if not parameter.requires_grad]


def the_head_only(model):
    return list(model.head.parameters())


def named_weight_only(model):
    return [p for name, p in model.named_parameters() if p.requires_grad and "weight" in name]


def linear_layers_only(model):
    found: list[nn.Parameter] = []
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            found += [p for p in module.parameters() if p.requires_grad and not any(p is q for q in found)]
    return found


def how_many(model):
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def data_of_parameters(model):
    return [parameter.data for parameter in model.parameters() if parameter.requires_grad]


def all_opened_first(model):
    for parameter in model.parameters():
        parameter.requires_grad = True
    return list(model.parameters())


def shared_one_twice(model):
    return [p for module in model.modules() for p in module.parameters(recurse=False) if p.requires_grad]


def every_level_again(model):
    return [p for module in model.modules() for p in module.parameters() if p.requires_grad]


def gradients_forgotten(model):
    model.zero_grad()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def those_with_a_gradient(model):
    return [parameter for parameter in model.parameters() if parameter.grad is not None]


def those_in_train_mode(model):
    found: list[nn.Parameter] = []
    for module in model.modules():
        if module.training:
            found += [p for p in module.parameters(recurse=False) if not any(p is q for q in found)]
    return found


def a_set(model):
    return {parameter for parameter in model.parameters() if parameter.requires_grad}


def without_submodules(model):
    return [parameter for parameter in model.parameters(recurse=False) if parameter.requires_grad]


def layer_by_its_first_parameter(model):
    found: list[nn.Parameter] = []
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and own[0].requires_grad:
            found += [p for p in own if not any(p is q for q in found)]
    return found


def whole_blocks_only(model):
    found = [p for p in model.parameters(recurse=False) if p.requires_grad]
    for block in [*model.blocks, model.head]:
        own = list(block.parameters())
        if all(p.requires_grad for p in own):
            found += [p for p in own if not any(p is q for q in found)]
    return found


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


trainable_parameters = Judge(
    reference=_reference_trainable,
    criteria=(
        Criterion(
            "complete", 1, "every parameter that wants a gradient is there",
            lambda c, s, e: set(e["parameters"]) <= set(s["parameters"]),
        ),
        Criterion(
            "nothing_frozen", 1, "no other is: frozen weights stay when the optimizer makes a step", _frozen_stay
        ),
        Criterion(
            "themselves", 1, "the parameters themselves, each once, as trainable or frozen as before",
            lambda c, s, e: len(set(s["parameters"])) == len(s["parameters"]) > 0
            and not any(name.startswith("another") for name in s["parameters"])
            and s["requires_grad_after"] == e["requires_grad_after"] and s["gradients_after"] == e["gradients_after"],
        ),
        Criterion(
            "a_list", 1, "a list, which can be gone through again and again",
            lambda c, s, e: s["type"] in ("list", "tuple") and len(s["parameters"]) > 0
            and s["parameters"] == s["parameters_again"],
        ),
    ),
    mistakes=(
        Mistake(
            "how_many", how_many,
            "You count the parameters. The optimizer needs the parameters themselves, in a list.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["type"] in ("int", "float", "Tensor")),
        ),
        Mistake(
            "names_of_parameters", names_of_parameters,
            "These are the names. Return the parameters.",
            behaves=lambda trials: in_all(trials, lambda t: "another str" in _listed(t)),
        ),
        Mistake(
            "pairs_with_names", pairs_with_names,
            "Each entry is a pair of a name and a parameter. Return the parameters alone.",
            behaves=lambda trials: in_all(trials, lambda t: "another tuple" in _listed(t)),
        ),
        Mistake(
            "data_of_parameters", data_of_parameters,
            "These are other tensors than the parameters: a detached or copied one has no gradient of the model. "
            "Return the parameters themselves.",
            behaves=lambda trials: in_all(
                trials, lambda t: any(name in ("another Tensor", "another Parameter") for name in _listed(t))
            ),
        ),
        Mistake(
            "all_opened_first", all_opened_first,
            "You open the frozen parameters. This function only looks: what is frozen stays so.",
            behaves=lambda trials: in_any(
                trials, lambda t: t.seen["requires_grad_after"] != t.expected["requires_grad_after"]
            ),
        ),
        Mistake(
            "gradients_forgotten", gradients_forgotten,
            "The list is right, but the gradients of the model are gone. This function only looks: who asks for the "
            "parameters between `backward()` and `step()` would lose a step.",
            behaves=lambda trials: in_all(
                trials, lambda t: set(_listed(t)) == set(_wanted(t))
                and t.seen["gradients_after"] != t.expected["gradients_after"]
            ),
        ),
        Mistake(
            "those_with_a_gradient", those_with_a_gradient,
            "You ask whether there is a gradient. A new head has none before its first step, and frozen weights may "
            "have theirs left over: whether a parameter wants one is `requires_grad`.",
            behaves=lambda trials: in_all(trials, lambda t: set(_listed(t)) == set(_below_the_head(t))),
        ),
        Mistake(
            "those_in_train_mode", those_in_train_mode,
            "You ask for the mode. Train and eval mode are about dropout and batch statistics; what learns by "
            "gradients is said by `requires_grad`, and a layer in eval mode may well do so.",
            behaves=lambda trials: in_all(trials, lambda t: set(_listed(t)) == set(_outside_what_rests(t))),
        ),
        Mistake(
            "a_set", a_set,
            "A set has no order, and an optimizer refuses it. Return a list.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["type"] in ("set", "frozenset")),
        ),
        Mistake(
            "generator_of_parameters", generator_of_parameters,
            "What you return can be gone through once; a second time it is empty, so counting the parameters would "
            "leave none for the optimizer. Square brackets, or `list(...)`.",
            behaves=lambda trials: in_any(trials, lambda t: t.seen["parameters_again"] != t.seen["parameters"]),
        ),
        Mistake(
            "every_level_again", every_level_again,
            "The same parameter is there several times: each module already gives back those of all modules below it. "
            "`model.parameters()` goes through everything once.",
            behaves=lambda trials: in_all(trials, lambda t: len(_listed(t)) > len(set(_listed(t)))),
        ),
        Mistake(
            "shared_one_twice", shared_one_twice,
            "Two layers share a weight, and you give it to the optimizer twice. `model.parameters()` names each "
            "parameter once.",
            behaves=lambda trials: in_any(trials, lambda t: len(_listed(t)) > len(set(_listed(t)))),
        ),
        Mistake(
            "all_parameters", all_parameters,
            "You hand over all parameters, the frozen ones too. Their gradients may be left over from before, or zero; "
            "momentum and weight decay then move them.",
            behaves=lambda trials: in_all(trials, lambda t: _listed(t) == list(t.seen["requires_grad_after"])),
        ),
        Mistake(
            "the_frozen_ones", the_frozen_ones,
            "These are the frozen parameters: the condition is turned round.",
            behaves=lambda trials: in_all(trials, lambda t: not set(_listed(t)) & set(_wanted(t)))
            and in_any(trials, lambda t: bool(_frozen_listed(t))),
        ),
        Mistake(
            "the_head_only", the_head_only,
            "You always hand over the head. Which parameters learn is for `requires_grad` to say: blocks may be open, "
            "and a head may be frozen.",
            behaves=lambda trials: in_all(
                trials, lambda t: bool(_listed(t)) and all(
                    name.startswith("head") or t.case.name.startswith("two_layers") for name in _listed(t)
                )
            ),
        ),
        Mistake(
            "without_submodules", without_submodules,
            "Only parameters of the outermost module are looked at, not those of its layers. Look into all of them.",
            behaves=lambda trials: in_all(trials, lambda t: set(_listed(t)) <= {"scale"})
            and in_any(trials, lambda t: bool(_listed(t))),
        ),
        Mistake(
            "named_weight_only", named_weight_only,
            "Parameters that are not called weight are left out: the biases would never learn. Ask each parameter, not "
            "its name.",
            behaves=lambda trials: in_all(
                trials, lambda t: not _frozen_listed(t) and all(not n.endswith("weight") for n in _missing(t))
            ) and in_any(trials, lambda t: any(name.endswith("bias") for name in _missing(t))),
        ),
        Mistake(
            "linear_layers_only", linear_layers_only,
            "Scale and shift of batch normalization are missing: they are parameters and learn by gradients, like the "
            "weights of other layers. Go through all parameters.",
            behaves=lambda trials: in_all(
                trials, lambda t: not _frozen_listed(t)
                and all(name == "scale" or ".1." in name for name in _missing(t))
            ) and in_any(trials, lambda t: any(".1." in name for name in _missing(t))),
        ),
        Mistake(
            "layer_by_its_first_parameter", layer_by_its_first_parameter,
            "One parameter decides for its whole layer or block. Some of it may be frozen and the rest not: ask each.",
            behaves=lambda trials: {t.case.name for t in ran(trials) if _frozen_listed(t)} == {"single_layers_frozen"}
            or (in_any(trials, lambda t: bool(_frozen_listed(t))) and in_any(trials, lambda t: bool(_missing(t)))),
        ),
        Mistake(
            "whole_blocks_only", whole_blocks_only,
            "A block with one frozen parameter is left out as a whole; its others would never learn. Ask each "
            "parameter.",
            behaves=lambda trials: {t.case.name for t in ran(trials) if _missing(t)} == {"single_layers_frozen"},
        ),
    ),
    alternatives=(by_filter, module_by_module),
)  # fmt: skip


# --- 6.3 parameter_groups -------------------------------------------------------------------------------------------


def _reference_groups(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def a_group_for_each_parameter(blocks, head, *, lr, decay):
    groups = []
    for part in [head, *blocks[::-1]]:
        groups += [{"params": [p], "lr": lr} for p in part.parameters() if p.requires_grad]
        lr = lr * decay
    return groups


def from_the_input_then_reversed(blocks, head, *, lr, decay):
    groups = []
    for number, block in enumerate(blocks):
        wanted = filter(lambda p: p.requires_grad, block.parameters())
        groups.append({"params": wanted, "lr": lr * math.pow(decay, len(blocks) - number)})
    groups.append({"params": [p for p in head.parameters() if p.requires_grad], "lr": lr})
    return groups[::-1]


def counted_from_the_input(blocks, head, *, lr, decay):
    groups = [{"params": [p for p in head.parameters() if p.requires_grad], "lr": lr}]
    for distance, block in enumerate(blocks, start=1):
        params = [p for p in block.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def head_slowest(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([*blocks, head]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def one_rate(blocks, head, *, lr, decay):
    params = [p for part in [head, *blocks] for p in part.parameters() if p.requires_grad]
    return [{"params": params, "lr": lr}]


def decayed_once(blocks, head, *, lr, decay):
    groups = [{"params": [p for p in head.parameters() if p.requires_grad], "lr": lr}]
    params = [p for block in blocks for p in block.parameters() if p.requires_grad]
    return [*groups, {"params": params, "lr": lr * decay}]


def times_the_distance(blocks, head, *, lr, decay):
    groups = [{"params": [p for p in head.parameters() if p.requires_grad], "lr": lr}]
    for distance, block in enumerate(reversed(blocks), start=1):
        params = [p for p in block.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay * distance})
    return groups


def divided(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr / decay**distance})
    return groups


def decay_on_the_head(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)], start=1):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def last_block_at_full_rate(blocks, head, *, lr, decay):
    groups = [{"params": [p for p in head.parameters() if p.requires_grad], "lr": lr}]
    for distance, block in enumerate(reversed(blocks)):
        params = [p for p in block.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def one_minus_decay(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * (1 - decay) ** distance})
    return groups


def head_forgotten(blocks, head, *, lr, decay):
    groups = []
    for distance, block in enumerate(reversed(blocks), start=1):
        params = [p for p in block.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups or [{"params": [p for p in blocks[0].parameters()], "lr": lr}]


def key_that_nobody_reads(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "learning_rate": lr * decay**distance})
    return groups


def decay_of_the_weights(blocks, head, *, lr, decay):
    groups = []
    for part in [head, *reversed(blocks)]:
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr, "weight_decay": decay})
    return groups


def frozen_ones_too(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        groups.append({"params": list(part.parameters()), "lr": lr * decay**distance})
    return groups


def modules_as_params(blocks, head, *, lr, decay):
    return [{"params": part, "lr": lr * decay**d} for d, part in enumerate([head, *reversed(blocks)])]


def pairs_of_params_and_rate(blocks, head, *, lr, decay):
    return [(list(part.parameters()), lr * decay**d) for d, part in enumerate([head, *reversed(blocks)])]


def from_the_input(blocks, head, *, lr, decay):
    groups = []
    for number, part in enumerate([*blocks, head]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay ** (len(blocks) - number)})
    return groups


def weights_alone(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for name, p in part.named_parameters() if p.requires_grad and "weight" in name]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return groups


def an_optimizer(blocks, head, *, lr, decay):
    groups = []
    for distance, part in enumerate([head, *reversed(blocks)]):
        params = [p for p in part.parameters() if p.requires_grad]
        if params:
            groups.append({"params": params, "lr": lr * decay**distance})
    return torch.optim.Adam(groups)


def _part_of(name: str) -> str:
    pieces = name.split(".")
    return "head" if pieces[0] == "head" else f"block {pieces[1]}" if pieces[0] == "blocks" else name


def _rates(t: Trial) -> dict[str, float]:
    """Part -> its rate, in units of the rate asked for; parts with several rates or of which a parameter is missing
    count by their first."""
    found: dict[str, float] = {}
    for name, rate in t.seen["rate"].items():
        found.setdefault(_part_of(name), rate)
    return found


def _rates_are(trials: Sequence[Trial], rate: Callable[[int, int, float], float], *, head: float | None = 1.0) -> bool:
    """Whether every block's rate is `rate(number, blocks, decay)`, in units of lr, and the head's is `head`."""

    def fits(t: Trial) -> bool:
        count, decay, rates = t.case.inputs["blocks"], t.case.inputs["decay"], _rates(t)
        expected = {f"block {i}": rate(i, count, decay) for i in range(count) if f"block {i}" in rates}
        if head is not None:
            expected["head"] = head
        return bool(expected) and close({part: rates[part] for part in expected}, expected)

    return in_all(trials, fits)


def _rate_of(part: str) -> Callable[[Case, Values, Values], bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        def own(values: Values) -> dict[str, float]:
            return {n: rate for n, rate in values["rate"].items() if _part_of(n).startswith(part)}

        there = {name: rate for name, rate in own(expected).items() if name in own(seen)}
        return bool(there) and close({name: own(seen)[name] for name in there}, there)

    return passes


parameter_groups = Judge(
    reference=_reference_groups,
    criteria=(
        Criterion("head", 1, "the head gets the full rate", _rate_of("head")),
        Criterion("falls", 1, "each block gets `decay` times the rate of the part above it", _rate_of("block")),
        Criterion(
            "complete", 1, "all parameters that want a gradient are there, and no others",
            lambda c, s, e: s["rate"].keys() == e["rate"].keys(),
        ),
        Criterion(
            "groups", 1, "a list of dictionaries with `params` and `lr`, the head's first, then downwards",
            lambda c, s, e: s["type"] == "list" and all("lr" in keys for keys in s["keys"])
            and all(a >= b - 1e-9 for a, b in zip(s["rates_in_order"], s["rates_in_order"][1:]))
            and not any(s["weight_decays"]),
        ),
    ),
    mistakes=(
        Mistake(
            "pairs_of_params_and_rate", pairs_of_params_and_rate,
            "The groups are pairs. An optimizer reads dictionaries with the keys `params` and `lr`.",
            behaves=lambda trials: failed_with(trials, "can only optimize Tensors", "params is float")
            or failed_with(trials, "can only optimize Tensors", "params is list"),
        ),
        Mistake(
            "modules_as_params", modules_as_params,
            "`params` holds modules. An optimizer wants the parameters of each: `part.parameters()`.",
            behaves=lambda trials: failed_with(trials, "can only optimize Tensors", "torch.nn.modules")
            or failed_with(trials, "'Linear' object is not iterable"),
        ),
        Mistake(
            "an_optimizer", an_optimizer,
            "You return an optimizer. Return the list of groups; whoever calls you chooses the optimizer.",
            behaves=lambda trials: any(
                failed_with(trials, f"'{kind}' object is not iterable") for kind in ("Adam", "AdamW", "SGD", "RMSprop")
            ),
        ),
        Mistake(
            "key_that_nobody_reads", key_that_nobody_reads,
            "No group has a key `lr`, so all learn at the optimizer's own rate, and nothing complains. An optimizer "
            "ignores keys that it does not know.",
            behaves=lambda trials: in_all(trials, lambda t: all("lr" not in keys for keys in t.seen["keys"])),
        ),
        Mistake(
            "decay_of_the_weights", decay_of_the_weights,
            "You pass `decay` on as weight decay, which pulls weights to zero. Here it is the factor between the "
            "learning rates of neighboring parts.",
            behaves=lambda trials: in_all(trials, lambda t: any(t.seen["weight_decays"])),
        ),
        Mistake(
            "head_forgotten", head_forgotten,
            "The head is in no group, so it would never learn. It comes first, with the full rate.",
            behaves=lambda trials: in_all(trials, lambda t: "head" not in _rates(t)),
        ),
        Mistake(
            "one_rate", one_rate,
            "All parts have the same rate. Multiply by `decay` at each step away from the head.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: 1.0),
        ),
        Mistake(
            "divided", divided,
            "Your rates grow towards the input: the most general layers would learn fastest. Multiply by `decay`, do "
            "not divide.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: decay ** (i - n)),
        ),
        Mistake(
            "head_slowest", head_slowest,
            "The lowest block has the full rate and the head the smallest. It is the other way round: the head knows "
            "nothing yet.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: decay**i, head=None)
            and in_any(trials, lambda t: _rates(t)["head"] < 0.99),
        ),
        Mistake(
            "counted_from_the_input", counted_from_the_input,
            "You count the blocks from the input, so the lowest gets the highest rate of all blocks. Count from the "
            "head: the last block is the first step.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: decay ** (i + 1)),
        ),
        Mistake(
            "decay_on_the_head", decay_on_the_head,
            "Everything is one factor too low: the head itself is not decayed.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(_rates(t)["head"], t.case.inputs["decay"])
            ),
        ),
        Mistake(
            "last_block_at_full_rate", last_block_at_full_rate,
            "The last block has the head's rate. It is one step away from the head, so its rate is `lr * decay`.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: decay ** (n - 1 - i)),
        ),
        Mistake(
            "decayed_once", decayed_once,
            "All blocks have the same rate. Each gets `decay` times the rate of the part above it.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: decay),
        ),
        Mistake(
            "times_the_distance", times_the_distance,
            "You multiply by the distance where a power belongs: two steps mean `decay` twice, `decay ** 2`.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: decay * (n - i)),
        ),
        Mistake(
            "one_minus_decay", one_minus_decay,
            "You multiply by `1 - decay`. `decay` itself is the factor: what is left after one step down.",
            behaves=lambda trials: _rates_are(trials, lambda i, n, decay: (1 - decay) ** (n - i)),
        ),
        Mistake(
            "frozen_ones_too", frozen_ones_too,
            "Frozen parameters are among yours. Give the optimizer only what wants a gradient.",
            behaves=lambda trials: in_any(trials, lambda t: bool(t.seen["rate"].keys() - t.expected["rate"].keys())),
        ),
        Mistake(
            "weights_alone", weights_alone,
            "Biases are missing, and would never learn. A group holds all parameters of its part that want a gradient.",
            behaves=lambda trials: in_all(
                trials, lambda t: bool(t.expected["rate"].keys() - t.seen["rate"].keys()) and all(
                    name.endswith("bias") for name in t.expected["rate"].keys() - t.seen["rate"].keys()
                )
            ),
        ),
        Mistake(
            "from_the_input", from_the_input,
            "The rates are right; only the order of the groups is not as asked for: the head first, then down to the "
            "lowest block.",
            behaves=lambda trials: in_all(
                trials, lambda t: close(t.seen["rate"], t.expected["rate"])
                and t.seen["rates_in_order"] == sorted(t.seen["rates_in_order"])
            ),
        ),
    ),
    alternatives=(a_group_for_each_parameter, from_the_input_then_reversed),
)  # fmt: skip


# --- 6.4 gradual_unfreezing -----------------------------------------------------------------------------------------


def _reference_unfreezing(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def the_new_block_only(blocks, optimizer, stage, *, lr):
    if stage == 0:
        for block in blocks:
            block.requires_grad_(False)
    else:
        block = blocks[-stage]
        block.requires_grad_(True)
        optimizer.add_param_group({"params": block.parameters(), "lr": lr})


def split_in_two(blocks, optimizer, stage, *, lr):
    first_open = len(blocks) - stage
    for block in blocks[:first_open]:
        for parameter in block.parameters():
            parameter.requires_grad = False
    held = [p for group in optimizer.param_groups for p in group["params"]]
    for block in reversed(blocks[first_open:]):
        for parameter in block.parameters():
            parameter.requires_grad = True
            if not any(parameter is p for p in held):
                optimizer.add_param_group({"params": [parameter], "lr": lr})


def never_handed_over(blocks, optimizer, stage, *, lr):
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= len(blocks) - stage)


def from_the_bottom(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        block.requires_grad_(number < stage)
        new = [p for p in block.parameters() if id(p) not in known]
        if number < stage and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def all_at_once(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for block in blocks:
        block.requires_grad_(stage > 0)
        new = [p for p in block.parameters() if id(p) not in known]
        if stage > 0 and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def one_too_many(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - 1 - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def one_too_few(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) + 1 - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def minus_zero(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for block in blocks:
        block.requires_grad_(False)
    for block in blocks[-stage:]:
        block.requires_grad_(True)
        new = [p for p in block.parameters() if id(p) not in known]
        if new:
            optimizer.add_param_group({"params": new, "lr": lr})


def only_this_block(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number == len(blocks) - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})


def handed_over_again(blocks, optimizer, stage, *, lr):
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        block.requires_grad_(is_open)
        if is_open:
            optimizer.add_param_group({"params": block.parameters(), "lr": lr})


def handed_over_but_closed(blocks, optimizer, stage, *, lr):
    if stage == 0:
        for block in blocks:
            block.requires_grad_(False)
    else:
        optimizer.add_param_group({"params": blocks[-stage].parameters(), "lr": lr})


def head_dropped(blocks, optimizer, stage, *, lr):
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= len(blocks) - stage)
    opened = [p for block in blocks for p in block.parameters() if p.requires_grad]
    if opened:
        optimizer.param_groups.clear()
        optimizer.add_param_group({"params": opened, "lr": lr})


def rate_of_the_head(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        block.requires_grad_(is_open)
        if is_open:
            optimizer.param_groups[0]["params"] += [p for p in block.parameters() if id(p) not in known]


def rate_of_all_changed(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        is_open = number >= len(blocks) - stage
        block.requires_grad_(is_open)
        new = [p for p in block.parameters() if id(p) not in known]
        if is_open and new:
            optimizer.add_param_group({"params": new, "lr": lr})
    for group in optimizer.param_groups:
        group["lr"] = lr


def lower_blocks_never_closed(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for block in blocks[len(blocks) - stage :]:
        block.requires_grad_(True)
        new = [p for p in block.parameters() if id(p) not in known]
        if new:
            optimizer.add_param_group({"params": new, "lr": lr})


def all_handed_over_at_once(blocks, optimizer, stage, *, lr):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= len(blocks) - stage)
        new = [p for p in block.parameters() if id(p) not in known]
        if new:
            optimizer.add_param_group({"params": new, "lr": lr})


def a_new_optimizer(blocks, optimizer, stage, *, lr):
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= len(blocks) - stage)
    opened = [p for block in blocks for p in block.parameters() if p.requires_grad]
    if opened:
        optimizer = torch.optim.SGD(opened, lr=lr)
    return optimizer


def _blocks_of(t: Trial) -> int:
    return t.case.inputs["blocks"]


def _open_blocks(t: Trial, stage: int) -> set[int]:
    found = t.seen["open"][stage]
    return {i for i in range(_blocks_of(t)) if found[f"block {i}"] == "open"}


def _opens_as(trials: Sequence[Trial], rule: Callable[[int, int, int], bool]) -> bool:
    """Whether at each stage just the blocks with `rule(number, blocks, stage)` are open."""
    return in_all(
        trials,
        lambda t: all(
            _open_blocks(t, stage) == {i for i in range(_blocks_of(t)) if rule(i, _blocks_of(t), stage)}
            for stage in range(_blocks_of(t) + 1)
        ),
    )


def _right_blocks(trials: Sequence[Trial]) -> bool:
    return _opens_as(trials, lambda i, n, stage: i >= n - stage)


def _top(case: Case, stage: int) -> list[str]:
    return [f"block {i}" for i in range(case.inputs["blocks"]) if i >= case.inputs["blocks"] - stage]


def _below(case: Case, stage: int) -> list[str]:
    return [f"block {i}" for i in range(case.inputs["blocks"]) if i < case.inputs["blocks"] - stage]


def _at_every_stage(key: str, parts: Callable[[Case, int], list[str]], word: str) -> Callable[..., bool]:
    def passes(case: Case, seen: Values, expected: Values) -> bool:
        stages = range(case.inputs["blocks"] + 1)
        return all(seen[key][stage][part] == word for stage in stages for part in parts(case, stage))

    return passes


def _some_held(t: Trial, stage: int, part: str) -> bool:
    return t.seen["held"][stage].get(part, 0) > 0


gradual_unfreezing = Judge(
    reference=_reference_unfreezing,
    criteria=(
        Criterion(
            "closed", 1, "the blocks below the top `stage` are closed, at stage 0 all of them",
            _at_every_stage("open", _below, "closed"),
        ),
        Criterion(
            "opened", 1, "the top `stage` blocks are open",
            lambda c, s, e: _at_every_stage("open", _top, "open")(c, s, e) and s["open"][0]["block 0"] == "closed",
        ),
        Criterion(
            "handed_over", 1, "the optimizer holds the head and the open blocks, each parameter once, and no others",
            lambda c, s, e: s["held"] == e["held"],
        ),
        Criterion(
            "rates", 1, "a block that opens gets the rate `lr`, and the head keeps its own",
            lambda c, s, e: all(
                part in s["rates"][k] and close(s["rates"][k][part], c.inputs["lr"])
                for k in range(c.inputs["blocks"] + 1) for part in _top(c, k)
            ) and all(close(s["rates"][k].get("head"), e["rates"][k]["head"]) for k in range(c.inputs["blocks"] + 1)),
        ),
        Criterion(
            "learns", 1, "in training, what is open moves and what is closed stays, and the head goes on as before",
            lambda c, s, e: s["moved"] == e["moved"] and s["state_of_head"] == e["state_of_head"],
        ),
    ),
    mistakes=(
        Mistake(
            "handed_over_again", handed_over_again,
            "You hand over blocks that the optimizer already holds, and it refuses them: some parameters appear in "
            "more than one group. Add only those that it does not know.",
            behaves=lambda trials: failed_with(trials, "more than one parameter group"),
        ),
        Mistake(
            "minus_zero", minus_zero,
            "At stage 0 everything is open: `blocks[-0:]` is the whole list. Count from the front instead, "
            "`len(blocks) - stage`.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: stage == 0 or i >= n - stage),
        ),
        Mistake(
            "lower_blocks_never_closed", lower_blocks_never_closed,
            "The lower blocks are never closed: you rely on somebody having frozen them before. Set both, open and "
            "closed, at every stage.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: True),
        ),
        Mistake(
            "from_the_bottom", from_the_bottom,
            "You open the blocks nearest to the input first. They are the most general ones and come last: begin with "
            "the block below the head.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: i < stage),
        ),
        Mistake(
            "all_at_once", all_at_once,
            "At stage 1 all blocks open. Each stage opens one more.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: stage > 0),
        ),
        Mistake(
            "one_too_many", one_too_many,
            "One block too many is open: at stage 0 only the head learns.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: i >= n - 1 - stage),
        ),
        Mistake(
            "one_too_few", one_too_few,
            "One block too few is open: at stage 1 the top block learns already.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: i >= n + 1 - stage),
        ),
        Mistake(
            "only_this_block", only_this_block,
            "Each stage opens its block and closes the one before. What was opened stays open.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: i == n - stage),
        ),
        Mistake(
            "handed_over_but_closed", handed_over_but_closed,
            "The optimizer gets the blocks, but they want no gradient, so they never move. Open them as well.",
            behaves=lambda trials: _opens_as(trials, lambda i, n, stage: False),
        ),
        Mistake(
            "head_dropped", head_dropped,
            "The optimizer has lost the head: you replaced what it held. Add a group to those that are there.",
            behaves=lambda trials: in_any(trials, lambda t: not _some_held(t, _blocks_of(t), "head")),
        ),
        Mistake(
            "a_new_optimizer", a_new_optimizer,
            "You make an optimizer of your own; whoever called you still uses the old one, which knows nothing of the "
            "new blocks. Add to the optimizer that you are given: `optimizer.add_param_group`.",
            behaves=lambda trials: _right_blocks(trials) and in_any(
                trials, lambda t: t.seen["returned"][-1] in ("SGD", "Adam", "AdamW")
                and not _some_held(t, _blocks_of(t), f"block {_blocks_of(t) - 1}")
            ),
        ),
        Mistake(
            "never_handed_over", never_handed_over,
            "The blocks are open but never move: the optimizer was made before and does not hold them. Hand over the "
            "parameters of each block that opens.",
            behaves=lambda trials: _right_blocks(trials)
            and in_any(trials, lambda t: not _some_held(t, _blocks_of(t), f"block {_blocks_of(t) - 1}")),
        ),
        Mistake(
            "all_handed_over_at_once", all_handed_over_at_once,
            "The optimizer holds closed blocks too. Left-over gradients or momentum could move them: hand over a block "
            "when it opens.",
            behaves=lambda trials: _right_blocks(trials) and in_any(trials, lambda t: _some_held(t, 0, "block 0")),
        ),
        Mistake(
            "rate_of_all_changed", rate_of_all_changed,
            "The head's learning rate has changed too. `lr` is for the blocks that open.",
            behaves=lambda trials: _right_blocks(trials) and in_any(
                trials, lambda t: not close(t.seen["rates"][-1].get("head"), t.expected["rates"][-1]["head"])
            ),
        ),
        Mistake(
            "rate_of_the_head", rate_of_the_head,
            "The new blocks learn at the optimizer's own rate, not at `lr`. Give them a group of their own that says "
            "its rate.",
            behaves=lambda trials: _right_blocks(trials) and in_any(
                trials, lambda t: close(
                    t.seen["rates"][-1].get(f"block {_blocks_of(t) - 1}"), t.expected["rates"][-1]["head"]
                )
            ),
        ),
    ),
    alternatives=(the_new_block_only, split_in_two),
)  # fmt: skip


# --- 6.5 tune_blocks ------------------------------------------------------------------------------------------------


def _reference_tune(blocks, head, chosen):
    head.requires_grad_(True)
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(number in chosen)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def closed_then_opened(blocks, head, chosen):
    for part in [*blocks, head]:
        part.requires_grad_(False)
    wanted = [blocks[number] for number in chosen] + [head]
    return [p.requires_grad_() for part in wanted for p in part.parameters()]


def parameter_by_parameter(blocks, head, chosen):
    parameters = []
    for number, part in enumerate([*blocks, head]):
        for parameter in part.parameters():
            parameter.requires_grad = number in chosen or part is head
            if parameter.requires_grad:
                parameters.append(parameter)
    return parameters


def everything_above(blocks, head, chosen):
    first = min(chosen, default=len(blocks))
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= first)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def from_first_to_last(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(bool(chosen) and min(chosen) <= number <= max(chosen))
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def chosen_ones_frozen(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(number not in chosen)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def counted_from_one(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks, start=1):
        block.requires_grad_(number in chosen)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def as_many_from_the_top(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= len(blocks) - len(chosen))
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def head_left_out(blocks, head, chosen):
    parameters = []
    for number, block in enumerate(blocks):
        block.requires_grad_(number in chosen)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def head_frozen_too(blocks, head, chosen):
    parameters = []
    for part in [*blocks, head]:
        part.requires_grad_(False)
    for number in chosen:
        blocks[number].requires_grad_(True)
        parameters += list(blocks[number].parameters())
    return parameters


def closed_for_good(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        if number not in chosen:
            block.requires_grad_(False)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def never_closed_again(blocks, head, chosen):
    parameters = list(head.parameters())
    if all(p.requires_grad for block in blocks for p in block.parameters()):
        for block in blocks:
            block.requires_grad_(False)
    for number in chosen:
        blocks[number].requires_grad_(True)
    return parameters + [p for block in blocks for p in block.parameters() if p.requires_grad]


def all_returned(blocks, head, chosen):
    for number, block in enumerate(blocks):
        block.requires_grad_(number in chosen)
    return [p for part in [*blocks, head] for p in part.parameters()]


def listed_but_not_frozen(blocks, head, chosen):
    return [p for part in [head, *(blocks[number] for number in chosen)] for p in part.parameters()]


def gradient_cut_off(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.__dict__.pop("forward", None)
        block.requires_grad_(number in chosen)
        if number not in chosen:
            block.forward = torch.no_grad()(block.forward)
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def no_list(blocks, head, chosen):
    for number, block in enumerate(blocks):
        block.requires_grad_(number in chosen)


def the_first_choice_only(blocks, head, chosen):
    parameters = list(head.parameters())
    for number, block in enumerate(blocks):
        block.requires_grad_(number in chosen[:1])
        parameters += [p for p in block.parameters() if p.requires_grad]
    return parameters


def _chosen(case: Case, call: str) -> set[int]:
    return {int(number) for number in case.inputs[call].split()}


def _open_after(t: Trial, call: str) -> set[int]:
    return {i for i in range(_blocks_of(t)) if t.seen[f"open_{call}"][f"block {i}"] == "open"}


def _tunes_as(trials: Sequence[Trial], rule: Callable[[int, int, set[int]], bool]) -> bool:
    """Whether after each call just the blocks with `rule(number, blocks, chosen)` are open."""
    return in_all(
        trials,
        lambda t: all(
            _open_after(t, call) == {i for i in range(_blocks_of(t)) if rule(i, _blocks_of(t), _chosen(t.case, call))}
            for call in ("first", "then")
        ),
    )


def _blocks_are(key: str, wanted: bool, word: str) -> Callable[[Case, Values], bool]:
    """Whether, after the first call, the chosen blocks (or the others) are all as the word says."""
    return lambda case, seen: all(
        seen[f"{key}_first"][f"block {i}"] == word
        for i in range(case.inputs["blocks"])
        if (i in _chosen(case, "first")) == wanted
    )


tune_blocks = Judge(
    reference=_reference_tune,
    criteria=(
        Criterion(
            "chosen", 1, "the chosen blocks are open and move in training, frozen blocks above them or not",
            lambda c, s, e: _blocks_are("open", True, "open")(c, s) and _blocks_are("moved", True, "moved")(c, s)
            and s["open_first"]["head"] == "open",
        ),
        Criterion(
            "others", 1, "all other blocks are closed and stay",
            lambda c, s, e: _blocks_are("open", False, "closed")(c, s) and _blocks_are("moved", False, "stayed")(c, s),
        ),
        Criterion(
            "list", 1, "the list holds the parameters of the head and of the chosen blocks, each once",
            lambda c, s, e: s["returned_first"] == e["returned_first"],
        ),
        Criterion(
            "again", 1, "another choice on the same network opens what was closed and closes what was open",
            lambda c, s, e: all(close(s[key], e[key]) for key in ("open_then", "moved_then", "returned_then")),
        ),
    ),
    mistakes=(
        Mistake(
            "no_list", no_list,
            "Nothing comes back. Return the list of parameters that the optimizer shall hold.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["returned_first"] == "NoneType"),
        ),
        Mistake(
            "listed_but_not_frozen", listed_but_not_frozen,
            "The list is right, but the other blocks still want gradients: they cost time and memory, and any "
            "optimizer made of `model.parameters()` would move them. Freeze them.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: True)
            and in_all(trials, lambda t: t.seen["returned_first"] == t.expected["returned_first"]),
        ),
        Mistake(
            "chosen_ones_frozen", chosen_ones_frozen,
            "You freeze the chosen blocks and train the others. `chosen` are those that learn.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: i not in chosen),
        ),
        Mistake(
            "everything_above", everything_above,
            "From the lowest chosen block upwards everything is open. Blocks above it that nobody chose stay frozen.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: bool(chosen) and i >= min(chosen)),
        ),
        Mistake(
            "from_first_to_last", from_first_to_last,
            "Blocks between two chosen ones are open although nobody chose them. Ask for each block by itself.",
            behaves=lambda trials: _tunes_as(
                trials, lambda i, n, chosen: bool(chosen) and min(chosen) <= i <= max(chosen)
            ),
        ),
        Mistake(
            "counted_from_one", counted_from_one,
            "Your blocks count from 1. Block 0 is the one next to the input.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: i + 1 in chosen)
            or _tunes_as(trials, lambda i, n, chosen: i in {(number - 1) % n for number in chosen}),
        ),
        Mistake(
            "as_many_from_the_top", as_many_from_the_top,
            "You open as many blocks as were chosen, but counted from the top. `chosen` says which.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: i >= n - len(chosen)),
        ),
        Mistake(
            "the_first_choice_only", the_first_choice_only,
            "Only the first of the chosen blocks is open. `chosen` may name several.",
            behaves=lambda trials: in_any(trials, lambda t: len(_chosen(t.case, "first")) > 1) and in_all(
                trials, lambda t: len(_open_after(t, "first")) == min(1, len(_chosen(t.case, "first")))
            ),
        ),
        Mistake(
            "head_frozen_too", head_frozen_too,
            "The head is frozen. It is new and always learns.",
            behaves=lambda trials: in_all(trials, lambda t: t.seen["open_first"]["head"] == "closed"),
        ),
        Mistake(
            "gradient_cut_off", gradient_cut_off,
            "A chosen block below a frozen one is open but does not move: your frozen block lets no gradient through. "
            "It needs none for itself, the ones below do.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: i in chosen)
            and in_any(trials, lambda t: t.case.name == "the_lowest" and t.seen["moved_first"]["block 0"] == "stayed"),
        ),
        Mistake(
            "closed_for_good", closed_for_good,
            "A block that was closed once stays closed when another call chooses it. Set each block every time, open "
            "or closed.",
            behaves=lambda trials: in_any(trials, lambda t: bool(_chosen(t.case, "then") - _open_after(t, "then")))
            and in_all(trials, lambda t: _open_after(t, "first") == _chosen(t.case, "first")),
        ),
        Mistake(
            "never_closed_again", never_closed_again,
            "A block that was open once stays open when another call does not choose it. Set each block every time, "
            "open or closed.",
            behaves=lambda trials: in_any(trials, lambda t: bool(_open_after(t, "then") - _chosen(t.case, "then")))
            and in_all(trials, lambda t: _open_after(t, "first") == _chosen(t.case, "first")),
        ),
        Mistake(
            "all_returned", all_returned,
            "The list holds frozen parameters as well. Weight decay and momentum move what an optimizer holds: list "
            "only what is open.",
            behaves=lambda trials: _tunes_as(trials, lambda i, n, chosen: i in chosen) and in_any(
                trials, lambda t: isinstance(t.seen["returned_first"], list)
                and bool(set(t.seen["returned_first"]) - set(t.expected["returned_first"]))
            ),
        ),
        Mistake(
            "head_left_out", head_left_out,
            "The list lacks the head, so nothing would learn to answer. The head is always trained.",
            behaves=lambda trials: in_all(
                trials, lambda t: not any(name.startswith("head") for name in t.seen["returned_first"])
            ),
        ),
    ),
    alternatives=(closed_then_opened, parameter_by_parameter),
)  # fmt: skip

JUDGES = {
    "freeze": freeze,
    "trainable_parameters": trainable_parameters,
    "parameter_groups": parameter_groups,
    "gradual_unfreezing": gradual_unfreezing,
    "tune_blocks": tune_blocks,
}
