"""`TransformerEncoder`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.text.exercise import texts
from course_lib.models import TransformerLayers


def cases(seed: int) -> list[Case]:
    generator, _, normal = drawing(seed)
    n = torch.randint(0, 4, (6,), generator=generator).tolist()
    size = 15 + n[0]

    def case(
        name: str, count: int, length: int, heads: int, each: int, blocks: int, *, longest: int = 12, padded=False
    ) -> Case:
        shape: Values = {"vocab_size": size, "heads": heads, "blocks": blocks, "max_length": longest}
        given = {"ids": texts(generator, count, length, size, padded=padded), "x": normal(count, length, heads * each)}
        return Case(name, shape | given | {"seed": int(torch.randint(2**31, (), generator=generator))})

    double = case("double", 3, 6, 2, 4, 2, padded=True)
    double.inputs["x"] = double.inputs["x"].double()
    return [
        case("plain", 4, 7 + n[1], 2, 3 + n[2], 2),
        case("one_head", 3, 6, 1, 6, 1),
        case("four_heads", 4, 4, 4, 4, 1),
        case("padded", 5, 8 + n[3], 3, 4, 2, padded=True),
        case("one_text", 1, 5 + n[4], 2, 4, 3),
        case("longest", 3, 9 + n[5], 2, 3, 1, longest=9 + n[5], padded=True),
        double,
    ]


def _layers(given: Values) -> TransformerLayers:
    """The layers that an answer is given, with weights so large that attention is far from even."""
    shape = {key: given[key] for key in ("vocab_size", "heads", "max_length")}
    layers = TransformerLayers(**shape, dim=given["x"].shape[-1], layers=given["blocks"])
    generator = seeded(given["seed"])
    for name, weight in layers.named_parameters():
        drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        scale = 1.5 / math.sqrt(weight.shape[-1]) if weight.ndim == 2 and name != "position" else 0.5
        weight.data.copy_(drawn * scale + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    return layers.to(given["x"])


def observe(make: Callable[..., Any], case: Case) -> Values:
    given, ids, x = case.inputs, case.inputs["ids"], case.inputs["x"]
    layers = _layers(given)
    model = make(layers)
    visible = ids != 0
    attention = model.attention(layers.blocks[0], x, visible)
    features = model(ids)
    there = visible[..., None]
    (features * there).square().sum().backward()
    return {
        "attention": attention * there,
        "features": features * there,
        "features_alone": model(ids[-1:, : int(visible[-1].sum())]),
        "weights_reached": sum(w.grad is not None and bool(w.grad.any()) for w in layers.parameters()),
        "x_after": x,
        "ids_after": ids,
    }


exercise = Exercise(
    name="TransformerEncoder",
    title="A transformer encoder: attention, mask and residuals",
    signature="TransformerEncoder(layers)",
    minutes=30,
    difficulty=3,
    points=8,
    hints=Hints(
        concept=(
            "Each word asks every word of its text by a dot product of its query with their keys. The softmax over the "
            "keys gives weights, and the weighted mean of the values is the answer. Heads do this side by side, each "
            "on its own part of the dimensions. In `forward` the answer is added to what was there before."
        ),
        api=(
            "`Tensor.chunk(3, dim=-1)`, `Tensor.view`, `Tensor.transpose`, `Tensor.masked_fill`, "
            "`Tensor.softmax(dim=-1)`, `Tensor.reshape`"
        ),
        skeleton=(
            "n, t, d = x.shape\n"
            'parts = block["qkv"](x).chunk(3, dim=-1)\n'
            "q, k, v = (part.view(n, t, self.layers.heads, -1).transpose(1, 2) for part in parts)\n"
            "scores = q @ k.transpose(...) / math.sqrt(...)  # (N, heads, T, T)\n"
            "scores = scores.masked_fill(~visible[:, None, None, :], ...)\n"
            "mixed = scores.softmax(dim=...) @ v  # (N, heads, T, dim / heads)\n"
            'return block["out"](mixed.transpose(1, 2).reshape(...))\n\n'
            "x = self.layers.embedding(ids) + self.layers.position[: ...]\n"
            "for block in self.layers.blocks:\n"
            '    x = x + self.attention(block, block["norm1"](...), ids != 0)\n'
            "    x = x + ...\n"
            "return self.layers.norm(x)"
        ),
    ),
    takeaway=(
        "Attention is a weighted mean whose weights depend on the words, and a residual keeps what was there before. "
        "Everything else in the block looks at one word at a time."
    ),
    cases=cases,
    observe=observe,
    words={
        "attention": "the result of `attention`",
        "features": "the result of `forward`",
        "features_alone": "the result of `forward` for one text without its padding",
        "weights_reached": "the number of weight tensors that a gradient reaches",
        "ids_after": "your argument `ids` after the call",
        "x_after": "the argument `x` of `attention` after the call",
    },
    inputs_shown=("ids", "heads", "blocks"),
    library=("course_lib.models.TextEncoder.forward",),
)
