"""`anomaly_score`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.autoencoders.exercise import stateful
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, mode: str = "train") -> Case:
        return Case(name, {"images": images, "mode_before": mode, "seed": seed + len(name)})

    return [
        case("plain", draw(6, 1, 7, 6)),
        case("already_in_eval_mode", draw(5, 1, 6, 8), "eval"),
        case("one", draw(1, 1, 6, 5)),
        case("color", draw(4, 3, 5, 6)),
        case("as_many_images_as_channels", draw(3, 3, 6, 4)),
        case("transposed", draw(7, 1, 9, 5).transpose(2, 3)),
        case("mixed", draw(5, 1, 6, 5) * torch.tensor([0.01, 1.0, 40.0, 0.2, 7.0]).reshape(-1, 1, 1, 1)),
        case("float64", draw(5, 2, 6, 6).double()),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    model = stateful(case, images.shape[1], pool=False)
    with torch.enable_grad():  # an answer that switches gradients off for good does no harm outside
        scores = fn(model, images)
        state = model.state()
    del state["batch_sizes"]  # in how many batches the images go through is the learner's choice
    state["modes"] = sorted(set(model.modes))
    carries = int(scores.requires_grad) if isinstance(scores, Tensor) else -1
    return {"scores": scores, "scores_require_grad": carries, **state}


exercise = Exercise(
    name="anomaly_score",
    title="How strange is each image?",
    signature="anomaly_score(model, images)",
    minutes=8,
    difficulty=2,
    points=3,
    hints=Hints(
        concept=(
            "What the model was trained on it reconstructs well; what it has never seen, badly. So an image's own "
            "squared error, summed over its pixels, is its score. A score is a measurement, so it must not change the "
            "model."
        ),
        api="`with eval_mode(model), torch.no_grad():`, `Tensor.flatten(1)`, `Tensor.sum(dim=1)`",
        skeleton="with eval_mode(...), torch.no_grad():\n    x_hat = ...\nreturn (...).flatten(1)...  # (N,)",
    ),
    takeaway=(
        "One number per image, from a model in eval mode: now images can be ranked, and a threshold can be chosen."
    ),
    cases=cases,
    observe=observe,
    words={
        "scores": "the tensor of scores that you return",
        "scores_require_grad": "`requires_grad` of the scores that you return (1 is True)",
        "gradients_during": "the recording of gradients while the model is used",
    },
)
