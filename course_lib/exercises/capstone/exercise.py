"""What the exercises of unit 12 share: a small network, and what stands for `torch.export.export` in a check."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import drawing
from course_lib.exercises.observing import dtype_name, mode_of


def small_classifier(channels: int, classes: int, seed: int) -> nn.Sequential:
    """Images to logits; running statistics far from those of any batch, so that the mode shows in the logits."""
    _, uniform, normal = drawing(seed)
    norm = nn.BatchNorm2d(4)
    layers = nn.Conv2d(channels, 4, 3, padding=1), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    model = nn.Sequential(*layers, nn.Dropout(0.4), nn.Linear(16, classes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(*parameter.shape))
        norm.running_mean, norm.running_var = 0.5 * normal(4), 0.3 + uniform(4)
    return model


class Program:
    """What the stand-in of `torch.export.export` returns: the module as it was then, for the batches that it admits.

    It behaves as an exported program does: modes and weights are those of the export, and a batch of another size than
    the example's is refused unless `dynamic_shapes` makes the first dimension dynamic.
    """

    def __init__(self, module: nn.Module, example: Tensor, spec: Any) -> None:
        self._module, self._sizes = copy.deepcopy(module), _sizes(spec, len(example))
        self.dynamic = [dim for dim, size in spec.items() if size is not None]
        self.example = example.clone()
        inner = list(module.modules())[1:]  # the mode of the module around a model changes nothing
        self.modes = "+".join(sorted({mode_of(part) for part in inner}))

    def module(self) -> Any:
        """What runs."""
        return self.run

    def run(self, images: Tensor) -> Any:
        """The module's output; for a batch that is not admitted, or of another dtype, what torch would say."""
        low, high = self._sizes
        if not low <= len(images) <= high:
            return f"Guard failed: x.size()[0] is {len(images)}, exported for {low:g} to {high:g}"
        if images.dtype != self.example.dtype:
            return f"Guard failed: the dtype is {images.dtype}, exported for {self.example.dtype}"
        with torch.no_grad():
            return copy.deepcopy(self._module)(images.clone())


class Exporter:
    """Stands for `torch.export.export`, whose first call loads a compiler and takes ten seconds; notes its calls."""

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def __call__(
        self, mod: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None, *,
        dynamic_shapes: Any = None, **options: Any,
    ) -> Program:  # fmt: skip
        if not isinstance(mod, nn.Module):
            raise ValueError(f"Expected `mod` to be an instance of `torch.nn.Module`, got {type(mod)}.")
        if not isinstance(args, tuple):
            raise TypeError(f"Expecting `args` to be a tuple of example positional inputs, got {type(args)}.")
        example = [*args, *(kwargs or {}).values()][0]
        spec = _by_dimension(_first(dynamic_shapes))
        program = Program(mod, example, spec)
        program.run(example)  # an export runs it once
        self.programs.append(program)
        return program


def _first(spec: Any) -> Any:
    """The part of `dynamic_shapes` that is about the first argument: by name, or in order."""
    if isinstance(spec, Mapping):
        return next(iter(spec.values()), None)
    return spec[0] if isinstance(spec, (tuple, list)) and spec else None


def _by_dimension(spec: Any) -> dict[int, Any]:
    """A specification of one tensor, by dimension."""
    return dict(enumerate(spec)) if isinstance(spec, (tuple, list)) else dict(spec or {})


def _sizes(spec: Mapping[int, Any], own: int) -> tuple[float, float]:
    """The smallest and largest batch that a specification of one tensor admits.

    An example of one image fixes the batch: torch takes a size of 1 for a constant, without a word for `Dim.AUTO`.
    """
    dimension = spec.get(0)
    kind = getattr(getattr(dimension, "type", dimension), "name", "")  # "DYNAMIC" of Dim.DYNAMIC, in any version
    if (dimension is None or isinstance(dimension, int) or kind == "STATIC") or (kind == "AUTO" and own == 1):
        return own, own
    if own == 1:
        raise ValueError("the batch is to be dynamic, but export 0/1 specialized due to an example of one image.")
    low, high = getattr(dimension, "min", None), getattr(dimension, "max", None)
    return low if isinstance(low, int) and low > 1 else 1, high if isinstance(high, int) else float("inf")


def described(result: Any, exporter: Exporter) -> str:
    """What an answer returned: "the exported program", or a type."""
    return "the exported program" if any(result is one for one in exporter.programs) else dtype_name(result)
