"""`fine_tune`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.freezing.exercise import CLASSES, Blocks, few_and_many, whole_numbers


def cases(seed: int) -> list[Case]:
    generator, uniform, _ = drawing(seed)
    number = whole_numbers(generator)

    def case(name: str, frozen: list[int], *, count: int = 10, size: int = 4, blocks: int = 3, epochs: int = 2) -> Case:
        inputs: Values = {
            "images": uniform(count, 1, 3, 4),
            "labels": torch.arange(count) % CLASSES,
            "batch_size": size,
        }
        inputs |= {"frozen": frozen, "num_epochs": epochs, "blocks": blocks, "came_frozen": int(name == "came_frozen")}
        inputs |= {"lr": number(10, 40) / 1000, "decay": number(3, 6) / 10}
        return Case(name, {**inputs, "seed": seed + len(name)})

    few = case("the_number_to_reach", [0, 1], count=20, size=10, epochs=40)
    few.inputs.update(few_and_many(generator))
    few.inputs["lr"] = 0.05
    return [
        case("two_lowest", [0, 1], count=11, size=4),
        case("in_the_middle", [1], count=8, epochs=3),
        case("from_above", [2, 0], blocks=4),
        case("none", [], blocks=2),
        case("head_only", [0, 1], blocks=2, count=9, size=5),
        case("came_frozen", [0], count=8),
        case("float64", [0, 1], count=6, size=6, epochs=3),
        few,
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    with torch.enable_grad():
        model = Blocks(case)
        before = model.numbers()
        options = {key: inputs[key] for key in ("num_epochs", "lr", "decay")}
        losses = fn(model, model.batches, frozen=list(inputs["frozen"]), **options)
    if "test_images" in inputs:
        with torch.no_grad():
            predicted = model.eval()(inputs["test_images"]).argmax(dim=1)
        accuracy = (predicted == inputs["test_labels"]).double().mean().item()
        return {"accuracy": accuracy, "images_after": inputs["test_images"]}
    seen: Values = {"losses": losses, "losses_of_its_steps": model.losses(), "loops": len(set(model.loops))}
    for when, (weights, statistics) in (("before", before), ("after", model.numbers())):
        seen |= {f"weights_{when}": weights, f"statistics_{when}": statistics}
    return seen


exercise = Exercise(
    name="fine_tune",
    title="Fine-tune a network with some blocks frozen",
    signature="fine_tune(model, batches, *, frozen, num_epochs, lr, decay)",
    minutes=25,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "Three steps, in this order. First freeze the blocks in the list, and make all others trainable. Then make "
            "one optimizer of the groups of the trainable parameters. Then train as usual: each epoch begins with "
            "`model.train()`, which your frozen blocks must survive."
        ),
        api=(
            "your `freeze(block, frozen=...)` and `parameter_groups(blocks, head, lr=..., decay=...)`, "
            "`torch.optim.AdamW(groups, weight_decay=0.0)`, `F.cross_entropy`, `.item()`"
        ),
        skeleton=(
            "for number, block in enumerate([*blocks, model.head]):\n    freeze(block, frozen=...)\n"
            "optimizer = torch.optim.AdamW(parameter_groups(...), weight_decay=0.0)\n"
            "for _ in range(num_epochs):\n    model.train()\n    for images, labels in batches:\n"
            "        ...  # loss, zero_grad, backward, step, the sum of losses"
        ),
    ),
    takeaway=(
        "Freezing is three decisions in one loop: which parts change, which parameters the optimizer holds, and how "
        "fast each of them moves."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),
    uses=("freeze", "parameter_groups", "trainable_parameters"),
    words={
        "images_after": "your argument `images` after the call",
        "losses": "the list of losses that you return",
        "losses_of_its_steps": "the list of the mean losses per image of your own steps",
        "loops": "the number of your loops over `batches` in which the network is used",
        "weights_before": "the weights of each part before your code",
        "weights_after": "the weights of each part after the training",
        "statistics_before": "the running statistics of each block before your code",
        "statistics_after": "the running statistics of each block after the training",
        "accuracy": "the accuracy on test images after the training",
    },
    inputs_shown=("images", "labels", "batch_size"),
)
