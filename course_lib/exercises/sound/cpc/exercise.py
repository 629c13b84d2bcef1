"""`CPC`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import gradient_of, two_values


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 3, (12,), generator=generator).tolist()

    def case(name: str, count: int, frames: int, channels: int, context: int, ahead: int) -> Case:
        waves = (0.1 + uniform(count, 1)) * normal(count, 64 * frames) + 0.2 * normal(count, 1)
        sizes: Values = {"channels": channels, "context": context, "ahead": ahead}
        return Case(name, {"waves": waves, **sizes, "seed": int(torch.randint(2**31, (), generator=generator))})

    double = case("float64", 3, 7, 3, 5, 2)
    double.inputs["waves"] = double.inputs["waves"].double()
    return [
        case("plain", 4, 8 + n[0], 4 + n[1], 6 + n[2], 3),
        case("far_ahead", 3, 9 + n[3], 5, 4 + n[4], 5),
        case("as_wide_as_deep", 3, 6 + n[5], 5, 5, 2 + n[6]),
        case("one_recording", 1, 7 + n[7], 4, 3, 2),
        case("one_step", 4, 5 + n[8], 3 + n[9], 4, 1),
        double,
    ]


def _own_weights(model: nn.Module, seed: int) -> None:
    """Weights of the check's own, in the order of their names, large enough that each of them shows."""
    generator = seeded(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            scale = 1.5 / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 0.3
            parameter.copy_(drawn * scale + (1.0 if "norm" in name and name.endswith("weight") else 0.0))


def observe(make: Callable[..., Any], case: Case) -> Values:
    given, waves = case.inputs, case.inputs["waves"]
    model = make(channels=given["channels"], context=given["context"], ahead=given["ahead"])
    _own_weights(model, given["seed"])
    model.to(waves).train()
    codes, contexts = model.encode(waves), model(waves)
    pairs = [two_values(pair, "predicted", "true") for pair in model.pairs(waves)]
    seen: Values = {
        "codes": codes,
        "contexts": contexts,
        "predicted": [pair["predicted"] for pair in pairs],
        "true": [pair["true"] for pair in pairs],
    }
    products = [(pair["predicted"] * pair["true"]).mean() for pair in pairs]
    torch.stack(products).sum().backward()
    first = next(parameter for parameter in model.parameters() if parameter.ndim == 3)
    reached = sum(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
    return seen | {"gradient": gradient_of(first), "weights": [len(list(model.parameters())), reached]}


exercise = Exercise(
    name="CPC",
    title="Encoder, context network, and predictions of what comes next",
    signature="CPC(*, channels=48, context=64, ahead=6)",
    minutes=30,
    difficulty=3,
    points=8,
    hints=Hints(
        concept=(
            "The encoder turns each short piece into a code, and the GRU reads the codes from left to right, so the "
            "context at frame t knows the codes up to t. For k frames ahead, the context of frame t goes through layer "
            "k - 1 of `steps` and should resemble the code of frame t + k. The last k contexts have no such code, and "
            "the first k codes have no such context."
        ),
        api=(
            "`Tensor.std(dim=1, keepdim=True)`, `zip(self.convs, self.norms)`, `F.relu`, `Tensor.transpose(1, 2)`, "
            "`enumerate(self.steps, start=1)`, slices such as `contexts[:, :-k]` and `codes[:, k:]`"
        ),
        skeleton=(
            "# encode\n"
            "x = (waves / waves.std(dim=..., keepdim=True))[:, None]  # (N, 1, T)\n"
            "for conv, norm in zip(self.convs, self.norms):\n"
            "    x = F.relu(...)\n"
            "return x.transpose(1, 2)  # (N, F, channels)\n"
            "# forward\n"
            "contexts, _ = self.gru(...)\n"
            "# pairs\n"
            "codes = self.encode(waves)\n"
            "contexts, _ = self.gru(codes)\n"
            "return [(step(contexts[:, ...]), codes[:, ...]) for k, step in enumerate(self.steps, start=1)]"
        ),
    ),
    takeaway=(
        "No label is needed, because each recording has its own questions and the answers are a few frames further on."
    ),
    cases=cases,
    observe=observe,
    words={
        "codes": "the result of `encode`",
        "contexts": "the result of `forward`",
        "predicted": "the list of predictions in `pairs`",
        "true": "the list of codes in `pairs` that the predictions are compared with",
        "gradient": "the gradient at the first convolution",
        "weights": "the count of weight tensors, and of those that a gradient reaches",
    },
    inputs_shown=("waves",),
)
