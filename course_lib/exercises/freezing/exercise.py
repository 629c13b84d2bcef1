"""What several exercises of unit 06 share: a small network, and what is seen of it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Values, seeded
from course_lib.exercises.observing import mode_of, state_of


def pretrain(module: nn.Module, seed: int) -> None:
    """Weights and statistics as if they had been learned: nothing is left at the values that layers begin with."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator) + 0.1)
        for name, buffer in module.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.fill_(7)
            else:
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def whole_numbers(generator: torch.Generator) -> Callable[[int, int], int]:
    """A function that draws a whole number, both ends included."""
    return lambda low, high: int(torch.randint(low, high + 1, (), generator=generator))


def network_name(seed: int) -> str:
    """A name for the network of a case, such as "net417": what is seen of one network is not true of another."""
    return f"net{int(torch.randint(100, 1000, (), generator=seeded(seed)))}"


def names_of(model: nn.Module, seed: int) -> dict[int, str]:
    """The name of each parameter, after that of its network, by the parameter's id."""
    return {id(parameter): f"{network_name(seed)}.{name}" for name, parameter in model.named_parameters()}


def requires_grad(module: nn.Module) -> dict[str, int]:
    """Parameter -> 1 if it requires a gradient, else 0."""
    return {name: int(parameter.requires_grad) for name, parameter in module.named_parameters()}


class Stack(nn.Module):
    """Blocks of a linear layer and a normalization each, and a linear head."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        x, blocks = case.inputs["x"], case.inputs["blocks"]
        width = x.shape[1]
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width)) for _ in range(blocks))
        self.head = nn.Linear(width, 3)
        pretrain(self, case.inputs["seed"])
        self.name = network_name(case.inputs["seed"])
        self.to(x)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def parts(self) -> dict[str, nn.Module]:
        """The blocks and the head by name: "block 0 of net417", "block 1 of net417", "head of net417"."""
        blocks = {f"block {i} of {self.name}": block for i, block in enumerate(self.blocks)}
        return {**blocks, f"head of {self.name}": self.head}

    def open_parts(self) -> dict[str, str]:
        """Part -> "open" or "closed" by whether its parameters require gradients, "partly" if some do."""
        flags = {name: requires_grad(part).values() for name, part in self.parts().items()}
        return {name: _word(found, "open", "closed") for name, found in flags.items()}

    def in_eval(self) -> list[str]:
        """The open parts that hold a module in eval mode, although `train()` was called on the whole."""
        modes = {name: all(layer.training for layer in part.modules()) for name, part in self.train().parts().items()}
        return [name for name, word in self.open_parts().items() if word == "open" and not modes[name]]


def learn(model: Stack, case: Case, optimizer: torch.optim.Optimizer) -> dict[str, str]:
    """Part -> "moved" or "stayed" in one step of training, "partly" if some of its parameters moved."""
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in model.parts().items()}
    x = case.inputs["x"]
    loss = F.cross_entropy(model(x), torch.arange(len(x), device=x.device) % 3)
    optimizer.zero_grad()
    if loss.requires_grad:
        loss.backward()
    optimizer.step()
    return {
        name: _word([not torch.equal(p, old) for p, old in zip(part.parameters(), before[name])], "moved", "stayed")
        for name, part in model.parts().items()
    }


def _word(flags: Collection[object], every: str, none: str) -> str:
    return every if all(flags) else "partly" if any(flags) else none


# --- for freeze -----------------------------------------------------------------------------------------------------


class OwnPart(nn.Module):
    """A part with a weight of its own and dropout by its own mode, beside the layers inside it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 3, 1, 1))
        self.layers = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.weight * self.layers(x), 0.4, self.training)


def _part(kind: str, channels: int, pixels: int) -> nn.Module:
    if kind == "own class":
        return OwnPart(channels)
    dropout = nn.Sequential(nn.ReLU(), nn.Dropout(0.4))
    if kind == "vectors":
        return nn.Sequential(nn.Linear(pixels, 3), nn.BatchNorm1d(3), dropout)
    part = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.BatchNorm2d(3), dropout)
    return nn.Sequential(part, nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))) if kind == "nested" else part


