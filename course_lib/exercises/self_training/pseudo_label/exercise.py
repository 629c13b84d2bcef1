"""`pseudo_label`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.observing import dtype_name, mode_of, two_values
from course_lib.exercises.self_training.exercise import classifier


def cases(seed: int) -> list[Case]:
    uniform = drawing(seed).uniform

    def case(name: str, shape: tuple[int, ...], num_classes: int, mode: str = "train", at_rest: str = "") -> Case:
        inputs: Values = {"images": 2 * uniform(*shape), "num_classes": num_classes, "seed": seed + len(name)}
        return Case(name, inputs | {"mode_before": mode, "at_rest": at_rest})

    transposed = case("transposed", (7, 2, 4, 6), 5, "eval")
    transposed.inputs["images"] = transposed.inputs["images"].transpose(2, 3)
    return [
        case("plain", (24, 1, 5, 6), 4),
        case("already_in_eval_mode", (15, 1, 6, 5), 300, "eval"),
        case("as_many_images_as_classes", (6, 3, 4, 4), 6),
        case("one", (1, 1, 5, 5), 3, "eval"),
        case("many", (2053, 1, 3, 3), 4),  # more than a batch of any size, and none that fits exactly
        transposed,
        case("a_part_at_rest", (9, 1, 4, 5), 4, at_rest="norm"),
        case("an_inner_part_at_rest", (8, 1, 5, 4), 4, at_rest="last.0"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    model = classifier(case).train(case.inputs["mode_before"] == "train")
    for name in case.inputs["at_rest"].split():
        model.get_submodule(name).eval()
    with torch.enable_grad():  # an answer that switches gradients off for good does no harm outside
        seen = two_values(fn(model, case.inputs["images"]), "labels", "confidences")
        grad_mode_after = "on" if torch.is_grad_enabled() else "off"
    if case.name == "many":
        seen["most_at_once"] = max((len(entry["images"]) for entry in model.diary), default=0)
    graph = isinstance(seen["confidences"], Tensor) and seen["confidences"].requires_grad
    seen |= {"labels_dtype": dtype_name(seen["labels"]), "confidences_graph": "kept" if graph else "none"}
    modes, gradients = ({entry[key] for entry in model.diary} for key in ("mode", "gradients"))
    seen |= {"modes": sorted(modes), "gradients": sorted(gradients)}
    seen |= {
        "mode_after": mode_of(model),
        "modes_of_parts": {n: mode_of(part) for n, part in model.named_modules() if n},
    }
    seen |= {"grad_mode_after": grad_mode_after, "running_mean_after": model.get_buffer("norm.running_mean")}
    return seen | {"weights_require_grad_after": [int(p.requires_grad) for p in model.parameters()]}


exercise = Exercise(
    name="pseudo_label",
    title="What the network thinks an unlabeled image is",
    signature="pseudo_label(model, images)",
    minutes=10,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Let the network predict in eval mode, without gradients, all images in their order, a batch at a time. "
            "Its logits become probabilities. The largest one of an image is the confidence, and its position is the "
            "label. `eval_mode` restores the mode of each part of the network."
        ),
        api=(
            "`with eval_mode(model), torch.no_grad():`, `Tensor.split`, `torch.cat`, `Tensor.softmax(dim=...)`, "
            "`Tensor.max(dim=...)`"
        ),
        skeleton=(
            "with eval_mode(...), torch.no_grad():\n    logits = torch.cat([model(batch) for batch in ...])  # (N, K)\n"
            "confidences, labels = logits.softmax(dim=...).max(dim=...)\nreturn labels, confidences"
        ),
    ),
    takeaway=(
        "A pseudo-label is the network's prediction in eval mode: no dropout, no statistics of this batch, no "
        "gradient. Image and label keep their place, so nothing can come apart on the way."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.predict",),
    words={
        "labels": "`labels`, the first of the two tensors that you return,",
        "confidences": "`confidences`, the second of the two tensors that you return,",
        "confidences_graph": "the graph behind `confidences`",
        "gradients": "the recording of gradients while the model is used",
        "modes_of_parts": "the mode of the model's layers after the call",
        "most_at_once": "the largest number of images that the model is given at once",
    },
    inputs_shown=("mode_before",),
)
