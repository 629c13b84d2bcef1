"""`lp_ft`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, seeded
from course_lib.exercises.fine_tuning_2.exercise import flat, set_values


class _Watched(nn.Module):
    """A small network with batch normalization, that notes which parameters require gradients when it is used."""

    def __init__(self, pixels: int, num_classes: int) -> None:
        super().__init__()
        # No bias before the normalization: its gradient would be rounding noise, which Adam turns into full steps.
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 6, bias=False), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh()
        )
        self.head = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


class _WatchedBatches:
    """Batches that can be gone through again and again, and note the network's weights whenever one is fetched."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]], model: _Watched) -> None:
        self.batches, self.model = batches, model
        self.diary: list[dict[str, Tensor]] = Diary()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.batches:
            self.diary.append(_state_of(self.model))
            yield images.clone(), labels.clone()


def _state_of(model: _Watched) -> dict[str, Tensor]:
    return {
        "encoder": flat(model.encoder.parameters()),
        "statistics": flat(model.encoder.buffers()),
        "head": flat(model.head.parameters()),
    }


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, count: int, batch_size: int, epochs: tuple[int, int], rates: tuple[float, float], *,
        came: str = "open", mode: str = "train", dtype: torch.dtype = torch.float32,
    ) -> Case:  # fmt: skip
        inputs: Values = {
            "images": torch.rand(count, 1, 2, 4, generator=generator, dtype=dtype),
            "labels": torch.arange(count) % 3,
            "batch_size": batch_size, "head_epochs": epochs[0], "head_lr": rates[0], "epochs": epochs[1],
            "lr": rates[1], "encoder_came": came, "mode_before": mode, "seed": seed + len(name),
        }  # fmt: skip
        return Case(name, inputs)

    return [
        case("plain", 12, 6, (2, 1), (0.1, 0.02)),
        case("ragged_last_batch", 7, 4, (1, 2), (0.08, 0.01)),
        case("came_frozen", 8, 8, (3, 1), (0.1, 0.03), came="frozen", mode="eval"),
        case("float64", 6, 6, (1, 2), (0.05, 0.01), dtype=torch.float64),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    inputs = case.inputs
    images, labels = inputs["images"], inputs["labels"]
    model = _Watched(images[0].numel(), 3)
    set_values(model, seeded(inputs["seed"]), 0.8)
    model.to(images).train(inputs["mode_before"] == "train")
    if inputs["encoder_came"] == "frozen":
        model.encoder.requires_grad_(False)
    size = inputs["batch_size"]
    batches = _WatchedBatches(list(zip(images.split(size), labels.split(size), strict=True)), model)
    before = _state_of(model)
    options = {key: inputs[key] for key in ("head_epochs", "head_lr", "epochs", "lr")}
    with torch.enable_grad():
        fn(model, batches, **options)
    after = _state_of(model)
    # Counted from the end: how often the first stage goes to the batches is the answer's own affair.
    steps, fetched = inputs["epochs"] * len(batches), len(batches.diary)
    switch = batches.diary[max(fetched - steps, 0)] if fetched else after
    seen: Values = {"batches_fetched": fetched}
    for part in before:
        seen[f"{part}_before"], seen[f"{part}_at_the_switch"] = before[part], switch[part]
        seen[f"{part}_after"] = after[part]
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
            "encoder's weights stay, and so do the running statistics of its batch normalization, which gradients have "
            "nothing to do with. The second goes on from that head, with everything awake and at the small rate."
        ),
        api=(
            "`requires_grad_(False)` and `requires_grad_(True)` of a module, `model.train()`, `model.encoder.eval()`, "
            "`torch.optim.Adam`, `F.cross_entropy`"
        ),
        skeleton=(
            "model.train()\n"
            "model.encoder....()  # at rest: its statistics must not move\n"
            "model.encoder.requires_grad_(...)\n"
            "optimizer = torch.optim.Adam(model.head.parameters(), lr=...)\n"
            "for _ in range(head_epochs):\n"
            "    for images, labels in batches:\n"
            "        ...  # loss, zero_grad, backward, step\n"
            "model....()  # awake\n"
            "model.requires_grad_(...)\n"
            "optimizer = torch.optim.Adam(..., lr=...)\n"
            "..."
        ),
    ),
    takeaway=(
        "A random head sends random gradients into the encoder. One that has learned already asks for small changes "
        "only, and the features stay nearer to where they were."
    ),
    cases=cases,
    observe=observe,
    may_change=("model",),
)
