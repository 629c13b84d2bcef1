"""`clip_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import gradient_of


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 4, (4,), generator=generator).tolist()

    def case(name: str, count: int, dim: int, scale: float, largest: float = 100.0) -> Case:
        images = normal(count, dim)
        texts = images + 0.9 * normal(count, dim)
        lengths = 0.2 + 3 * uniform(2, count, 1)
        given: Values = {"image_features": images * lengths[0], "text_features": texts * lengths[1]}
        return Case(name, given | {"log_scale": torch.tensor(math.log(scale)), "largest": largest})

    double, strided = case("float64", 5, 4, 3.0), case("strided", 12, 5, 6.0)
    double.inputs.update({k: v.double() for k, v in double.inputs.items() if isinstance(v, torch.Tensor)})
    strided.inputs.update({key: strided.inputs[key][::2] for key in ("image_features", "text_features")})
    return [
        case("plain", 5 + n[0], 6, 4.0),
        case("square", 6, 6, 2.0),
        case("warm", 4 + n[1], 3 + n[2], 0.5),
        case("one_pair", 1, 5, 5.0),
        case("beyond_the_largest", 5, 4 + n[3], 400.0),
        case("another_largest", 6, 5, 9.0, 1.5),
        double,
        strided,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    leaves = {key: case.inputs[key].requires_grad_() for key in ("image_features", "text_features", "log_scale")}
    loss = fn(*leaves.values(), largest=case.inputs["largest"])
    seen: Values = {"loss": loss.clone() if isinstance(loss, torch.Tensor) else loss}
    if isinstance(loss, torch.Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    return seen | {f"{key}_gradient": gradient_of(leaf) for key, leaf in leaves.items()}


exercise = Exercise(
    name="clip_loss",
    title="Which caption belongs to which image, and the other way round",
    signature="clip_loss(image_features, text_features, log_scale, *, largest=100.0)",
    minutes=15,
    difficulty=2,
    points=6,
    hints=Hints(
        concept=(
            "All images of the batch are compared with all captions. In the table of cosines the right ones are on the "
            "diagonal. Each image chooses among the captions of its row, and each caption among the images of its "
            "column. The loss is the mean of these two cross-entropies."
        ),
        api="`F.normalize(..., dim=1)`, `@`, `Tensor.T`, `Tensor.exp`, `Tensor.clamp(max=...)`, `F.cross_entropy`",
        skeleton=(
            "i, t = F.normalize(image_features, dim=...), F.normalize(text_features, dim=...)\n"
            "scale = log_scale.exp().clamp(...)\n"
            "logits = ... * i @ t.T  # (N, N): row n, caption m\n"
            "own = torch.arange(len(logits), device=logits.device)\n"
            "return (F.cross_entropy(logits, own) + F.cross_entropy(..., own)) / 2"
        ),
    ),
    takeaway=(
        "The other captions of the batch are the wrong answers. So a caption that fits two images of the batch is "
        "counted as wrong for one of them."
    ),
    cases=cases,
    observe=observe,
    words={
        "image_features_gradient": "the gradient with respect to `image_features`",
        "text_features_gradient": "the gradient with respect to `text_features`",
        "log_scale_gradient": "the gradient with respect to `log_scale`",
    },
)
