"""`evaluate`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.first_steps.exercise import number_of, watched, watched_case


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, batch_size: int, mode_before: str, normalized: str = "no", **options: Any) -> Case:
        return watched_case(
            name, generator, batch_size=batch_size, mode_before=mode_before, normalized=normalized, **options
        )

    many_classes = case("one_shot", 4, "train", shape=(1, 4, 3), count=11, num_classes=300)
    images, weight, bias = (many_classes.inputs[key] for key in ("images", "weight", "bias"))
    bias[256:] += 3.0
    many_classes.inputs["labels"][::2] = (images.flatten(1) @ weight.T + bias).argmax(dim=1)[::2]
    return [
        case("ragged_last_batch", 5, "train", shape=(1, 4, 4), count=13, num_classes=4),
        case("last_batch_of_one", 4, "eval", shape=(2, 3, 5), count=9, num_classes=3, transposed=True),
        case("equal_batches", 4, "train", shape=(1, 3, 4), count=8, num_classes=4),
        case("one_batch", 6, "eval", shape=(3, 2, 2), count=6, num_classes=5, dtype=torch.float64),
        many_classes,
        case("normalized_in_train_mode", 4, "train", "yes", shape=(1, 2, 5), count=10, num_classes=3),
        case("normalized_in_eval_mode", 3, "eval", "yes", shape=(1, 4, 2), count=8, num_classes=4),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    model, size = watched(case), inputs["batch_size"]
    batches = list(zip(inputs["images"].split(size), inputs["labels"].split(size)))
    result = fn(model, iter(batches) if case.name == "one_shot" else batches)
    if isinstance(result, dict):
        result = {key: number_of(value) for key, value in result.items()}
    return {
        "result": result,
        "mode_during": "+".join(sorted(set(model.modes))),
        "gradients_during": "+".join(sorted(set(model.gradients))),
        "mode_after": "train" if model.training else "eval",
        "running_mean_after": getattr(model.norm, "running_mean", None),
    }


exercise = Exercise(
    name="evaluate",
    title="Loss and accuracy over all batches",
    signature="evaluate(model, batches)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Every image counts once, whichever batch it is in: add up over images, divide by the number of images at "
            "the end. And a measurement leaves no trace: switch to eval mode, switch gradients off, put the mode back."
        ),
        api="`model.training`, `model.eval()`, `model.train(mode)`, `torch.no_grad()`, `F.cross_entropy`, `len(...)`",
        skeleton=(
            "was_training = model.training\n"
            "model.eval()\n"
            "total_loss, correct, count = 0.0, 0, 0\n"
            "with torch.no_grad():\n"
            "    for images, labels in batches:\n"
            "        logits = ...\n"
            "        total_loss += ... * len(labels)  # the mean of the batch, times its size\n"
            "        correct += ...\n"
            "        count += len(labels)\n"
            "model.train(...)\n"
            'return {"loss": ..., "accuracy": ...}'
        ),
    ),
    takeaway="Weigh every batch by its size, and the result no longer depends on how the images were cut into batches.",
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.loss_and_accuracy", "course_lib.evaluation.predict"),
    words={
        "result": "the dictionary that you return",
        "gradients_during": "the recording of gradients while the model is used",
    },
    inputs_shown=("images", "labels", "batch_size", "mode_before"),
)
