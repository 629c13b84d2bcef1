"""`lp_ft`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning.exercise import Pretrained, WatchedBatches, parts_of, set_values, whole_numbers


def _model(pixels: int) -> Pretrained:
    """A small network with batch normalization."""
    # No bias before the normalization: its gradient would be rounding noise, which Adam turns into full steps.
    before, after = nn.Linear(pixels, 6, bias=False), nn.Linear(6, 4)
    encoder = nn.Sequential(nn.Flatten(), before, nn.BatchNorm1d(6), nn.Tanh(), after, nn.Tanh())
    return Pretrained(encoder, nn.Linear(4, 3))


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, count: int, size: int, came: str = "open", dtype: Any = None, **options: float) -> Case:
        images = torch.rand(count, 1, 2, 4, generator=generator, dtype=dtype)
        inputs = {"images": images, "labels": torch.arange(count) % 3, "batch_size": size, **options}
        mode = "eval" if came == "frozen" else "train"
        return Case(name, {**inputs, "encoder_came": came, "mode_before": mode, "seed": seed + len(name)})

    number = whole_numbers(generator)
    head_lr, lr = number(50, 100) / 1000, number(10, 30) / 1000
    return [
        case("plain", 12, 6, head_epochs=2, head_lr=head_lr, epochs=1, lr=0.02),
        case("ragged_last_batch", 7, 4, head_epochs=1, head_lr=0.08, epochs=2, lr=0.01),
        case("came_frozen", 8, 8, head_epochs=3, head_lr=0.1, epochs=1, lr=lr, came="frozen"),
        case("float64", 6, 6, head_epochs=1, head_lr=0.05, epochs=2, lr=0.01, came="closed", dtype=torch.float64),
        case("head_only", 8, 4, head_epochs=2, head_lr=0.1, epochs=0, lr=0.02),
        case("no_head_epochs", 8, 4, head_epochs=0, head_lr=0.1, epochs=1, lr=0.02),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs, images = case.inputs, case.inputs["images"]
    model = _model(images[0].numel())
    set_values(model, seeded(inputs["seed"]), 0.8)
    model.to(images).train(inputs["mode_before"] == "train")
    if inputs["encoder_came"] != "open":
        model.encoder.requires_grad_(False)
    batches = WatchedBatches(images, inputs["labels"], inputs["batch_size"], model)
    before = parts_of(model)
    with torch.enable_grad():
        fn(model, batches, **{key: inputs[key] for key in ("head_epochs", "head_lr", "epochs", "lr")})
    after = parts_of(model)
    # Counted from the end: how often the first stage goes to the batches is the answer's own affair.
    steps, fetched = inputs["epochs"] * len(batches), len(batches.diary)
    switch = [*batches.diary, after][max(fetched - steps, 0)]
    seen: Values = {"batches_fetched": fetched}
    for part in before:
        seen |= {f"{part}_before": before[part], f"{part}_at_the_switch": switch[part], f"{part}_after": after[part]}
    seen["head_one_batch_earlier"] = batches.diary[fetched - steps - 1]["head"] if fetched > steps else switch["head"]
    seen["weights_require_grad_after"] = [int(p.requires_grad) for p in model.parameters()]
    return seen


exercise = Exercise(
    name="lp_ft",
    title="First the head alone, then everything from there",
    signature="lp_ft(model, batches, *, head_epochs, head_lr, epochs, lr)",
    minutes=20,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Two trainings in a row, each with an optimizer of its own. In the first only the head may change: the "
            "encoder's weights stay, and so do the running statistics of its batch normalization, which gradients "
            "have nothing to do with. The second continues from that head, in train mode, with everything trainable "
            "and at the small rate."
        ),
        api=(
            "`requires_grad_(False)` and `requires_grad_(True)` of a module, `model.train()`, `model.encoder.eval()`, "
            "`torch.optim.Adam`, `F.cross_entropy`"
        ),
        skeleton=(
            "model.train()\nmodel.encoder....()  # eval mode: its statistics must not move\n"
            "model.encoder.requires_grad_(...)\noptimizer = torch.optim.Adam(model.head.parameters(), lr=...)\n"
            "for _ in range(head_epochs):\n    for images, labels in batches:\n"
            "        ...  # loss, zero_grad, backward, step\n"
            "model....()  # train mode\nmodel.requires_grad_(...)\noptimizer = torch.optim.Adam(..., lr=...)\n..."
        ),
    ),
    takeaway=(
        "A random head sends random gradients into the encoder. One that has learned already asks for small changes "
        "only, and the features stay nearer to where they were."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),
    words={
        "batches_fetched": "the number of batches that your code fetches",
        "encoder_before": "the tensor of the encoder's weights before your code",
        "encoder_at_the_switch": "the tensor of the encoder's weights when `epochs` passes are left",
        "encoder_after": "the tensor of the encoder's weights in the end",
        "statistics_before": "the tensor of the encoder's running statistics before your code",
        "statistics_at_the_switch": "the tensor of the encoder's running statistics when `epochs` passes are left",
        "statistics_after": "the tensor of the encoder's running statistics in the end",
        "head_before": "the tensor of the head's weights before your code",
        "head_at_the_switch": "the tensor of the head's weights when `epochs` passes are left",
        "head_after": "the tensor of the head's weights in the end",
        "head_one_batch_earlier": "the tensor of the head's weights one batch before the second stage",
    },
    inputs_shown=("images", "labels", "batch_size", "mode_before"),
)