class Parted(nn.Module):
    """A stem, a part to freeze, and a head. All have batch normalization; the part has dropout too."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        images, kind = case.inputs["images"], case.inputs["part"]
        channels = images.shape[1]
        self.stem: nn.Module = nn.Flatten() if kind == "vectors" else nn.Identity()
        if kind == "middle":
            self.stem, channels = nn.Sequential(nn.Conv2d(channels, 3, 1, bias=False), nn.BatchNorm2d(3)), 3
        self.part = _part(kind, channels, images[0].numel())
        self.pool = nn.Flatten() if kind == "vectors" else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
        pretrain(self, case.inputs["seed"])
        self.to(images)
        self.part.requires_grad_(case.inputs["opened"] != "in the end, gradients off")  # by other code

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.part(self.stem(x))))

    def rest(self) -> dict[str, Tensor]:
        """All that the network holds outside the part, as it is now."""
        return {name: value for name, value in state_of(self).items() if not name.startswith("part.")}

    def after_train(self, images: Tensor) -> Values:
        """What is seen of the part after `train()` was called on the whole network."""
        self.train()
        layers = [(name, layer) for name, layer in self.part.named_modules() if not isinstance(layer, nn.Sequential)]
        modes = {name: mode_of(layer) for name, layer in layers}
        output = self.part(self.stem(images).detach()).detach().clone()
        return {"modes_after_train": modes, "output_after_train": output}

    def opened_by(self, fn: Callable[..., Any], case: Case) -> Values:
        """What is seen of the part while an answer opens it, and after one more step of training."""
        seen: Values = {"state_before_opening": state_of(self.part)}
        fn(self.part, frozen=False)
        seen["requires_grad_open"] = requires_grad(self.part)
        seen["modes_when_open"] = sorted({mode_of(module) for module in self.train().part.modules()})
        seen["modes_at_rest"] = sorted({mode_of(module) for module in self.eval().part.modules()})
        self.learn(case, 1)
        return {**seen, "state_trained_on": state_of(self.part)}

    def learn(self, case: Case, steps: int) -> None:
        """As a fine-tuning does it: validation in between, weight decay, every parameter handed to the optimizer."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05, weight_decay=0.2)
        for _ in range(steps):
            self.eval()
            self.train()
            loss = F.cross_entropy(self(case.inputs["images"]), case.inputs["labels"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


_CLASSES = (nn.Module, nn.Sequential, nn.BatchNorm1d, nn.BatchNorm2d, nn.modules.batchnorm._BatchNorm, nn.Conv2d,
            nn.Linear, nn.Dropout, nn.ReLU, OwnPart)  # fmt: skip


@contextlib.contextmanager
def classes_left_alone() -> Iterator[None]:
    """Undoes what an answer does to classes of torch and of ours: it would reach every network of the process."""
    names = ("train", "eval", "forward", "requires_grad_", "__call__")
    before = [(kind, name, vars(kind).get(name)) for kind in _CLASSES for name in names]
    try:
        yield
    finally:
        for kind, name, value in before:
            if value is not None:
                setattr(kind, name, value)
            elif name in vars(kind):
                delattr(kind, name)


# --- for fine_tune --------------------------------------------------------------------------------------------------

CLASSES, PIXELS, WIDTH = 4, 12, 6


def few_and_many(generator: torch.Generator) -> Values:
    """Five labeled images per class, and many test images: in half of the pixels the class, in the others noise."""
    means = torch.zeros(CLASSES, PIXELS)
    found: Values = {}
    means[:, : PIXELS // 2] = 3 * torch.eye(PIXELS // 2)[torch.randperm(PIXELS // 2, generator=generator)[:CLASSES]]
    noise = torch.tensor(6 * [0.3] + 6 * [3.0])
    for prefix, count in (("", 20), ("test_", 200)):
        labels = torch.arange(count) % CLASSES
        images = means[labels] + noise * torch.randn(count, PIXELS, generator=generator)
        found |= {f"{prefix}images": images.reshape(count, 1, 3, 4), f"{prefix}labels": labels}
    return found


class Counted(Diary):
    """Batches that count the loops over them."""

    loops = 0

    def __iter__(self) -> Iterator[Any]:
        self.loops += 1
        return super().__iter__()


class _Encoder(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        widths = [PIXELS, *(count * [WIDTH])]
        # No bias before the normalization: its gradient would be rounding noise, which Adam turns into full steps.
        self.linears = [nn.Linear(before, after, bias=False) for before, after in itertools.pairwise(widths)]
        self.norms = [nn.BatchNorm1d(WIDTH) for _ in self.linears]
        layers = zip(self.linears, self.norms, strict=True)
        self.blocks = nn.ModuleList(nn.Sequential(*layer, nn.Tanh()) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for block in self.blocks:
            x = block(x)
        return x


class Blocks(nn.Module):
    """An encoder as if pretrained, with `encoder.blocks`, and a new head; it notes its logits, and in which loop."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        parts = (case.inputs[key].split(case.inputs["batch_size"]) for key in ("images", "labels"))
        self.batches, self.loops = Counted(zip(*parts, strict=True)), Diary()
        self.encoder, self.head = _Encoder(case.inputs["blocks"]), nn.Linear(WIDTH, CLASSES)
        self.diary: list[Tensor] = Diary()
        pretrain(self, case.inputs["seed"])
        if "test_images" in case.inputs:
            self._learn_the_source(case.inputs["test_images"])
        self.to(case.inputs["images"]).requires_grad_(not case.inputs["came_frozen"])  # by other code
        self.name = network_name(case.inputs["seed"])

    def _learn_the_source(self, images: Tensor) -> None:
        """Weights that pass the first pixels on, and running statistics that belong to them."""
        for norm in self.encoder.norms:
            norm.reset_parameters()
            norm.momentum = 1.0
        with torch.no_grad():
            for linear in self.encoder.linears:
                nn.init.eye_(linear.weight)
            self.head.weight.zero_()
            self.train()(images)
        self.diary.clear()
        self.loops.clear()
        for norm in self.encoder.norms:
            norm.momentum = 0.1

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(x))
        self.diary.append(logits.detach())
        self.loops.append(self.batches.loops)
        return logits

    def numbers(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights of each part, and running statistics of each block, by names such as "block 0 of net417"."""
        parts: dict[str, nn.Module] = {
            f"block {i} of {self.name}": block for i, block in enumerate(self.encoder.blocks)
        }
        statistics = {name: _flat(block.buffers()) for name, block in parts.items()}
        parts[f"head of {self.name}"] = self.head
        return {name: _flat(part.parameters()) for name, part in parts.items()}, statistics

    def losses(self) -> list[float]:
        """The mean loss per image of each epoch of the steps that were made."""
        batches = self.batches
        noted = [(z, y) for z, (_, y) in zip(self.diary, itertools.cycle(batches), strict=False) if len(z) == len(y)]
        sums = [float(F.cross_entropy(logits, labels, reduction="sum")) for logits, labels in noted]
        count, images = len(batches), sum(len(labels) for _, labels in batches)
        return [sum(sums[i : i + count]) / images for i in range(0, len(sums), count)]


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().double().cpu().flatten() for tensor in tensors])
