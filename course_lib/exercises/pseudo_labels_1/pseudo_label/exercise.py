"""`pseudo_label`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, seeded
from course_lib.exercises.observing import dtype_name, two_values


class Watched(nn.Module):
    """A linear classifier with batch normalization and dropout that notes in which state it was asked."""

    def __init__(self, pixels: int, num_classes: int, seed: int) -> None:
        super().__init__()
        generator = seeded(seed)
        self.linear = nn.Linear(pixels, num_classes)
        self.norm = nn.BatchNorm1d(num_classes)
        self.dropout = nn.Dropout(0.5)
        self.modes: list[str] = Diary()
        self.gradients: list[str] = Diary()
        self.sizes: list[int] = Diary()
        with torch.no_grad():
            self.linear.weight.copy_(3 * torch.randn(num_classes, pixels, generator=generator) / pixels**0.5)
            self.linear.bias.copy_(torch.randn(num_classes, generator=generator))
            # running statistics far from those of any batch, so that the mode is seen in the labels
            self.norm.get_buffer("running_mean").copy_(torch.randn(num_classes, generator=generator))
            self.norm.get_buffer("running_var").copy_(0.5 + torch.rand(num_classes, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.training else "eval")
        self.gradients.append("on" if torch.is_grad_enabled() else "off")
        self.sizes.append(len(x))
        return self.dropout(self.norm(self.linear(x.flatten(1))))


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, shape: tuple[int, ...], num_classes: int, mode: str = "train", at_rest: str = "") -> Case:
        images = 2 * torch.rand(*shape, generator=generator)
        inputs: Values = {"images": images, "num_classes": num_classes, "seed": seed + len(name), "mode_before": mode}
        return Case(name, {**inputs, "at_rest": at_rest})

    strided = case("transposed", (7, 2, 4, 6), 5, "eval")
    strided.inputs["images"] = strided.inputs["images"].transpose(2, 3)
    return [
        case("plain", (24, 1, 5, 6), 4),
        case("already_in_eval_mode", (15, 1, 6, 5), 6, "eval"),
        case("as_many_images_as_classes", (6, 3, 4, 4), 6),
        case("one", (1, 1, 5, 5), 3, "eval"),
        case("many", (2053, 1, 3, 3), 4),  # more than a batch of any size, and none that fits exactly
        strided,
        case("a_part_at_rest", (9, 1, 4, 5), 4, at_rest="norm"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    model = Watched(images[0].numel(), case.inputs["num_classes"], case.inputs["seed"]).to(images.device)
    model.train(case.inputs["mode_before"] == "train")
    for name in case.inputs["at_rest"].split():
        model.get_submodule(name).eval()
    with torch.enable_grad():  # an answer that switches gradients off for good harms nobody else
        seen = two_values(fn(model, images), "labels", "confidences")
        grad_mode_after = "on" if torch.is_grad_enabled() else "off"
    confidences = seen["confidences"]
    if case.name == "many":
        seen["most_at_once"] = max(model.sizes, default=0)
    return {
        **seen,
        "labels_dtype": dtype_name(seen["labels"]),
        "confidences_graph": "kept" if isinstance(confidences, Tensor) and confidences.requires_grad else "none",
        "modes": sorted(set(model.modes)),
        "gradients": sorted(set(model.gradients)),
        "mode_after": "train" if model.training else "eval",
        "modes_of_parts": {name: "train" if part.training else "eval" for name, part in model.named_children()},
        "grad_mode_after": grad_mode_after,
        "running_mean_after": model.norm.get_buffer("running_mean"),
        "weights_require_grad_after": [int(p.requires_grad) for p in model.parameters()],
    }


exercise = Exercise(
    name="pseudo_label",
    title="What the network thinks an unlabeled image is",
    signature="pseudo_label(model, images)",
    minutes=10,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Ask the network at rest, without gradients, all images in their order, a batch at a time. Its logits "
            "become probabilities; the largest one of an image is the confidence, and where it stands is the label. "
            "Each part of the network has a mode of its own: note them all before."
        ),
        api=(
            "`model.modules()`, `module.training`, `model.eval()`, `torch.no_grad()`, `Tensor.split`, `torch.cat`, "
            "`Tensor.softmax(dim=...)`, `Tensor.max(dim=...)`"
        ),
        skeleton=(
            "modes = [(module, module.training) for module in ...]\n"
            "model.eval()\n"
            "with torch.no_grad():\n"
            "    logits = torch.cat([model(batch) for batch in ...])  # (N, K)\n"
            "for module, was_training in modes:\n"
            "    module.training = ...\n"
            "confidences, labels = logits.softmax(dim=...).max(dim=...)\n"
            "return labels, confidences"
        ),
    ),
    takeaway=(
        "A pseudo-label is the network's opinion at rest: no dropout, no statistics of this batch, no gradient. Image "
        "and label keep their place, so nothing can come apart on the way."
    ),
    cases=cases,
    observe=observe,
    library=("course_lib.evaluation.predict",),
)
