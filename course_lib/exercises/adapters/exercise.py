"""What exercises of notebook 11a share or are tried on: small networks, and what is seen of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Values, seeded
from course_lib.exercises.observing import gradient_of, state_of


def with_drawn_weights(module: nn.Module, seed: int) -> nn.Module:
    """The module with weights as if they had been learned: none is left at the value that layers begin with."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator) + 0.1)
    return module


def requires_grad(module: nn.Module) -> dict[str, int]:
    """Parameter -> 1 if it requires a gradient, else 0."""
    return {name: int(parameter.requires_grad) for name, parameter in module.named_parameters()}


def named_parts(parameters: Any, model: nn.Module) -> list[str]:
    """The names of parameters of a model, as listed; "another Tensor" for what is none of the model's."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names.get(id(parameter), f"another {type(parameter).__name__}") for parameter in parameters]


# --- for trainable_biases ---------------------------------------------------------------------------------------------


class _Scaled(nn.Module):
    """A layer with a scale and a bias of its own, beside the layer inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias_scale = nn.Linear(width, width, bias=False)  # a module of this name has a weight, not a bias
        self.shift = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(width))


def network_with_biases(kind: str, width: int) -> nn.ModuleDict:
    encoder: nn.Module
    if kind == "images":
        encoder = nn.Sequential(nn.Conv2d(1, width, 3, bias=False), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))
    elif kind == "text":
        parts = {"norm": nn.LayerNorm(width), "attention": nn.MultiheadAttention(width, 1)}
        encoder = nn.Sequential(nn.Embedding(7, width), nn.ModuleDict(parts), nn.GRU(width, 3))
    else:
        encoder = nn.Sequential(_Scaled(width), nn.Sequential(nn.Linear(width, 1), nn.Linear(1, width)))
    if kind == "shared":
        encoder[1][1].bias = encoder[0].bias  # type: ignore[index]
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))
    return nn.ModuleDict({"encoder": encoder, "head": head})


# --- for LoRALinear -------------------------------------------------------------------------------------------------


def _put(layer: nn.Module, name: str, value: Tensor) -> Tensor | None:
    """Gives a parameter of the answer other values; None where it has no parameter of this shape."""
    own = getattr(layer, name, None)
    if not isinstance(own, Tensor) or own.shape != value.shape:
        return None
    own.data.copy_(value)
    return own


def _of_merged(merged: Any, x: Tensor) -> Values:
    """What is seen of the merged layer."""
    seen: Values = {"merged_type": type(merged).__name__, "merged_output": None, "merged_weight": None}
    if isinstance(merged, nn.Linear):
        weights = {"merged_weight": merged.weight.detach().clone(), "merged_bias": str(merged.bias is not None)}
        return seen | {"merged_output": merged(x).detach()} | weights
    return seen


def observe_low_rank(make: Callable[..., Any], case: Case) -> Values:
    """What is seen of a `LoRALinear`: at the start, with other values in `a` and `b`, and merged."""
    given, x = case.inputs, case.inputs["input"]
    linear = nn.Linear(x.shape[-1], given["out_features"], bias=given["bias"])
    with_drawn_weights(linear, given["seed"]).to(x)
    before, plain = state_of(linear), linear(x).detach()
    generator = seeded(given["seed"])
    seen: Values = {"global_state_before": torch.get_rng_state().clone(), "linear_before": before}
    layer = make(linear, given["rank"], alpha=given["alpha"], generator=generator)
    seen["global_state_after"] = torch.get_rng_state().clone()
    if not isinstance(layer, nn.Module):
        return seen | {"requires_grad": {}, "kept": type(layer).__name__}
    start = {name: getattr(layer, name, None) for name in ("a", "b")}
    if case.name == "large":  # elsewhere what is drawn would tell every answer from every other
        other = make(linear, given["rank"], alpha=given["alpha"], generator=generator)
        seen |= {"a_drawn": start["a"].detach().clone() if isinstance(start["a"], Tensor) else None}
        seen |= {"a_drawn_next": getattr(other, "a", None)}
    seen |= {
        "kept": "the layer given" if getattr(layer, "linear", None) is linear else "another layer",
        "requires_grad": requires_grad(layer),
        "b_at_start": start["b"].detach().clone() if isinstance(start["b"], Tensor) else None,
        "change_at_start": layer(x).detach() - plain,
    }
    a, b = _put(layer, "a", given["a"]), _put(layer, "b", given["b"])
    output = layer(x)
    seen["output"] = output.detach().clone()
    if output.requires_grad:
        output.square().sum().backward()
    for name, leaf in (("a", a), ("b", b)):
        seen[f"gradient_{name}"] = gradient_of(leaf) if leaf is not None and leaf.is_leaf else None
    merge: Any = layer.merged
    merged = merge()
    seen |= _of_merged(merged, x)
    again = _of_merged(merge(), x)["merged_weight"]
    if isinstance(merged, nn.Module):
        with torch.no_grad():
            for parameter in merged.parameters():
                parameter.add_(1.0)
    seen |= {"merged_again": again, "linear_after": state_of(linear)}
    return seen | {"output_after_merging": layer(x).detach()}


# --- for add_adapters -----------------------------------------------------------------------------------------------


class _Own(nn.Module):
    """Layers as attributes, in a list and in a dictionary; `tie` uses one linear layer at two places."""

    def __init__(self, width: int, *, tie: bool) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.Sequential(nn.Linear(width, width)))
        self.several = nn.ModuleList([nn.Linear(width, width), nn.Tanh()])
        self.named = nn.ModuleDict({"first": nn.Linear(width, width), "second": nn.Linear(width, width)})
        if tie:
            self.named["second"] = self.named["first"]
            self.several[0] = self.inner[1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        for layer in (*self.several, self.named["first"], self.named["second"]):
            x = x + layer(x)
        return x


class _Layer(nn.Linear):
    """A linear layer of a class of its own."""


class Wrapped(nn.Module):
    """What `make` returns in the check: the layer, and a trainable number that its output is multiplied by."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.factor = layer, nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.layer(x)


def network_of(kind: str, width: int) -> nn.Module:
    if kind == "flat":
        return nn.Sequential(nn.Linear(width, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 3, bias=False))
    if kind == "images":
        return nn.Sequential(nn.Unflatten(1, (1, 1, width)), nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(2 * width, 3))
    if kind == "subclass":
        return nn.Sequential(_Layer(width, 3), nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.PReLU()))
    return _Own(width, tie=kind == "tied")
