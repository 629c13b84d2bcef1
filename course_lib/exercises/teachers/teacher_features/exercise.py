"""`teacher_features`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name
from course_lib.exercises.teachers.exercise import Watched


def cases(seed: int) -> list[Case]:
    generator, uniform, normal = drawing(seed)
    n = torch.randint(0, 5, (6,), generator=generator).tolist()

    def case(name: str, kind: str, count: int, classes: int, mode: str = "train", part: str = "train") -> Case:
        images, weight = uniform(count, 1, 3, 4), 2 * normal(classes, 12)
        if kind == "one_hot":
            weight = 0.2 * weight  # the predicted class often has less than half of the probability
            weight[-1] = -2.0  # the last class is never predicted
        inputs = {"images": images, "kind": kind, "weight": weight, "seed": seed + len(name)}
        return Case(name, inputs | {"mode_before": mode, "mode_of_a_part": part})

    return [
        case("logits", "logits", 12 + n[0], 5),
        case("probabilities", "probabilities", 9 + n[1], 6),
        case("one_hot", "one_hot", 8 + n[2], 4),
        case("one_hot_of_many_classes", "one_hot", 6 + n[3], 14, "eval", "eval"),
        case("probabilities_square", "probabilities", 7, 7, "eval", "eval"),
        case("logits_part_in_eval_mode", "logits", 10 + n[4], 3, "train", "eval"),
        case("one_hot_of_one_image", "one_hot", 1, 9),
        case("probabilities_of_many", "probabilities", 700 + n[5], 5),
        case("logits_of_one_image", "logits", 1, 8),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    teacher = Watched(given["weight"], given["seed"]).train(given["mode_before"] == "train")
    teacher.norm.train(given["mode_of_a_part"] == "train")
    modes = [int(module.training) for module in teacher.modules()]
    with torch.enable_grad():  # an answer that switches gradients off for good does no harm outside
        features = fn(teacher, given["images"], kind=given["kind"])
        grad_mode_after = "on" if torch.is_grad_enabled() else "off"
    graph = isinstance(features, Tensor) and features.requires_grad
    return {
        "features": features,
        "dtype": dtype_name(features),
        "graph": "kept" if graph else "none",
        "modes_during": "/".join(sorted(set(teacher.modes))),
        "recording": "/".join(sorted(set(teacher.recording))),
        "modes_before": modes,
        "modes_after": [int(module.training) for module in teacher.modules()],
        "running_mean_after": teacher.norm.running_mean,
        "grad_mode_after": grad_mode_after,
    }


exercise = Exercise(
    name="teacher_features",
    title="A teacher's outputs as features of a new task",
    signature='teacher_features(teacher, images, *, kind="logits")',
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "The teacher is used as it is: eval mode, no gradient, all images in their order. Its logits are the first "
            "kind. A softmax over the classes gives the second. The third has a 1 at the predicted class and 0 "
            "elsewhere, in as many columns as the teacher has classes."
        ),
        api=(
            "`evaluation.predict(teacher, images)` (in eval mode, without gradients, mode restored), "
            "`Tensor.softmax(dim=...)`, `Tensor.argmax(dim=...)`, `F.one_hot(classes, num_classes)`, `Tensor.float()`"
        ),
        skeleton=(
            "logits = evaluation.predict(..., ...)  # (N, K)\n"
            'if kind == "probabilities":\n    return logits.softmax(dim=...)\n'
            'if kind == "one_hot":\n    return F.one_hot(logits.argmax(dim=...), logits.shape[...]).float()\n'
            "return ..."
        ),
    ),
    takeaway=(
        "Softmax and argmax throw away how far the teacher is from each of its classes. For images of classes that it "
        "has never seen, that is what is useful."
    ),
    cases=cases,
    observe=observe,
    words={
        "features": "the features that you return",
        "dtype": "the dtype of the features",
        "graph": "the graph behind the features",
        "modes_during": "the mode of the teacher while it is used",
        "recording": "the recording of gradients while the teacher is used",
        "modes_before": "the mode of the teacher and its parts before the call (1 is train)",
        "modes_after": "the mode of the teacher and its parts after the call (1 is train)",
        "running_mean_after": "the teacher's running mean after the call",
        "grad_mode_after": "the grad mode after the call",
    },
    inputs_shown=("mode_before",),
)
