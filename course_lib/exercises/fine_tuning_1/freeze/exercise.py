"""`freeze`: what learners see, its cases, and how an answer is observed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing
from course_lib.exercises.fine_tuning_1.exercise import pretrain, requires_grad
from course_lib.exercises.observing import state_of


class _OwnPart(nn.Module):
    """A part with a weight of its own and dropout by its own mode, beside the layers inside it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 3, 1, 1))
        self.layers = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.weight * self.layers(x), 0.4, self.training)


def _part(kind: str, channels: int, pixels: int) -> nn.Module:
    if kind == "own class":
        return _OwnPart(channels)
    dropout = nn.Sequential(nn.ReLU(), nn.Dropout(0.4))
    if kind == "vectors":
        return nn.Sequential(nn.Linear(pixels, 3), nn.BatchNorm1d(3), dropout)
    part = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.BatchNorm2d(3), dropout)
    return nn.Sequential(part, nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))) if kind == "nested" else part


class _Net(nn.Module):
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

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.part(self.stem(x))))


_CLASSES = (nn.Module, nn.Sequential, nn.BatchNorm1d, nn.BatchNorm2d, nn.modules.batchnorm._BatchNorm, nn.Conv2d,
            nn.Linear, nn.Dropout, nn.ReLU, _OwnPart)  # fmt: skip


@contextlib.contextmanager
def _classes_left_alone() -> Iterator[None]:
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


def cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, part: str, images: Tensor, mode: str = "train", opened: str = "never") -> Case:
        inputs = {"images": images, "labels": torch.arange(len(images)) % 3, "part": part}
        return Case(name, {**inputs, "mode_before": mode, "opened": opened, "seed": seed + 1})

    return [
        case("first_layers", "first", draw(8, 1, 5, 6), opened="in the end"),
        case("in_the_middle", "middle", draw(6, 3, 6, 4)),
        case("nested", "nested", draw(7, 1, 4, 4).double(), "eval"),
        case("vectors", "vectors", draw(6, 1, 3, 4), opened="frozen again before"),
        case("own_class", "own class", draw(6, 2, 4, 5)),
        case("frozen_by_another", "first", draw(5, 1, 4, 3), opened="in the beginning"),
    ]


def observe(fn: Callable[..., Any], case: Case) -> Values:
    images, opened = case.inputs["images"], case.inputs["opened"]
    with _classes_left_alone(), torch.enable_grad():
        model = _Net(case)
        part = model.part
        attributes = set(vars(part))
        seen: Values = {}
        torch.manual_seed(case.inputs["seed"])  # for the dropout of a part that is not frozen
        if opened == "in the beginning":
            part.requires_grad_(False)
            seen |= _open(fn, model, case)
            part.requires_grad_(True)  # from here on as in the other cases
        model.train(case.inputs["mode_before"] == "train")
        given = state_of(part)
        seen |= {
            "returned": _which(fn(part), part),
            "requires_grad": requires_grad(part),
            "requires_grad_elsewhere": {**requires_grad(model.stem), **requires_grad(model.head)},
            "modes_when_frozen": sorted({_mode(layer) for layer in part.modules()}),
            "new_attributes": sorted(set(vars(part)) - attributes),
            "state_given": given,
            "state_when_frozen": state_of(part),
            "rest_given": _rest(model),
        }
        layers = {name: layer for name, layer in part.named_modules() if not isinstance(layer, nn.Sequential)}
        model.train()
        seen["modes_after_train"] = {name: _mode(layer) for name, layer in layers.items()}
        seen["output_after_train"] = part(model.stem(images).detach()).detach().clone()
        _train_for(model, case, 2)
        seen |= {"state_after_training": state_of(part), "rest_after_training": _rest(model)}
        if opened == "frozen again before":
            fn(part)
        if opened in ("in the end", "frozen again before"):
            seen |= _open(fn, model, case)
    return seen


def _open(fn: Callable[..., Any], model: _Net, case: Case) -> Values:
    """Lets the answer open the part, then trains for a step."""
    seen: Values = {"state_before_opening": state_of(model.part)}
    fn(model.part, frozen=False)
    seen["requires_grad_open"] = requires_grad(model.part)
    seen["mode_when_open"] = _mode(model.train().part)
    seen["mode_at_rest"] = _mode(model.eval().part)
    _train_for(model, case, 1)
    return {**seen, "state_trained_on": state_of(model.part)}


def _train_for(model: _Net, case: Case, steps: int) -> None:
    """As a fine-tuning does it: validation in between, weight decay, every parameter handed to the optimizer."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.2)
    for _ in range(steps):
        model.eval()
        model.train()
        loss = F.cross_entropy(model(case.inputs["images"]), case.inputs["labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _rest(model: _Net) -> dict[str, Tensor]:
    return {name: value for name, value in state_of(model).items() if not name.startswith("part.")}


def _mode(module: nn.Module) -> str:
    return "train" if module.training else "eval"


def _which(result: Any, part: nn.Module) -> str:
    if isinstance(result, nn.Module):
        return "the module" if result is part else "another module"
    return "None" if result is None else type(result).__name__


exercise = Exercise(
    name="freeze",
    title="Freeze a part of a network, and open it again",
    signature="freeze(module, frozen=True)",
    minutes=15,
    difficulty=3,
    points=6,
    hints=Hints(
        concept=(
            "A layer learns in two ways: by gradients, and, if it is batch normalization, by the statistics that it "
            "gathers in train mode. A frozen part does neither. Eval mode alone does not last, since the next "
            "`model.train()` reaches every module below it: so the part itself must answer that call differently."
        ),
        api=(
            "`module.requires_grad_(...)`, `module.eval()`. `model.train(mode)` calls `train(mode)` of each child: an "
            "attribute `train` of your own on one module hides the method of its class, and `del module.train` or "
            '`module.__dict__.pop("train", None)` brings that back.'
        ),
        skeleton=(
            "module.requires_grad_(...)\n"
            'module.__dict__.pop("train", None)  # the method of the class again\n'
            "if frozen:\n"
            "    module.eval()\n"
            "    module.train = lambda mode=True: ...\n"
            "return module"
        ),
    ),
    takeaway=(
        "Frozen means that not a bit changes: no weight, no running mean, no count of batches. Compare the part's "
        "state_dict before and after training; that one line finds every leak."
    ),
    cases=cases,
    observe=observe,
    may_change=("module",),
    words={
        "returned": "what `freeze(module)` returns",
        "requires_grad": "`requires_grad` of the frozen parameters (1 is True)",
        "requires_grad_elsewhere": "`requires_grad` of the parameters outside the module (1 is True)",
        "modes_when_frozen": "the list of the modes inside the frozen module",
        "new_attributes": "the list of attributes that your code adds to the module",
        "state_given": "the state of the module before your code",
        "state_when_frozen": "the state of the module right after your code",
        "rest_given": "the state outside the module before training",
        "modes_after_train": "the mode inside the frozen module after `model.train()`",
        "output_after_train": "the output of the frozen module after `model.train()`",
        "state_after_training": "the state of the frozen module after two training steps",
        "rest_after_training": "the state outside the module after two training steps",
        "state_before_opening": "the state of the module before `freeze(module, frozen=False)`",
        "requires_grad_open": "`requires_grad` of the parameters after `freeze(module, frozen=False)` (1 is True)",
        "mode_when_open": "the mode of the unfrozen module after `model.train()`",
        "mode_at_rest": "the mode of the unfrozen module after `model.eval()`",
        "state_trained_on": "the state of the unfrozen module after a training step",
    },
)
