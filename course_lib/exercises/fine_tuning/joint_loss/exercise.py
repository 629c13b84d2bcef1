"""`joint_loss`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning.exercise import gradients_of, set_values
from course_lib.exercises.observing import mode_of


class _TwoHeaded(nn.Module):
    """A linear encoder and two heads, which note their modes. It has no batch normalization, which would tell whether
    both batches go through together or one after the other: that is the answer's own affair."""

    def __init__(self, pixels: int, num_classes: int, num_old: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 6), nn.Tanh())
        self.head = nn.Linear(6, num_classes)
        self.old_head = nn.Linear(6, num_old)
        self.modes: dict[str, str] = {}
        for name, part in self.named_children():
            part.register_forward_pre_hook(lambda part, _, name=name: self.modes.update({name: mode_of(part)}))


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, sizes: tuple[int, int], classes: tuple[int, int], lam: float, *,
        shape: tuple[int, int, int] = (1, 3, 4), dtype: torch.dtype = torch.float32, mode: str = "train",
    ) -> Case:  # fmt: skip
        inputs: Values = {}
        for part, count, num_classes in zip(("", "old_"), sizes, classes, strict=True):
            inputs[f"{part}images"] = torch.rand(count, *shape, generator=generator, dtype=dtype)
            inputs[f"{part}labels"] = torch.randint(
                max(num_classes - 40, 0), num_classes, (count,), generator=generator
            )
        inputs |= {"classes": classes[0], "old_classes": classes[1], "lam": lam, "seed": seed + len(name)}
        inputs["mode_before"] = mode
        return Case(name, inputs)

    transposed = case("transposed", (3, 4), (3, 3), 2.0)
    for key in ("images", "old_images"):
        transposed.inputs[key] = transposed.inputs[key].transpose(2, 3)
    return [
        case("plain", (5, 5), (4, 4), 0.3),
        case("unequal_batches", (3, 8), (4, 4), 0.7),
        case("other_number_of_classes", (6, 4), (3, 300), 0.5),
        case("heavy", (4, 6), (4, 4), 3.0, mode="eval"),
        transposed,
        case("one_image_each", (1, 1), (3, 3), 0.25, shape=(2, 3, 3)),
        case("float64", (4, 3), (5, 5), 0.6, dtype=torch.float64, mode="encoder in eval"),
        case("nothing_of_the_old", (5, 4), (4, 4), 0.0),
        case("equal_weights", (4, 4), (4, 4), 1.0),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    images = inputs["images"]
    model = _TwoHeaded(images[0].numel(), inputs["classes"], inputs["old_classes"])
    set_values(model, seeded(inputs["seed"]))
    model.to(images).train(inputs["mode_before"] != "eval")
    model.encoder.train(inputs["mode_before"] == "train")
    loss = fn(model, (images, inputs["labels"]), (inputs["old_images"], inputs["old_labels"]), inputs["lam"])
    seen: Values = {"loss": loss, "gradient_before_backward": gradients_of(model)}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
    seen |= {f"{part}_gradient": gradients_of(getattr(model, part)) for part in ("encoder", "head", "old_head")}
    seen |= {"modes": model.modes, "mode_after": mode_of(model)}
    seen["weights_require_grad_after"] = [int(p.requires_grad) for p in model.parameters()]
    return seen


exercise = Exercise(
    name="joint_loss",
    title="Learn the new task, and go on with the old one",
    signature="joint_loss(model, batch, old_batch, lam)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Two classifications share one encoder: each batch goes through the encoder and then through its own "
            "head. The new task counts in full, the old one by its weight, and gradients of both reach the encoder."
        ),
        api="`model.encoder`, `model.head`, `model.old_head`, `F.cross_entropy` (a mean over the batch)",
        skeleton=(
            "images, labels = batch\n"
            "old_images, old_labels = ...\n"
            "features = model.encoder(torch.cat([images, ...]))  # (N + M, d)\n"
            "task = F.cross_entropy(model.head(features[: len(images)]), labels)\n"
            "pretraining = F.cross_entropy(...)\n"
            "return ... + lam * ..."
        ),
    ),
    takeaway=(
        "The second term needs the old data, labels and all; that is what it costs. L2-SP asks for nothing but the old "
        "weights."
    ),
    cases=cases,
    observe=observe,
    words={
        "gradient_before_backward": "the gradient of the model before `loss.backward()`",
        "encoder_gradient": "the gradient of the encoder",
        "head_gradient": "the gradient of the head",
        "old_head_gradient": "the gradient of the old head",
    },
    inputs_shown=("images", "labels", "old_images", "old_labels"),
)
