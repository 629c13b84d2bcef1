"""`train_with_pseudo_labels`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, seeded


class _Student(nn.Module):
    """A frozen layer, dropout, and a head; notes every batch, the logits it gave, and the gradient they received."""

    def __init__(self, case: Case, device: torch.device) -> None:
        super().__init__()
        generator = seeded(case.inputs["seed"])
        pixels, num_classes = case.inputs["images"][0].numel(), case.inputs["num_classes"]
        self.body = nn.Linear(pixels, 16)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(16, num_classes)
        self.diary: list[Values] = Diary()
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(1.5 * torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5)
        self.body.requires_grad_(False)
        self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        entry: Values = {
            "images": x.detach().clone(),
            "mode": "train" if self.training else "eval",
            "gradients": "on" if torch.is_grad_enabled() else "off",
        }
        logits = self.head(self.dropout(torch.tanh(self.body(x.flatten(1)))))
        entry["logits"] = logits.detach().clone()
        if logits.requires_grad:
            logits.register_hook(lambda gradient: entry.__setitem__("gradient", gradient.detach().clone()))
        self.diary.append(entry)
        return logits


def cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, labeled: int, unlabeled: int, batch_size: int, num_epochs: int, mode: str = "train") -> Case:
        images = torch.rand(labeled + unlabeled, 1, 3, 4, generator=generator) * 2 - 1
        return Case(
            name,
            {
                "images": images[:labeled], "labels": torch.arange(labeled) % 3, "unlabeled": images[labeled:],
                "num_epochs": num_epochs, "batch_size": batch_size, "lr": 0.25, "num_classes": 3,
                "seed": seed + len(name), "mode_before": mode,
            },
        )  # fmt: skip

    return [
        case("ragged_last_batch", 6, 12, 7, 3),
        case("one_batch_an_epoch", 3, 9, 12, 4),
        case("came_at_rest", 6, 13, 6, 2, "eval"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    model = _Student(case, given["images"].device)
    model.train(given["mode_before"] == "train")
    names = {id(p): name for name, p in model.named_parameters()}
    steps: list[Values] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        held = [names.get(id(p), "another") for group in optimizer.param_groups for p in group["params"]]
        steps.append({"lr": [float(group["lr"]) for group in optimizer.param_groups], "held": sorted(held)})

    handle = register_optimizer_step_pre_hook(note)
    before = model.body.weight.detach().clone()
    generator = seeded(given["seed"])
    try:
        with torch.enable_grad():
            losses = fn(
                model, given["images"], given["labels"], given["unlabeled"], num_epochs=given["num_epochs"],
                lr=given["lr"], batch_size=given["batch_size"], generator=generator,
            )  # fmt: skip
    finally:
        handle.remove()
    return {
        "losses": losses,
        "forwards": [dict(entry) for entry in model.diary],
        "steps": steps,
        "next_draw": float(torch.rand((), generator=generator)),  # says whether the answer has drawn from it
        "frozen_before": before,
        "frozen_after": model.body.weight,
        "frozen_requires_grad": [int(p.requires_grad) for p in model.body.parameters()],
    }


exercise = Exercise(
    name="train_with_pseudo_labels",
    title="Find the bugs: a published loop, repaired",
    signature=("train_with_pseudo_labels(model, images, labels, unlabeled, *, num_epochs, lr, batch_size, generator)"),
    minutes=20,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "Read it line by line and ask of each: which images, which labels, in which mode, with which gradients? "
            "What is built and then never used? And of the number at the end: what is in the sum, and by what is it "
            "divided? There are six faults, in five places."
        ),
        api=(
            "`torch.randperm` (how often?), `model.eval()` and `model.train()`, `torch.no_grad()`, "
            "`scheduler.step()`, `p.requires_grad`, `len`"
        ),
        skeleton=(
            "trainable = [p for p in model.parameters() if ...]\n"
            "...\n"
            "for epoch in range(num_epochs):\n"
            "    model.eval()\n"
            "    with ...:\n"
            "        pseudo = ...\n"
            "    model.train()\n"
            "    ...\n"
            "    order = torch.randperm(len(x), generator=generator)\n"
            "    ...\n"
            "    losses.append(running_loss / ...)\n"
            "    scheduler...."
        ),
    ),
    takeaway=(
        "None of the six stopped the program: it ran, and its loss even fell. Such loops are found by asking what "
        "should be true of every line, and by a check that looks."
    ),
    cases=cases,
    observe=observe,
)
