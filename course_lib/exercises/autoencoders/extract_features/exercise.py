"""`extract_features`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.autoencoders.exercise import stateful
from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, batch_size: int, feature_dim: int, mode: str = "train") -> Case:
        inputs = {"images": images, "batch_size": batch_size, "feature_dim": feature_dim, "mode_before": mode}
        return Case(name, {**inputs, "seed": seed + len(name)})

    return [
        case("ragged_last_batch", draw(10, 1, 7, 6), 4, 5),
        case("already_in_eval_mode", draw(6, 1, 6, 8), 3, 4, "eval"),
        case("one", draw(1, 1, 5, 9), 4, 3),
        case("one_feature", draw(7, 1, 6, 5), 3, 1),
        case("color", draw(5, 3, 6, 6), 2, 5),
        case("transposed", draw(7, 1, 9, 5).transpose(2, 3), 3, 6),
        case("float64", draw(8, 2, 6, 6).double(), 8, 4),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    encoder = stateful(case, images.shape[1], pool=True)
    with torch.enable_grad():  # an answer that switches gradients off for good does no harm outside
        features = fn(encoder, images, case.inputs["batch_size"])
        state = encoder.state()
    carries = int(features.requires_grad) if isinstance(features, Tensor) else -1
    return {"features": features, "features_require_grad": carries, **state}


exercise = Exercise(
    name="extract_features",
    title="Frozen features of all images",
    signature="extract_features(encoder, images, batch_size)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Reading features must leave no trace: no gradients, no batch statistics that go on learning, and "
            "afterwards the encoder is in the mode in which you found it. Large sets go through in batches, in order."
        ),
        api="`encoder.training`, `.eval()`, `.train(mode)`, `torch.no_grad()`, `Tensor.split`, `torch.cat`",
        skeleton=(
            "was_training = ...\nencoder.eval()\nwith torch.no_grad():\n"
            "    features = torch.cat([... for batch in images.split(...)])\n"
            "encoder.train(...)\nreturn features"
        ),
    ),
    takeaway=(
        "Eval mode, no gradients, the mode put back: the features of an image now depend on that image alone, whatever "
        "else is in its batch."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.extract_features", "course_lib.evaluation.predict", "course_lib.models.eval_mode"),
    words={
        "features": "the tensor of features that you return",
        "features_require_grad": "`requires_grad` of the features that you return (1 is True)",
        "gradients_during": "the recording of gradients while the model is used",
    },
)
