"""`adapt_statistics`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from course_lib.exercises.asking import all_of, as_expected, changed, everywhere, of_this_network, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


def reference(model, images):
    """Layer by layer: each batch normalization is given the mean and variance of what reaches it."""
    adapted = copy.deepcopy(model).eval()
    x = images
    with torch.no_grad():
        for layer in adapted.modules():
            if isinstance(layer, _BatchNorm):
                dims = [0, *range(2, x.ndim)]
                layer.running_mean.copy_(x.mean(dims))
                layer.running_var.copy_(x.var(dims, unbiased=True))
                x = F.batch_norm(x, x.mean(dims), x.var(dims, unbiased=False), layer.weight, layer.bias, eps=layer.eps)
            elif not isinstance(layer, torch.nn.Sequential):
                x = layer(x)
    return adapted


_ONE = ("plain", "own_momentum", "one_image", "bright", "transposed", "vectors")
_DEEP = ("two_layers", "without_momentum", "dropout")
_statistics = all_of(lambda case, seen, expected: "means" in seen, as_expected("means", "variances", atol=1e-4))


def _kept(case: Case, seen: Values, expected: Values) -> bool:
    """The model given is as it was, and the copy has its weights."""
    return (
        seen["returned"].startswith("another")
        and not changed(seen["given"], seen["given_after"])
        and seen["mode_given_after"] == expected["mode_given_after"]
        and close(seen.get("weights"), expected["weights"], atol=1e-7)
    )


def _mixed(t: Trial) -> bool:
    """Whether all statistics are the same share of the way from the old ones to the new ones."""
    if "means" not in t.seen:
        return False
    (name, new), *_ = t.expected["means"].items()
    way = (t.seen["means"][name] - t.seen["given"][name]) / (new - t.seen["given"][name])
    return close(way, way.mean().expand_as(way), atol=1e-3) and 0.02 < float(way.mean()) < 0.98


def _adapted(t: Trial) -> bool:
    return "means" in t.seen and close(t.seen["means"], t.expected["means"], atol=1e-4)


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "statistics", 2, "the running statistics are those of the images alone",
            of_this_network(_statistics, "given"), _ONE,
        ),
        Criterion(
            "deeper", 1, "deeper layers have the statistics of what reaches them now, without dropout",
            of_this_network(_statistics, "given"), _DEEP,
        ),
        Criterion("kept", 1, "the weights are kept, and the model given stays as it was", _kept, form=True),
        Criterion(
            "eval_mode", 1, "a network in eval mode is returned, and it predicts with the new statistics",
            lambda case, seen, expected: seen.get("mode") == "eval" and as_expected("output")(case, seen, expected),
            form=True,
        ),
    ),
    predicates={
        "nothing_returned": everywhere(lambda t: "mode" not in t.seen),
        "changes_the_model_given": somewhere(lambda t: _adapted(t) and changed(t.seen["given"], t.seen["given_after"])),
        "left_in_train_mode": everywhere(lambda t: _adapted(t) and t.seen["mode"] != "eval", *_ONE),
        "old_ones_mixed_in": everywhere(_mixed, "plain", "one_image", "vectors"),
        "statistics_of_each_batch": everywhere(lambda t: t.seen.get("means") == {}),
    },
)  # fmt: skip
