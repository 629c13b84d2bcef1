"""`adapt_statistics`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning.exercise import set_values
from course_lib.exercises.observing import mode_of, state_of


def _network(inputs: Values) -> nn.Sequential:
    """Layers with batch normalization, as if they had been trained."""
    images, kind = inputs["images"], inputs["kind"]
    channels = images.shape[1]
    if kind == "vectors":
        layers = [nn.Flatten(), nn.BatchNorm1d(images[0].numel()), nn.Linear(images[0].numel(), 3)]
    else:
        first = [nn.Conv2d(channels, 3, 2, bias=False), nn.BatchNorm2d(3, momentum=inputs["momentum"]), nn.ReLU()]
        second = [nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.Tanh()] if kind != "one layer" else []
        if kind == "dropout":
            first.append(nn.Dropout(0.5))
        layers = [nn.Sequential(*first), nn.Sequential(*second), nn.Flatten()]
    model = nn.Sequential(*layers)
    set_values(model, seeded(inputs["seed"]))
    for value in model.buffers():
        if not value.is_floating_point():
            value.fill_(7)  # batches that it was trained on
    return model.to(images)


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, shape: tuple[int, ...], kind: str = "one layer", *, mode: str = "eval", scale: float = 1.0,
        momentum: float | None = 0.1, dtype: torch.dtype = torch.float32,
    ) -> Case:  # fmt: skip
        images, later = (torch.rand(n, *shape[1:], generator=generator, dtype=dtype) for n in (shape[0], 3))
        inputs: Values = {"images": scale * images, "later": scale * later, "kind": kind, "mode_before": mode}
        return Case(name, {**inputs, "momentum": momentum, "seed": seed + len(name)})

    transposed = case("transposed", (6, 2, 5, 4))
    transposed.inputs["images"] = transposed.inputs["images"].transpose(2, 3)
    return [
        case("plain", (8, 1, 5, 6)),
        case("own_momentum", (5, 3, 4, 6), momentum=0.7),
        case("one_image", (1, 2, 5, 5)),
        case("bright", (7, 1, 4, 5), scale=30.0, mode="train"),
        transposed,
        case("vectors", (9, 1, 2, 3), "vectors", dtype=torch.float64),
        case("two_layers", (6, 1, 6, 5), "two layers"),
        case("without_momentum", (6, 2, 5, 5), "two layers", momentum=None),
        case("dropout", (8, 1, 5, 5), "dropout", mode="train"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, later = case.inputs["images"], case.inputs["later"]
    with torch.enable_grad():
        model = _network(case.inputs).train(case.inputs["mode_before"] == "train")
        given = state_of(model)
        adapted = fn(model, images)
        seen: Values = {
            "returned": "the model given" if adapted is model else f"another {type(adapted).__name__}",
            "given": given,
            "given_after": state_of(model),
            "mode_given_after": mode_of(model),
        }
        if not isinstance(adapted, nn.Module):
            return seen
        state = state_of(adapted)
        parts = {"means": ("running_mean",), "variances": ("running_var",), "weights": ("weight", "bias")}
        seen |= {part: {n: v for n, v in state.items() if n.endswith(end)} for part, end in parts.items()}
        seen["mode"] = mode_of(adapted)
        with torch.no_grad():
            seen["output"] = adapted.eval()(later)
    return seen


exercise = Exercise(
    name="adapt_statistics",
    title="Fit batch normalization to images without labels",
    signature="adapt_statistics(model, images)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "The new images are shifted, so the running statistics do not fit them. One pass over the images in train "
            "mode gathers new ones, without labels and without gradients. Only batch normalization may be in train "
            "mode, since dropout would change what the deeper layers see. Work on a copy."
        ),
        api=(
            "`copy.deepcopy`, `model.modules()`, `nn.BatchNorm2d`, `nn.BatchNorm1d`, `layer.reset_running_stats()`. "
            "With `layer.momentum = None` the statistics are the mean over all batches since the reset."
        ),
        skeleton=(
            "adapted = copy.deepcopy(model).eval()\nfor layer in adapted.modules():\n"
            "    if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):\n"
            "        layer.reset_running_stats()\n        layer.momentum = ...\n        layer.train()\n"
            "with torch.no_grad():\n    adapted(...)\nreturn adapted.eval()"
        ),
    ),
    takeaway=(
        "No label and no gradient was needed, only images that look like those to come. Keep the old model: where the "
        "new images show one class only, the old statistics are better."
    ),
    cases=cases,
    observe=observe,
    words={
        "returned": "what you return",
        "given": "the state of the model given, before your code",
        "given_after": "the state of the model given, after your code",
        "mode_given_after": "the mode of the model given, after your code",
        "means": "the set of running means of the model that you return",
        "variances": "the set of running variances of the model that you return",
        "weights": "the set of weights of the model that you return",
        "mode": "the mode of the model that you return",
        "output": "the output of the model that you return, in eval mode, for other images",
    },
)
